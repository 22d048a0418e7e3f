import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CancellationToken, LogOutputChannel } from 'vscode';
import type { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { LanguageClient, LanguageClientOptions } from 'vscode-languageclient/node';
import { progress, PROTOCOL_VERSION } from '../../backend/protocol.ts';
import type { InitializeOptions, Progress } from '../../backend/protocol.ts';
import type { BackendState } from '../events.ts';
import { t } from '../l10n.ts';
import type { BackendProcess } from './process.ts';
import { RemoteRefused } from './remote.ts';
import { Restarts } from './restarts.ts';
import type { StartBackend } from './start.ts';

/** Thrown when there is no backend to ask, with a sentence for the user. */
export class BackendUnavailable extends Error {
  /** Whether another token would help, or another address. */
  readonly refused: boolean;

  constructor(message: string, { refused = false } = {}) {
    super(message);
    this.refused = refused;
  }
}

interface Connection {
  client: LanguageClient;
  process: BackendProcess;
}

/** The backend of this window: started or found by the first request, and again when it has gone. */
export class Backend {
  #connection: Promise<Connection> | undefined;
  readonly #restarts = new Restarts();

  constructor(
    private readonly start: StartBackend,
    private readonly log: LogOutputChannel,
    private readonly onState: (state: BackendState) => void,
  ) {}

  get running(): boolean {
    return this.#connection !== undefined;
  }

  /** Sends a request; its progress comes in order and before the result. */
  async request<P extends object, R, E>(
    type: RequestType<P, R, E> | RequestType0<R, E>,
    params: P,
    onProgress: (progress: Progress) => void,
    cancellation: CancellationToken,
  ): Promise<R> {
    const { client, process } = await this.#connect();
    const partialResultToken = randomUUID();
    const listener = client.onProgress(progress, partialResultToken, onProgress);
    try {
      // By name: the client brings another copy of vscode-jsonrpc, whose `RequestType` is another class.
      return await client.sendRequest<R>(type.method, { ...params, partialResultToken }, cancellation);
    } catch (error) {
      if (!process.stream.destroyed) throw error;
      const reason = await process.ended;
      throw new BackendUnavailable(
        t('The backend stopped ({0}) before it had answered. Please try again.', reason),
      );
    } finally {
      listener.dispose();
    }
  }

  /** Ends the process, also for other windows: they start it again as well. */
  async restart(): Promise<void> {
    const process = await this.stop();
    process?.kill();
    await process?.ended;
    this.#restarts.forget();
    await this.#connect();
  }

  /** Lets go of the backend; the next request finds it again, or starts another one. */
  async stop(): Promise<BackendProcess | undefined> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.onState('stopped');
    try {
      const { client, process } = (await connection) ?? {};
      await client?.stop().finally(() => process?.release());
      return process;
    } catch (error) {
      this.log.debug(`While stopping the backend: ${String(error)}`);
      return undefined;
    }
  }

  #connect(delayMs = 0): Promise<Connection> {
    return (this.#connection ??= this.#open(delayMs));
  }

  async #open(delayMs: number): Promise<Connection> {
    this.onState('starting');
    try {
      await sleep(delayMs);
      const process = await this.start((line) => this.log.info(line));
      this.log.info(`Connected to the backend, ${process.name}.`);
      const connection = { client: await this.#createClient(process), process };
      await connection.client.start();
      this.onState('running');
      return connection;
    } catch (error) {
      this.log.error(error instanceof Error ? error : String(error));
      this.#connection = undefined;
      this.onState('failed');
      if (error instanceof RemoteRefused) throw new BackendUnavailable(error.message, { refused: true });
      const reason = error instanceof Error ? error.message : String(error);
      throw new BackendUnavailable(t('The backend could not be started: {0}. The log tells more.', reason));
    }
  }

  async #createClient(process: BackendProcess): Promise<LanguageClient> {
    const { CloseAction, ErrorAction, QuietClient, RevealOutputChannelOn } =
      await import('./language-client.ts');
    const initializationOptions: InitializeOptions = { protocol: PROTOCOL_VERSION };
    const options: LanguageClientOptions = {
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions,
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          if (client.isRunning()) void this.#restartAfterCrash(process);
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
    };
    const transports = () => Promise.resolve({ reader: process.stream, writer: process.stream });
    const client: LanguageClient = new QuietClient('repowave', 'RepoWave', transports, options);
    return client;
  }

  /** A new client for every process: one way for the first start and for all others. */
  async #restartAfterCrash(process: BackendProcess): Promise<void> {
    process.release();
    this.#connection = undefined;
    const delay = this.#restarts.next(Date.now());
    this.log.error(`The backend, ${process.name}, is gone (${await process.ended}).`);
    if (delay === null) this.onState('failed');
    else await this.#connect(delay).catch(() => undefined); // told by the state, and by the next request
  }
}
