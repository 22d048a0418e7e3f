/** Starts a backend and speaks to it: what the command line and the tests use. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RequestType, RequestType0 } from 'vscode-jsonrpc';
import {
  CancellationTokenSource,
  ResponseError,
  type CancellationToken,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import { WebSocket } from 'ws';
import { throwIfCancelled, UserError } from './errors.ts';
import {
  progress,
  PROTOCOL_VERSION,
  TOKEN_VARIABLE,
  type ErrorData,
  type Handshake,
  type Progress,
} from './protocol.ts';
import { connectionOver } from './transport.ts';

const handshakeMs = 20_000;
/** LSP's error code. */
const requestCancelled = -32800;

export interface BackendProcess {
  child: ChildProcess;
  handshake: Handshake;
  token: string;
}

export interface StartOptions {
  token?: string;
  /** Where the backend's log goes: `inherit` shows it. */
  stderr?: 'inherit' | 'ignore' | 'pipe';
  env?: NodeJS.ProcessEnv;
}

/**
 * Spawns a backend and waits for its handshake. The child ends when this process does.
 * @throws UserError `backendUnavailable`
 */
export async function startBackend(options: StartOptions = {}): Promise<BackendProcess> {
  const token = options.token || randomBytes(32).toString('hex');
  const child = spawn(process.execPath, entry(), {
    stdio: ['pipe', 'pipe', options.stderr ?? 'inherit'],
    env: { ...process.env, ...options.env, [TOKEN_VARIABLE]: token },
    // Ctrl+C in a terminal reaches the whole group; it is the client that decides what it means.
    detached: true,
  });
  try {
    return { child, handshake: await readHandshake(child), token };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** The bundle beside this one; from sources, main.ts through the same loader that runs this file. */
function entry(): string[] {
  const bundle = fileURLToPath(new URL('./backend.mjs', import.meta.url));
  if (existsSync(bundle)) return [bundle];
  return ['--import', 'tsx', fileURLToPath(new URL('./main.ts', import.meta.url))];
}

async function readHandshake(child: ChildProcess): Promise<Handshake> {
  const { stdout } = child;
  if (!stdout) throw new Error('The backend has no stdout.');
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(timer);
      reject(
        new UserError(
          'backendUnavailable',
          `The backend ${what}: run \`repowave doctor\` to see what is missing.`,
        ),
      );
    };
    const timer = setTimeout(() => fail(`did not answer within ${handshakeMs / 1000} seconds`), handshakeMs);
    child.once('error', (error) => fail(`could not be started (${error.message})`));
    child.once('exit', (code, signal) => fail(`ended at once (${signal ?? `code ${code}`})`));
    createInterface(stdout).once('line', (line) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(line) as Handshake);
      } catch {
        fail('said something unexpected at its start');
      }
    });
  });
}

/** A connection to a backend that has accepted this client. */
export class Client {
  private constructor(
    private readonly connection: MessageConnection,
    private readonly socket: WebSocket,
  ) {}

  /** @throws UserError `unauthorized`, `backendUnavailable` or `protocolMismatch` */
  static async connect(port: number, token: string, protocol = PROTOCOL_VERSION): Promise<Client> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${token}` },
    });
    await opened(socket, port);
    const connection = connectionOver(socket, () => socket.terminate());
    connection.onClose(() => connection.dispose());
    connection.listen();
    const client = new Client(connection, socket);
    try {
      await client.guard(
        connection.sendRequest('initialize', {
          processId: null,
          rootUri: null,
          capabilities: {},
          initializationOptions: { protocol },
        }),
      );
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /**
   * Sends a request; progress arrives through `onProgress` and `signal` cancels it.
   * @throws UserError with the backend's words, or `backendUnavailable` when it died
   */
  async request<P extends object, R>(
    type: RequestType<P, R, ErrorData>,
    params: P,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (value: Progress) => void } = {},
  ): Promise<R> {
    const partialResultToken = randomBytes(8).toString('hex');
    const listener = onProgress && this.connection.onProgress(progress, partialResultToken, onProgress);
    try {
      return await this.cancellable(signal, (token) =>
        this.connection.sendRequest<R>(type.method, { ...params, partialResultToken }, token),
      );
    } finally {
      listener?.dispose();
    }
  }

  /** Sends a request without parameters; errors as {@link request}. */
  async request0<R>(type: RequestType0<R, ErrorData>, { signal }: { signal?: AbortSignal } = {}): Promise<R> {
    return this.cancellable(signal, (token) => this.connection.sendRequest<R>(type.method, token));
  }

  close(): void {
    this.socket.terminate();
  }

  private async cancellable<R>(
    signal: AbortSignal | undefined,
    send: (token: CancellationToken) => Promise<R>,
  ): Promise<R> {
    throwIfCancelled(signal);
    const cancellation = new CancellationTokenSource();
    const cancel = () => cancellation.cancel();
    signal?.addEventListener('abort', cancel);
    try {
      return await this.guard(send(cancellation.token));
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancellation.dispose();
    }
  }

  private async guard<R>(response: Promise<R>): Promise<R> {
    try {
      return await response;
    } catch (error) {
      const data = error instanceof ResponseError ? (error.data as ErrorData | undefined) : undefined;
      if (data) throw new UserError(data.name, (error as Error).message, { cause: error });
      // A request that is cancelled before its turn never reaches our handlers: the JSON-RPC layer answers.
      if (error instanceof ResponseError && error.code === requestCancelled) {
        throw new UserError('cancelled', 'Cancelled.', { cause: error });
      }
      if (this.socket.readyState === WebSocket.OPEN) throw error;
      throw new UserError(
        'backendUnavailable',
        'The backend ended unexpectedly: ask again, finished work is kept.',
        {
          cause: error,
        },
      );
    }
  }
}

async function opened(socket: WebSocket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('unexpected-response', (_request, response) => {
      socket.terminate();
      reject(
        response.statusCode === 401
          ? new UserError(
              'unauthorized',
              `The backend refused the token: take ${TOKEN_VARIABLE} from where it was started.`,
            )
          : new UserError('backendUnavailable', `Port ${port} is not a RepoWave backend: check the port.`),
      );
    });
    socket.once('error', (error) =>
      reject(
        new UserError(
          'backendUnavailable',
          `No backend answers on port ${port} (${error.message}): check the port.`,
        ),
      ),
    );
  });
}
