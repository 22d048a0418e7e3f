import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'node:test';
import { WebSocket } from 'ws';
import { Client, startBackend } from '../../backend/client.ts';
import { AskRequest, PROTOCOL_VERSION, StoreRequest } from '../../backend/protocol.ts';
import { ended, Lab, logged } from './harness.ts';

test('the handshake names a port that answers, the process and the protocol', async (t) => {
  const lab = new Lab(t, {});
  const { handshake, child } = await lab.start();
  assert.deepEqual(handshake, { port: handshake.port, pid: child.pid, protocol: PROTOCOL_VERSION });
  assert.ok(handshake.port > 0);
});

test('a wrong token is refused before the upgrade', async (t) => {
  const lab = new Lab(t, {});
  const { handshake } = await lab.start();
  await assert.rejects(Client.connect(handshake.port, 'wrong'), { code: 'unauthorized' });
});

test('a web page is refused even with the right token', async (t) => {
  const lab = new Lab(t, {});
  const { handshake, token } = await lab.start();
  const socket = new WebSocket(`ws://127.0.0.1:${handshake.port}`, {
    headers: { authorization: `Bearer ${token}`, origin: 'https://example.org' },
  });
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  assert.equal(response.statusCode, 403);
  socket.terminate();
});

test('another protocol version is refused with who must be updated', async (t) => {
  const lab = new Lab(t, {});
  const { handshake, token } = await lab.start();
  await assert.rejects(Client.connect(handshake.port, token, PROTOCOL_VERSION + 1), {
    code: 'protocolMismatch',
    message: /update the backend/,
  });
  await assert.rejects(Client.connect(handshake.port, token, PROTOCOL_VERSION - 1), {
    code: 'protocolMismatch',
    message: /update the client/,
  });
});

test('a port where nothing listens is reported as such', async () => {
  await assert.rejects(Client.connect(1, 'any'), { code: 'backendUnavailable', message: /port 1 / });
});

test('the backend goes when its stdin ends', async (t) => {
  const lab = new Lab(t, {});
  const backend = await lab.start();
  backend.child.stdin?.end();
  await ended(backend);
  assert.equal(backend.child.exitCode, 0);
});

test('the backend goes on SIGTERM', async (t) => {
  const lab = new Lab(t, {});
  const backend = await lab.start();
  backend.child.kill('SIGTERM');
  await ended(backend);
  assert.equal(backend.child.exitCode, 0);
});

test('the backend goes even while a model is being loaded', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const backend = await lab.start({ FAKE_LOADING: '1' });
  const asked = assert.rejects(lab.ask(await lab.connect(backend)), { code: /cancelled|backendUnavailable/ });
  await logged(backend, 'fake: loading');
  backend.child.stdin?.end();
  await Promise.all([asked, ended(backend)]);
});

test('a request without parameters can be cancelled', async (t) => {
  const client = await new Lab(t, {}).client();
  const signal = AbortSignal.abort();
  await assert.rejects(client.request0(StoreRequest, { signal }), { code: 'cancelled' });
});

test('a refused client cannot keep its half of the socket open', async (t) => {
  const { handshake } = await new Lab(t, {}).start();
  const socket = connect({ port: handshake.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  socket.resume();
  await once(socket, 'end');
  // Writing to a closed socket is answered with a reset; to a half-open one it would go on for ever.
  const timer = setInterval(() => socket.write('x'), 10);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
});

test('one client leaving does not disturb another', async (t) => {
  const lab = new Lab(t, {});
  const backend = await lab.start();
  const [first, second] = [await lab.connect(backend), await lab.connect(backend)];
  first.close();
  assert.equal((await second.request0(StoreRequest)).bytes, 0);
});

test('a backend that dies fails the request under way instead of leaving it open', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'const wait = "HOLD-HERE";\n' });
  const backend = await lab.start({ FAKE_HOLD: 'HOLD-HERE' });
  const client = await lab.connect(backend);
  const asked = lab.ask(client, 'Where?', (value) => {
    if (value.kind === 'phase' && value.phase === 'load') backend.child.kill('SIGKILL');
  });
  await assert.rejects(asked, { code: 'backendUnavailable' });
});

test('parameters that make no sense are a usage error that names them', async (t) => {
  const lab = new Lab(t, {});
  const client = await lab.client();
  await assert.rejects(client.request(AskRequest, lab.params('Where?', { root: 'relative' })), {
    code: 'usage',
    message: /\broot\b/,
  });
});

test('a backend that cannot start says so', async (t) => {
  const lab = new Lab(t, {});
  const started = startBackend({ stderr: 'ignore', env: lab.env({ NODE_OPTIONS: '--no-such-option' }) });
  await assert.rejects(started, { code: 'backendUnavailable' });
});
