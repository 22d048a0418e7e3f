/** A backend with the stand-in for the addon, on a store and a repository of its own. */
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, startBackend, type BackendProcess } from '../../backend/client.ts';
import { openContext } from '../../backend/context/open.ts';
import { Engine } from '../../backend/engine/engine.ts';
import { llamaLike } from '../unit/gguf-writer.ts';
import {
  AskRequest,
  type AskParams,
  type AskResult,
  type PhaseProgress,
  type Progress,
} from '../../backend/protocol.ts';

const fakeAddon = fileURLToPath(new URL('./fake-addon.ts', import.meta.url));

/** One forward pass, as the stand-in logs it. */
export interface Pass {
  position: number;
  tokens: number;
  /** Detail and bias, like `exact 0`. */
  views: string[];
  text: string;
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'repowave-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeFiles(root: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** Ordinary code of about so many bytes that mentions `word`. */
export function code(word: string, bytes = 3000): string {
  const line = (i: number) => `export function ${word}${i}() { return ${i}; }\n`;
  let text = '';
  for (let i = 0; text.length < bytes; i++) text += line(i);
  return text;
}

export class Lab {
  readonly root: string;
  readonly repository: string;
  readonly store: string;
  readonly model: string;
  readonly #log: string;
  readonly #t: TestContext;
  readonly #backends: BackendProcess[] = [];

  constructor(t: TestContext, files: Record<string, string>) {
    this.#t = t;
    // Before its folder goes: a backend may be writing into it.
    t.after(() => Promise.all(this.#backends.map(kill)));
    this.root = temporaryFolder(t);
    this.repository = path.join(this.root, 'repository');
    this.store = path.join(this.root, 'store');
    this.model = path.join(this.root, 'tiny.gguf');
    writeFileSync(this.model, llamaLike());
    this.#log = path.join(this.root, 'passes.jsonl');
    writeFiles(this.repository, files);
    // As after a clone of some time ago: none counts as recently changed.
    for (const name of Object.keys(files)) utimesSync(path.join(this.repository, name), 1e9, 1e9);
  }

  env(extra: Record<string, string> = {}): Record<string, string> {
    return {
      REPOWAVE_NATIVE: fakeAddon,
      REPOWAVE_STORE: this.store,
      REPOWAVE_MODELS: path.join(this.root, 'models'),
      FAKE_LOG: this.#log,
      ...extra,
    };
  }

  /** Starts a backend, which ends with the test. */
  async start(extra: Record<string, string> = {}): Promise<BackendProcess> {
    const backend = await startBackend({ stderr: 'pipe', env: this.env(extra) });
    this.#backends.push(backend);
    return backend;
  }

  async connect(backend: BackendProcess): Promise<Client> {
    const client = await Client.connect(backend.handshake.port, backend.token);
    this.#t.after(() => client.close());
    return client;
  }

  async client(extra: Record<string, string> = {}): Promise<Client> {
    return this.connect(await this.start(extra));
  }

  params(question: string, more: Partial<AskParams> = {}): AskParams {
    return { root: this.repository, model: this.model, question, ...more };
  }

  async ask(client: Client, question = 'Where?', onProgress?: (value: Progress) => void): Promise<AskResult> {
    return client.request(AskRequest, this.params(question), { onProgress });
  }

  /** The forward passes so far. */
  passes(): Pass[] {
    const lines = readFileSync(this.#log, 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line) as Pass);
  }

  forgetPasses(): void {
    rmSync(this.#log, { force: true });
  }

  /** Paths in the store that end like this. */
  stored(ending: string): string[] {
    return readdirSync(this.store, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith(ending))
      .map((name) => path.join(this.store, name));
  }
}

/** Reads a repository in this process, so that a test can act at an exact moment of it. */
export async function readHere(t: TestContext, lab: Lab, report: (progress: PhaseProgress) => void) {
  process.env.REPOWAVE_NATIVE = lab.env().REPOWAVE_NATIVE;
  const engine = new Engine(lab.store, 1);
  t.after(() => engine.close());
  const params = { root: lab.repository, model: lab.model };
  return engine.use(new AbortController().signal, (signal) =>
    openContext(engine, params, { signal, report }),
  );
}

/** Resolves when the backend's log says this. */
export async function logged(backend: BackendProcess, text: string): Promise<void> {
  const { stderr } = backend.child;
  if (!stderr) throw new Error('The log is not piped.');
  for await (const line of createInterface(stderr)) if (line.includes(text)) return;
  throw new Error(`The backend ended without saying ${JSON.stringify(text)}.`);
}

async function kill(backend: BackendProcess): Promise<void> {
  backend.child.kill('SIGKILL');
  await ended(backend);
}

export async function ended(backend: BackendProcess): Promise<void> {
  const { child } = backend;
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Too long to be read in one sequence. */
export const several = {
  'src/apple.ts': code('apple'),
  'src/banana.ts': code('banana'),
  'src/cherry.ts': code('cherry'),
  'src/date.ts': code('date'),
};
