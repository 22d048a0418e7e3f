import { once } from 'node:events';
import type { Duplex } from 'node:stream';

const OPEN_MS = 10_000;

export interface BackendStream {
  stream: Duplex;
  closed: Promise<void>;
}

/** The backend is there, and does not want this client: the HTTP status tells why. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

/** Opens the stream of JSON-RPC messages to a backend. Throws {@link Refused}, or what the network says. */
export async function openStream(url: string, token: string): Promise<BackendStream> {
  const { createWebSocketStream, WebSocket } = await import('ws'); // loaded with the first request
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    handshakeTimeout: OPEN_MS,
    headers: { authorization: `Bearer ${token}` },
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, { statusCode = 0 }) => {
      reject(new Refused(statusCode));
      socket.terminate();
    });
  });
  const stream = createWebSocketStream(socket);
  const closed = once(socket, 'close').then(() => undefined);
  // When the peer dies ws only ends the stream; the JSON-RPC reader waits for its `close`.
  socket.once('close', () => stream.destroy());
  stream.on('error', () => undefined); // followed by `close`
  return { stream, closed };
}
