import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { connectionOver } from '../../backend/transport.ts';

test('an end that dies in the middle of a message leaves nothing running', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  server.on('connection', (socket) => {
    const half = 'Content-Length: 100\r\n\r\n{"half":';
    socket.once('message', () => socket.send(half, () => socket.terminate()));
  });
  await once(server, 'listening');
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();

  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(socket, 'open');
  const connection = connectionOver(socket, () => undefined);
  const closed = new Promise<void>((resolve) => void connection.onClose(resolve));
  connection.listen();
  await connection.sendNotification('hello');
  await closed;
  assert.equal(timers(), before);
});
