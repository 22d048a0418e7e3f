import { timingSafeEqual } from 'node:crypto';
import { createServer, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { UserError } from '../errors.ts';

/** Where to listen: on this machine only and on any free port, unless something else is said. */
export interface Address {
  host: string;
  /** 0 is any free one. */
  port: number;
}

/** `HOST:PORT`, as in the environment variable. */
export function parseAddress(text = '127.0.0.1:0'): Address {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(text) ?? [];
  if (!host || Number(port) > 65_535) throw new UserError('usage', `${text} is no address: write HOST:PORT.`);
  return { host, port: Number(port) };
}

/**
 * Listens and hands over every WebSocket whose client knows the token.
 * @returns the port
 */
export async function listen(
  token: string,
  { host, port }: Address,
  onClient: (socket: WebSocket) => void,
): Promise<number> {
  const http = createServer((_request, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 64 << 20 });
  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = refusalOf(request, token);
    if (refusal) return refuse(socket, refusal);
    sockets.handleUpgrade(request, socket, head, onClient);
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, resolve);
  });
  return (http.address() as AddressInfo).port;
}

/** The HTTP status to refuse this upgrade with, before anything is accepted. */
function refusalOf(request: IncomingMessage, token: string): 401 | 403 | undefined {
  // Only browsers send Origin: a web page has no business here, whatever it knows.
  if (request.headers.origin !== undefined) return 403;
  const given = Buffer.from(request.headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  const equal = given.length === expected.length && timingSafeEqual(given, expected);
  return equal ? undefined : 401;
}

function refuse(socket: Duplex, status: number): void {
  // end() alone leaves the other half to the stranger, for as long as it likes.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
