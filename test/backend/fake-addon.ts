/**
 * A stand-in for the native addon that needs no model: a token is a byte, K/V is the tokens themselves, and the answer
 * is whatever FAKE_ANSWER says. Every head's
 * attention goes to the segments that share long words with what was passed. A forward pass can be made to hang until it is cancelled, so that tests of cancel and
 * kill need no timing: FAKE_HOLD names a text whose pass never ends, FAKE_HOLD_ONCE one that ends the second time. FAKE_LOADING makes a model load for ever on
 * another thread. FAKE_GPU is the name of the GPU that there is; one of llama.cpp's plug-ins that is called `full` finds no
 * room in it. FAKE_LOG names a file for what was passed. FAKE_KILL=n ends the process, as kill -9 does, at the n-th
 * of the moments that matter: a pass, a segment half-written or just written, before and after a text is renamed or a
 * file removed.
 */
import { pbkdf2 } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type {
  AttentionReport,
  Budget,
  CudaReport,
  DeviceReport,
  GpuWeights,
  Head,
  NativeMemory,
  NativeModel,
  NativeModelInfo,
  NativeSegment,
  NativeSession,
  SessionOptions,
  StepRecord,
  View,
} from '../../backend/engine/native.ts';

const END = 256;
const info: NativeModelInfo = {
  architecture: 'fake',
  description: 'fake',
  gpu: '',
  layers: 1,
  queryHeads: 1,
  kvHeads: 1,
  headSize: 1,
  vocabulary: 257,
  trainedContext: Number(process.env.FAKE_CONTEXT ?? 65536),
  bytes: 1000,
  kvBytesPerToken: 4,
};

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

const model: NativeModel = {
  info,
  tokenize: (text, special) => {
    const bytes = Buffer.from(special ? text.replaceAll('<special>', '\u0001') : text);
    return Promise.resolve({
      tokens: Int32Array.from(bytes),
      ends: Uint32Array.from(bytes, (_, i) => i + 1),
    });
  },
  piece: (token) => (token === END ? Buffer.alloc(0) : Buffer.from([token])),
  isEndOfGeneration: (token) => token === END,
  applyChatTemplate: (messages) =>
    `${messages.map(({ role, content }) => `[${role}]${content}`).join('')}[assistant]`,
  close: () => undefined,
};

let momentsLeft = Number(process.env.FAKE_KILL ?? Infinity);
function moment(): void {
  if (--momentsLeft === 0) process.kill(process.pid, 'SIGKILL');
}

if (process.env.FAKE_KILL) {
  const { rename, rm } = fs.promises;
  fs.promises.rename = async (from, to) => {
    moment();
    await rename(from, to);
    moment();
  };
  fs.promises.rm = async (file, options) => {
    moment();
    await rm(file, options);
    moment();
  };
  syncBuiltinESMExports();
}

let hasHeld = false;
function isHeld(text: string): boolean {
  const { FAKE_HOLD, FAKE_HOLD_ONCE } = process.env;
  if (FAKE_HOLD && text.includes(FAKE_HOLD)) return true;
  if (hasHeld || !FAKE_HOLD_ONCE || !text.includes(FAKE_HOLD_ONCE)) return false;
  hasHeld = true;
  return true;
}

interface Stored extends NativeSegment {
  text: string;
}

const textOf = (tokens: Int32Array) => Buffer.from(tokens).toString('latin1');
const longWords = (text: string) => new Set(text.match(/\w{5,}/g));
const describe = ({ detail, bias }: View) => `${detail} ${bias}`;

class Session implements NativeSession {
  #views: View[] = [];
  #tail = '';
  #steps = 0;
  #evidence: Float32Array[] = [];
  #counted = 0;
  #heads: readonly Head[] = [];
  #queries = '';
  #estimates = true;
  readonly #stored: SessionOptions['stored'];
  readonly #cuda: SessionOptions['cuda'];
  #release: () => void = () => undefined;

  constructor({ stored, cuda }: SessionOptions) {
    this.#stored = stored;
    this.#cuda = cuda;
  }

  reset(views: View[]): void {
    this.#views = views;
    this.#tail = '';
    this.#steps = 0;
    this.#evidence = [];
  }

  look(views: View[]): void {
    this.#views = views;
    this.#forgetEvidence();
  }

  setBudget({ estimate }: Budget): void {
    this.#estimates = estimate;
  }

  watch(heads: readonly Head[]): void {
    this.#heads = heads;
    this.#queries = '';
  }

  device(): DeviceReport {
    const clusters = { hits: 0, misses: 0, staged: 0, evicted: 0, prefetched: 0, foreseen: 0 };
    const done = { calls: 0, passes: 0, clustered: 0, refused: 0 };
    const none = { ...done, ...clusters, copied: 0, throughHost: 0 };
    return { ...none, name: this.#cuda ? gpu : '', problem: '', bytes: this.#cuda ? 7 : 0 };
  }

  probe(tokens: Int32Array): Promise<void> {
    this.#queries += textOf(tokens);
    return Promise.resolve();
  }

  headMass(segments: NativeSegment[]): Promise<Float32Array> {
    const words = longWords(this.#queries);
    this.#queries = '';
    const shares = segments.map((segment) => {
      const held = longWords((segment as Stored).text);
      return [...words].filter((word) => held.has(word)).length;
    });
    return Promise.resolve(Float32Array.from(this.#heads.flatMap(() => shares)));
  }

  async forward(tokens: Int32Array, position: number, sample: boolean): Promise<number> {
    const text = textOf(tokens);
    moment();
    if (capacity < leastCapacity && this.#views.length > 0) throw failure('NoRoom', 'no room');
    if (isHeld(text)) {
      fs.writeSync(2, 'fake: holding\n');
      await new Promise<void>((resolve) => (this.#release = resolve));
      throw failure('Cancelled', 'cancelled');
    }
    if (process.env.FAKE_LOG) {
      const pass = { position, tokens: tokens.length, views: this.#views.map(describe), text };
      fs.appendFileSync(process.env.FAKE_LOG, `${JSON.stringify(pass)}\n`);
    }
    passes++;
    this.#tail += text;
    if (this.#heads.length > 0) this.#queries += text;
    if (tokens.length === 1) this.#counted++;
    if (!sample) return -1;
    for (const mass of this.#evidence) for (let i = 0; i < mass.length; i++) mass[i] = (mass[i] ?? 0) + 1;
    return Buffer.from(process.env.FAKE_ANSWER ?? 'It is in main.ts.')[this.#steps++] ?? END;
  }

  cancel(): void {
    this.#release();
  }

  /** What the answer says next is the likelier, the more segments with its words are looked at closely. */
  logits(): Float32Array {
    const answer = process.env.FAKE_ANSWER ?? '';
    const words = longWords(answer);
    const holders = this.#views.filter(
      ({ segment, detail }) =>
        detail !== 'coarse' && [...longWords((segment as Stored).text)].some((word) => words.has(word)),
    );
    const logits = new Float32Array(info.vocabulary);
    logits[Buffer.from(answer)[this.#steps - 1] ?? END] = 1 + holders.length;
    return logits;
  }

  truncate(tokens: number): void {
    this.#tail = this.#tail.slice(0, tokens);
  }

  get tailTokens(): number {
    return this.#tail.length;
  }

  save(path: string, meta: string): Promise<void> {
    const temporary = `${path}.tmp-${process.pid}`;
    const segment = JSON.stringify({ text: this.#tail, meta, stored: this.#stored });
    fs.writeFileSync(temporary, segment.slice(0, segment.length / 2));
    moment();
    fs.writeFileSync(temporary, segment);
    fs.renameSync(temporary, path);
    moment();
    return Promise.resolve();
  }

  saveSeconds(): { index: number; disk: number } {
    return { index: 0.001, disk: 0.002 };
  }

  startEvidence(): void {
    this.#counted = 0;
    this.#forgetEvidence();
  }

  #forgetEvidence(): void {
    this.#evidence = this.#views.map(
      ({ segment, detail }) => new Float32Array(detail === 'coarse' ? 0 : segment.tokens),
    );
  }

  stepRecord(): StepRecord {
    return {
      steady: 0.5,
      retrieved: 0.25,
      estimated: this.#estimates ? 0.25 : 0,
      coarse: 0,
      clusters: 3,
      copying: false,
    };
  }

  attentionReport(): AttentionReport {
    return {
      steps: this.#counted,
      copyingSteps: 0,
      layers: 1,
      kvHeads: 2,
      zones: Float32Array.of(0.5, 0.25, 0.25, 0, 0.5, 0.25, 0.25, 0),
      retrievedTokens: Float32Array.of(10, 30),
      retrievedClusters: Float32Array.of(1, 2),
      waveTokens: 100,
      waveClusters: 7,
      lateClusters: 0,
      bytesPerStep: 1000,
      samples: 0,
      recall: 0,
      captured: 0,
    };
  }

  takeEvidence(): Float32Array[] {
    const taken = this.#evidence;
    this.#forgetEvidence();
    return taken;
  }

  close(): void {}
}

export const isa = 'fake';
export const llamaVersion = '0';

const gpu = process.env.FAKE_GPU ?? '';
export function cuda(): CudaReport {
  if (!gpu) return { library: '', driver: 0, problem: 'no NVIDIA driver', devices: [] };
  const device = { name: gpu, totalBytes: 2, freeBytes: 1, capability: '8.9', usable: true };
  return { library: 'fake.so', driver: 13_000, problem: '', devices: [device] };
}

export function loadModel(
  path: string,
  onProgress: (share: number) => void,
  weights?: GpuWeights,
): Promise<NativeModel> {
  if (weights?.plugin.includes('full')) return Promise.reject(failure('GpuProblem', 'no room for weights'));
  if (!fs.existsSync(path)) return Promise.reject(failure('ModelCorrupt', `${path} is missing`));
  if (process.env.FAKE_LOADING) {
    fs.writeSync(2, 'fake: loading\n');
    pbkdf2('', '', 2 ** 31 - 1, 64, 'sha512', () => undefined);
    return new Promise(() => undefined);
  }
  onProgress(1);
  return Promise.resolve({ ...model, info: { ...info, gpu: weights ? gpu : '' } });
}

export function createSession(_model: NativeModel, options: SessionOptions): NativeSession {
  return new Session(options);
}

let passes = 0;
/** The frame alone takes so much of it. */
const leastCapacity = 1_000;
let capacity = 2 ** 33;

export function setCapacity(bytes: number): void {
  capacity = bytes;
}

/** For each pass, four clusters of which one is read. */
export function memory(): NativeMemory {
  return {
    ...{ capacity, exact: 100, index: 20, background: 3, cacheCapacity: 1000, cacheUsed: 400 },
    ...{
      hits: 4 * passes,
      misses: passes,
      prefetched: 0,
      late: 0,
      damaged: 0,
      bytesRead: 100 * passes,
      device: 0,
    },
  };
}

export function openSegment(path: string): Stored {
  let stored: { text: string; meta: string; stored?: string };
  try {
    stored = JSON.parse(fs.readFileSync(path, 'utf8')) as typeof stored;
  } catch {
    throw failure('SegmentCorrupt', `${path} is not a segment`);
  }
  const tokens = stored.text.length;
  return {
    ...stored,
    tokens,
    bytes: tokens * (stored.stored === 'q8' ? 2 : 4),
    indexBytes: tokens,
    close: () => undefined,
  };
}

/** Also tells spaces behind the JSON, which opening does not. */
export function verifySegment(path: string): Promise<void> {
  const isWhole = fs.readFileSync(path, 'utf8').endsWith('}');
  return isWhole ? Promise.resolve() : Promise.reject(failure('SegmentCorrupt', `${path} has a wrong byte`));
}
