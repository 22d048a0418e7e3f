import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { PROTOCOL_VERSION, SHARE_VARIABLE, TOKEN_VARIABLE } from '../../backend/protocol.ts';
import type { Handshake } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';
import { openStream } from './stream.ts';
import type { BackendStream } from './stream.ts';

const HANDSHAKE_MS = 30_000;
/** How long the backend may take to end by itself. */
const GRACE_MS = 3_000;

/** A backend to speak to: `stream` carries the JSON-RPC messages, `ended` tells why it is gone, in words. */
export interface BackendProcess {
  /** For people: a process, or an address. */
  readonly name: string;
  readonly stream: BackendStream['stream'];
  readonly ended: Promise<string>;
  /** Lets go of it: it stays for other windows, and for a while for this one. */
  release(): void;
  /** Makes sure that it ends, where that is ours to do. */
  kill(): void;
}

/** Windows that name the same file share a backend: those of this user with the same version of the extension. */
export function shareFile(folder: string, script: string): string {
  const key = createHash('sha256').update(`${PROTOCOL_VERSION}\n${script}`).digest('hex').slice(0, 16);
  return path.join(folder, `backend-${key}.json`);
}

/**
 * Starts `script` under the Node that runs this code, and connects to it or, where another window has one already, to
 * that one. `onLog` gets what it prints.
 */
export async function startBackend(
  script: string,
  share: string,
  onLog: (line: string) => void,
): Promise<BackendProcess> {
  const token = randomBytes(32).toString('hex');
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // It may outlive this window, with all that VS Code ends together with it.
    detached: true,
    // In the desktop VS Code `execPath` is Electron, which is a Node with this variable.
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', [TOKEN_VARIABLE]: token, [SHARE_VARIABLE]: share },
  });
  createInterface(child.stderr).on('line', onLog);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal ? t('signal {0}', signal) : t('exit code {0}', code ?? 0)),
    );
  });
  try {
    const stdout = createInterface(child.stdout);
    const handshake = await readHandshake(child, stdout, exited);
    stdout.on('line', onLog);
    const { port, pid } = handshake;
    const { stream, closed } = await openStream(`ws://127.0.0.1:${port}`, handshake.token ?? token);
    const lost = closed.then(() => t('the connection was closed'));
    const shared = pid !== child.pid;
    if (shared) onLog(`Backend process ${pid} is shared with another window, whose log has what it prints.`);
    return {
      name: `process ${pid}`,
      stream,
      ended: shared
        ? lost
        : Promise.race([exited, closed.then(() => afterGrace(t('the connection was closed')))]),
      release: () => void stream.destroy(),
      kill: () => kill(pid),
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** The end of a process comes a moment after that of its connections, and tells more. */
const afterGrace = (reason: string): Promise<string> =>
  new Promise((resolve) => setTimeout(() => resolve(reason), GRACE_MS).unref());

function kill(pid: number): void {
  signal(pid, 'SIGTERM');
  setTimeout(() => signal(pid, 'SIGKILL'), GRACE_MS).unref();
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has gone.
  }
}

async function readHandshake(
  child: ChildProcessByStdio<null, Readable, Readable>,
  stdout: Interface,
  exited: Promise<string>,
): Promise<Handshake> {
  const timeout = AbortSignal.timeout(HANDSHAKE_MS);
  const line = await Promise.race([
    once(stdout, 'line', { signal: timeout }).then(([text]) => String(text)),
    exited.then((reason) => Promise.reject(new Error(t('it ended with {0}', reason)))),
  ]).catch((error: Error) => {
    throw timeout.aborted
      ? new Error(t('process {0} said nothing for {1} s', child.pid ?? 0, HANDSHAKE_MS / 1000))
      : error;
  });
  const message = JSON.parse(line) as Handshake;
  if (message.protocol !== PROTOCOL_VERSION) {
    throw new Error(t('it speaks protocol {0} and the extension {1}', message.protocol, PROTOCOL_VERSION));
  }
  return message;
}
