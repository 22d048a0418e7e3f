import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { Client, type BackendProcess } from '../../backend/client.ts';
import { ModelsRequest, PROTOCOL_VERSION } from '../../backend/protocol.ts';
import { ended, Lab } from './harness.ts';

const exitOf = async (backend: BackendProcess): Promise<number | null> => {
  await ended(backend);
  return backend.child.exitCode;
};

/** Backends that share one file; `linger` seconds they stay without clients. */
class SharedLab extends Lab {
  readonly file = path.join(this.root, 'state', 'backend.json');

  constructor(t: TestContext) {
    super(t, { 'main.ts': 'export {};\n' });
  }

  shared(linger = 60): Promise<BackendProcess> {
    return this.start({ REPOWAVE_SHARE: this.file, REPOWAVE_LINGER: String(linger) });
  }

  async reach({ handshake }: BackendProcess): Promise<void> {
    const client = await Client.connect(handshake.port, handshake.token ?? '');
    assert.ok((await client.request0(ModelsRequest)).length > 0);
    client.close();
  }

  leave(text: string): void {
    mkdirSync(path.dirname(this.file), { recursive: true });
    writeFileSync(this.file, text);
  }
}

test('a second backend leaves, and says where the first one is', async (t) => {
  const lab = new SharedLab(t);
  const first = await lab.shared();
  const second = await lab.shared();
  assert.deepEqual(second.handshake, first.handshake);
  assert.equal(first.handshake.pid, first.child.pid);
  assert.equal(await exitOf(second), 0);
  await lab.reach(second);
});

test('of several that are started at once one stays', async (t) => {
  const lab = new SharedLab(t);
  const all = await Promise.all([lab.shared(), lab.shared(), lab.shared()]);
  const pids = new Set(all.map(({ handshake }) => handshake.pid));
  assert.equal(pids.size, 1);
  await Promise.all(all.map((backend) => lab.reach(backend)));
});

test('only the user can read the file', async (t) => {
  const lab = new SharedLab(t);
  // As a careless process may have left it.
  lab.leave('{}');
  await lab.shared();
  assert.equal(statSync(lab.file).mode & 0o777, 0o600);
});

test("the folder that it makes for the file is the user's as well", async (t) => {
  const lab = new SharedLab(t);
  await lab.shared();
  assert.equal(statSync(path.dirname(lab.file)).mode & 0o777, 0o700);
});

test('a file that is left over is not believed', async (t) => {
  const lab = new SharedLab(t);
  const stranger = await lab.start();
  const { port, pid } = stranger.handshake;
  const left = {
    'no JSON': '{"port":',
    'no handshake': '{"port":"x"}',
    'a port where nobody is': JSON.stringify({ port: 1, pid, protocol: PROTOCOL_VERSION, token: 'x' }),
    "another's port": JSON.stringify({ port, pid, protocol: PROTOCOL_VERSION, token: 'x' }),
    'another protocol': JSON.stringify({ port, pid, protocol: 0, token: stranger.token }),
  };
  for (const [what, text] of Object.entries(left)) {
    lab.leave(text);
    const backend = await lab.shared();
    assert.equal(backend.handshake.pid, backend.child.pid, what);
    assert.equal(
      (JSON.parse(readFileSync(lab.file, 'utf8')) as { pid: number }).pid,
      backend.child.pid,
      what,
    );
    await lab.reach(backend);
  }
});

test('when the first one is killed, the next takes its place', async (t) => {
  const lab = new SharedLab(t);
  const first = await lab.shared();
  first.child.kill('SIGKILL');
  await ended(first);
  const next = await lab.shared();
  assert.equal(next.handshake.pid, next.child.pid);
  await lab.reach(next);
});

test('it ends when its last client has gone, and takes the file away; its parent does not matter', async (t) => {
  const lab = new SharedLab(t);
  const backend = await lab.shared(3);
  const { port, token = '' } = backend.handshake;
  const [one, two] = [await Client.connect(port, token), await Client.connect(port, token)];
  backend.child.stdin?.end();
  one.close();
  await two.request0(ModelsRequest);
  two.close();
  assert.equal(await exitOf(backend), 0);
  assert.equal(existsSync(lab.file), false);
});

test('one that nobody ever comes to ends as well', async (t) => {
  const lab = new SharedLab(t);
  assert.equal(await exitOf(await lab.shared(0.1)), 0);
});

test('one that ends leaves the file of its successor alone', async (t) => {
  const lab = new SharedLab(t);
  const first = await lab.shared();
  const successor = JSON.stringify({ ...first.handshake, pid: 1 });
  lab.leave(successor);
  first.child.kill('SIGTERM');
  await ended(first);
  assert.equal(readFileSync(lab.file, 'utf8'), successor);
});
