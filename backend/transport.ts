import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from 'vscode-jsonrpc/node';
import type { MessageConnection } from 'vscode-jsonrpc/node';
import { createWebSocketStream, type WebSocket } from 'ws';

/** JSON-RPC with Content-Length framing over an open WebSocket, for both of its ends. */
export function connectionOver(socket: WebSocket, onError: (error: Error) => void): MessageConnection {
  const duplex = createWebSocketStream(socket);
  // ws never emits 'close' on the duplex by itself: without it requests under way would wait for ever.
  socket.once('close', () => duplex.destroy());
  duplex.on('error', onError);
  const reader = new StreamMessageReader(duplex);
  // Its timer for a message that has come in half starts anew for ever, and so would keep a process alive whose
  // other end has died in the middle of one.
  reader.partialMessageTimeout = 0;
  return createMessageConnection(reader, new StreamMessageWriter(duplex));
}
