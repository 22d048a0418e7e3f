import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket } from 'ws';
import { PROTOCOL_VERSION, TOKEN_VARIABLE } from '../../backend/protocol.ts';
import type { Handshake } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';

const HANDSHAKE_MS = 30_000;
/** How long the backend may take to end by itself. */
const GRACE_MS = 3_000;

/** A backend that runs: `stream` carries the JSON-RPC messages, `ended` tells why it is gone, in words. */
export interface BackendProcess {
  readonly pid: number;
  readonly stream: Duplex;
  readonly ended: Promise<string>;
  /** Closes its stdin, at which it ends, and makes sure that it does. */
  dispose(): void;
}

/** Starts `script` under the Node that runs this code, and connects to it. `onLog` gets what it prints. */
export async function startBackend(script: string, onLog: (line: string) => void): Promise<BackendProcess> {
  const token = randomBytes(32).toString('hex');
  const child = spawn(process.execPath, [script], {
    stdio: 'pipe',
    // In the desktop VS Code `execPath` is Electron, which is a Node with this variable.
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', [TOKEN_VARIABLE]: token },
  });
  const dispose = () => {
    child.stdin.destroy();
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  };
  child.stdin.on('error', () => undefined); // it may be gone already: `ended` tells
  createInterface(child.stderr).on('line', onLog);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal ? t('signal {0}', signal) : t('exit code {0}', code ?? 0)),
    );
  });
  try {
    const stdout = createInterface(child.stdout);
    const { port, pid } = await handshake(child, stdout, ended);
    stdout.on('line', onLog);
    return { pid, stream: await connect(port, token), ended, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function handshake(
  child: ChildProcessWithoutNullStreams,
  stdout: Interface,
  ended: Promise<string>,
): Promise<Handshake> {
  const timeout = AbortSignal.timeout(HANDSHAKE_MS);
  const line = await Promise.race([
    once(stdout, 'line', { signal: timeout }).then(([text]) => String(text)),
    ended.then((reason) => Promise.reject(new Error(t('it ended with {0}', reason)))),
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

async function connect(port: number, token: string): Promise<Duplex> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${token}` },
  });
  await once(socket, 'open');
  const stream = createWebSocketStream(socket);
  // When the peer dies ws only ends the stream; the JSON-RPC reader waits for its `close`.
  socket.once('close', () => stream.destroy());
  stream.on('error', () => undefined); // followed by `close`
  return stream;
}
