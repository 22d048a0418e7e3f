/**
 * One client's connection: JSON-RPC over its WebSocket, LSP's handshake, and for every request the same wrapping:
 * checked parameters in, an AbortSignal for cancelling, errors out in the protocol's words.
 *
 * This is vscode-jsonrpc itself and not vscode-languageserver's `createConnection`, because that one ends the process
 * when any client says `exit` or disappears, and several clients share this process.
 */
import { once } from 'node:events';
import { ErrorCodes, ResponseError, type CancellationToken } from 'vscode-jsonrpc/node';
import type { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { asUserError } from '../engine/native-errors.ts';
import { log } from '../log.ts';
import {
  progress,
  PROTOCOL_VERSION,
  type ErrorData,
  type InitializeOptions,
  type Progress,
  type ProgressParams,
} from '../protocol.ts';
import { connectionOver } from '../transport.ts';
import { throwIfCancelled, UserError } from '../errors.ts';

/** What a handler may do beside returning its result. */
export interface Call {
  /** Fires on `$/cancelRequest` and when the client disappears. */
  signal: AbortSignal;
  /** Fires when the client disappears. */
  gone: AbortSignal;
  /** Sends progress to the client, if it asked for it. */
  report: (value: Progress) => void;
}

export interface Registry {
  on<P extends object, R>(
    type: RequestType<P, R, ErrorData>,
    schema: z.ZodType<P>,
    handler: (params: P, call: Call) => Promise<R>,
  ): void;
  on0<R>(type: RequestType0<R, ErrorData>, handler: (call: Call) => Promise<R>): void;
}

const requestCancelled = -32800;
const requestFailed = -32803;
const serverNotInitialized = -32002;

/** Serves one client until it goes away; what it still had running is then cancelled. */
export function serveConnection(socket: WebSocket, registerHandlers: (registry: Registry) => void): void {
  const connection = connectionOver(socket, (error) => log(`connection: ${error.message}`));
  const running = new Set<AbortController>();
  const gone = new AbortController();
  let initialized = false;
  connection.onClose(() => {
    gone.abort();
    for (const controller of running) controller.abort();
    connection.dispose();
  });
  connection.onError(([error]) => log(`connection: ${error.message}`));

  async function run<R>(
    token: CancellationToken,
    progressToken: string | number | undefined,
    handler: (call: Call) => Promise<R>,
  ): Promise<R | ResponseError<ErrorData>> {
    if (!initialized) {
      return new ResponseError(serverNotInitialized, 'The first message must be `initialize`.', {
        name: 'usage',
      });
    }
    const controller = new AbortController();
    running.add(controller);
    const listener = token.onCancellationRequested(() => controller.abort());
    // A request whose cancel overtook it comes with a token that never fires.
    if (token.isCancellationRequested) controller.abort();
    const report = (value: Progress) => {
      if (progressToken === undefined || controller.signal.aborted) return;
      connection.sendProgress(progress, progressToken, value).catch(() => controller.abort());
    };
    try {
      return await handler({ signal: controller.signal, gone: gone.signal, report });
    } catch (error) {
      return asResponseError(error);
    } finally {
      listener.dispose();
      running.delete(controller);
    }
  }

  connection.onRequest('initialize', (params: { initializationOptions?: Partial<InitializeOptions> }) => {
    const theirs = params.initializationOptions?.protocol;
    if (theirs !== PROTOCOL_VERSION) return protocolMismatch(theirs);
    initialized = true;
    return { capabilities: {}, serverInfo: { name: 'repowave' } };
  });
  connection.onRequest('shutdown', () => null);
  connection.onNotification('initialized', () => undefined);
  connection.onNotification('exit', () => socket.close());
  registerHandlers({
    on: (type, schema, handler) =>
      connection.onRequest(type.method, (raw: unknown, token: CancellationToken) =>
        run(token, progressTokenOf(raw), async (call) => handler(parse(schema, raw), call)),
      ),
    on0: (type, handler) =>
      // Some clients send `{}` or null where nothing is expected, so the token is whatever comes last.
      connection.onRequest(type.method, (...raw: unknown[]) =>
        run(raw.at(-1) as CancellationToken, undefined, (call) =>
          abandonable(() => handler(call), call.signal),
        ),
      ),
  });
  connection.listen();
}

/** Requests without parameters only look at things: a cancelled one is left to end by itself. */
async function abandonable<R>(work: () => Promise<R>, signal: AbortSignal): Promise<R> {
  throwIfCancelled(signal);
  const cancelled = once(signal, 'abort').then(() => throwIfCancelled(signal));
  return Promise.race([work(), cancelled as Promise<never>]);
}

function progressTokenOf(raw: unknown): string | number | undefined {
  return (raw as ProgressParams | null)?.partialResultToken;
}

function parse<P>(schema: z.ZodType<P>, raw: unknown): P {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? '';
  throw new UserError(
    'usage',
    `Parameter ${where} is not valid (${issue?.message ?? 'unknown'}): correct it and ask again.`,
  );
}

function protocolMismatch(theirs: number | undefined): ResponseError<ErrorData> {
  const older = theirs === undefined || theirs < PROTOCOL_VERSION ? 'client' : 'backend';
  return new ResponseError(
    requestFailed,
    `The client speaks protocol ${theirs ?? 'none'} and the backend ${PROTOCOL_VERSION}: update the ${older}, the older one.`,
    { name: 'protocolMismatch' },
  );
}

function asResponseError(error: unknown): ResponseError<ErrorData> {
  const known = asUserError(error);
  if (known === undefined) {
    log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const what = error instanceof Error ? error.message : String(error);
    return new ResponseError(
      ErrorCodes.InternalError,
      `RepoWave hit a defect (${what}): please report it together with the log.`,
      { name: 'internal' },
    );
  }
  const code =
    known.code === 'cancelled'
      ? requestCancelled
      : known.code === 'usage'
        ? ErrorCodes.InvalidParams
        : requestFailed;
  return new ResponseError(code, known.message, { name: known.code });
}
