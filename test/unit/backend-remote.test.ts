import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { shareFile } from '../../extension/backend/process.ts';
import { attachTo, RemoteRefused } from '../../extension/backend/remote.ts';

/** A server that answers everything with this status. */
async function answering(t: TestContext, status: number): Promise<string> {
  const server = createServer();
  server.on('upgrade', (_request, socket) =>
    socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\n\r\n`),
  );
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RemoteRefused);
  assert.match(error.message, message);
  return true;
};

test('a backend elsewhere is attached to with its token, and told why it has gone', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  server.on('connection', (socket, { headers }) => {
    assert.equal(headers.authorization, 'Bearer secret');
    socket.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { ended, name } = await attachTo(`ws://127.0.0.1:${port}`, 'secret');
  assert.equal(name, `ws://127.0.0.1:${port}`);
  assert.equal(await ended, 'the connection was closed');
});

test('a refused token, a missing one and a stranger are told apart in words', async (t) => {
  await assert.rejects(attachTo(await answering(t, 401), 'x'), refused(/refuses the token: enter the one/));
  await assert.rejects(attachTo(await answering(t, 401), undefined), refused(/wants a token/));
  await assert.rejects(attachTo(await answering(t, 404), 'x'), refused(/no RepoWave backend \(HTTP 404\)/));
});

test('an address where nobody answers says how to start one, and a bad one that it is bad', async () => {
  await assert.rejects(
    attachTo('ws://127.0.0.1:1', 'x'),
    refused(/Nobody answers at .*run `repowave serve`/),
  );
  await assert.rejects(attachTo('gpu-box', 'x'), refused(/no address like ws:/));
});

test('windows with another version of the extension do not share', () => {
  const file = shareFile('/state', '/extensions/repowave-1/dist/backend.mjs');
  assert.equal(file, shareFile('/state', '/extensions/repowave-1/dist/backend.mjs'));
  assert.notEqual(file, shareFile('/state', '/extensions/repowave-2/dist/backend.mjs'));
  assert.match(file, /^\/state\/backend-[0-9a-f]{16}\.json$/);
});
