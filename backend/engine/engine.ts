import { availableParallelism, totalmem } from 'node:os';
import { UserError, throwIfCancelled } from '../errors.ts';
import { log } from '../log.ts';
import { Store } from '../context/store.ts';
import type { KvForm, MemoryState } from '../protocol.ts';
import { describeUse, findPlugins, planGpu, type GpuPlan, type GpuWish } from './gpu.ts';
import { memoryOf } from './memory.ts';
import {
  loadAddon,
  type NativeAddon,
  type NativeModel,
  type NativeSession,
  type SessionOptions,
} from './native.ts';
import { Queue } from './queue.ts';
import { Shelf } from './shelf.ts';

/** Tokens of one forward pass. A cancel does not wait for its end. */
const batch = 1_024;

/** A model file that has been checked, and the name under which its work is stored. */
export interface ModelFile {
  path: string;
  /** For people. */
  name: string;
  /** Changes whenever the weights do. */
  identity: string;
}

/**
 * Holds the one model that is in memory. All work with it goes through {@link Engine.use} and
 * {@link Engine.spare}, one piece after another; the model stays warm until another is asked for.
 */
export class Engine {
  readonly #queue = new Queue();
  readonly #closing = new AbortController();
  #runner: Runner | undefined;

  /** @param storeRoot folder of stored K/V */
  constructor(
    readonly storeRoot: string,
    private readonly threads = availableParallelism(),
  ) {}

  /**
   * Waits for the engine, then works.
   * @throws UserError `cancelled`
   */
  async use<R>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const both = AbortSignal.any([signal, this.#closing.signal]);
    return this.#queue.run(both, () => work(both));
  }

  /**
   * Works while nobody else wants to, from the beginning again after each interruption.
   * @param options see {@link Queue.spare}
   * @throws UserError `cancelled`
   */
  async spare<R>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<R>,
    options?: { isAwaited?: boolean },
  ): Promise<R> {
    return this.#queue.spare(AbortSignal.any([signal, this.#closing.signal]), work, options);
  }

  /**
   * The model, loaded if it is not there already, with its work stored in that form. What cannot be on a GPU is on the
   * processor. Call it inside {@link use} or {@link spare} only.
   * @throws UserError `modelCorrupt`, `modelUnsupported`, `outOfMemory`, `environment`
   */
  async load(
    file: ModelFile,
    kv: KvForm,
    gpu: GpuWish,
    onProgress: (share: number) => void,
  ): Promise<Runner> {
    const wish = gpu.mode === 'off' ? undefined : gpu;
    const wanted = JSON.stringify([file.identity, kv, wish]);
    if (this.#runner?.wanted === wanted) return this.#runner;
    this.#runner?.close();
    this.#runner = undefined;
    const addon = openAddon();
    // Nobody looks for a GPU, which starts its driver, before somebody wants it.
    const plan = wish
      ? planGpu(wish.bytes, addon.cuda(process.env.REPOWAVE_CUDA), findPlugins())
      : { problems: [] };
    const options = { threads: this.threads, stored: kv };
    const { model, session, use } = await open(addon, file.path, plan, options, onProgress);
    if (wish) log(`model: ${use}`);
    const name = kv === 'f16' ? file.name : `${file.name} ${kv}`;
    const store = new Store(this.storeRoot, file.identity, name, kv);
    const told = wish && use;
    this.#runner = new Runner(addon, model, session, store, wanted, told);
    return this.#runner;
  }

  /** Cancels what is under way and lets go of the model. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#queue.idle();
    this.#runner?.close();
  }
}

interface Opened {
  model: NativeModel;
  session: NativeSession;
  /** See {@link describeUse}. */
  use: string;
}

/** As the plan says, with the weights on the processor where the GPU cannot have them. */
async function open(
  addon: NativeAddon,
  file: string,
  plan: GpuPlan,
  options: SessionOptions,
  onProgress: (share: number) => void,
): Promise<Opened> {
  const { weights, attention, problems } = plan;
  try {
    const model = await addon.loadModel(file, onProgress, weights);
    const session = openSession(addon, model, { ...options, ...(attention && { cuda: attention }) });
    const { name, problem } = session.device();
    const all = problem ? [...problems, problem] : problems;
    return {
      model,
      session,
      use: describeUse({ weights: model.info.gpu, attention: name, problems: all }),
    };
  } catch (error) {
    if (!weights || (error as { code?: string }).code !== 'GpuProblem') throw error;
    const without = { ...plan, weights: undefined, problems: [...problems, (error as Error).message] };
    return open(addon, file, without, options, onProgress);
  }
}

/** The model is closed again when there is no memory for a session. */
function openSession(addon: NativeAddon, model: NativeModel, options: SessionOptions): NativeSession {
  try {
    return addon.createSession(model, { ...options, kvType: 'f16', batch });
  } catch (error) {
    model.close();
    throw error;
  }
}

/** @throws UserError `environment` when it is not there, or not for this machine */
export function openAddon(): NativeAddon {
  try {
    return loadAddon();
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UserError(
      'environment',
      `The native engine cannot be loaded (${reason}): run \`npm run build\`.`,
      {
        cause: error,
      },
    );
  }
}

/** A loaded model with its one session and its part of the store. */
export class Runner {
  readonly shelf: Shelf;

  constructor(
    private readonly addon: NativeAddon,
    readonly model: NativeModel,
    readonly session: NativeSession,
    readonly store: Store,
    /** What was asked for when it was loaded. */
    readonly wanted: string,
    private readonly use?: string,
  ) {
    this.shelf = new Shelf(addon, store);
  }

  /** The most bytes of stored K/V and index to hold in memory; by default half of what the machine has. */
  limitMemory(bytes = totalmem() / 2): void {
    this.addon.setCapacity(bytes);
  }

  /** As it is now; the counts are since the start. */
  memory(): MemoryState {
    const { gpu, bytes } = this.model.info;
    const gpuBytes = (gpu ? bytes : 0) + this.session.device().bytes;
    return { ...memoryOf(this.addon), gpuBytes, ...(this.use !== undefined && { gpu: this.use }) };
  }

  /**
   * Puts tokens behind the tail, in chunks; resolves to the greedy next token when `sample`, else to -1.
   * @throws UserError `cancelled`
   */
  async forward(
    tokens: Int32Array,
    position: number,
    { sample, signal, onChunk }: { sample: boolean; signal: AbortSignal; onChunk?: (tokens: number) => void },
  ): Promise<number> {
    const cancel = () => this.session.cancel();
    signal.addEventListener('abort', cancel);
    try {
      let next = -1;
      for (let start = 0; start < tokens.length; start += batch) {
        throwIfCancelled(signal);
        const chunk = tokens.subarray(start, start + batch);
        next = await this.session.forward(chunk, position + start, sample && start + batch >= tokens.length);
        onChunk?.(chunk.length);
      }
      return next;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  close(): void {
    this.session.close();
    this.shelf.keepOnly(new Set());
    this.model.close();
  }
}
