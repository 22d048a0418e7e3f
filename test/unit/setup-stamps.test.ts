import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { acquireLock } from '../../scripts/lock.mjs';
import { isCurrent, stampFor } from '../../scripts/stamps.mjs';
import { at, build } from '../../scripts/paths.mjs';

function temporary(t: TestContext, parent: string): string {
  fs.mkdirSync(parent, { recursive: true });
  const folder = fs.mkdtempSync(path.join(parent, 'tmp-test-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

function makeProduct(t: TestContext) {
  const folder = temporary(t, build);
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')];
  fs.mkdirSync(input);
  fs.writeFileSync(path.join(input, 'a'), 'one');
  fs.writeFileSync(output, '');
  const relative = (file: string) => path.relative(at(), file);
  const product = { name: path.basename(folder), inputs: [relative(input)], outputs: [relative(output)] };
  t.after(() => fs.rmSync(path.join(build, 'stamps', `${product.name}.json`), { force: true }));
  return { product, file: path.join(input, 'a'), input, output };
}

test('something is current once stamped, until its inputs change in content', (t) => {
  const { product, file, input } = makeProduct(t);
  assert.equal(isCurrent(product), false);
  stampFor(product)();
  assert.equal(isCurrent(product), true);
  fs.utimesSync(file, 1, 1);
  assert.equal(isCurrent(product), true, 'a new time alone changes nothing');
  fs.writeFileSync(file, 'two');
  assert.equal(isCurrent(product), false);
  stampFor(product)();
  fs.writeFileSync(path.join(input, 'b'), '');
  assert.equal(isCurrent(product), false, 'a new file counts');
});

test('something whose output is gone, or whose making was interrupted, is not current', (t) => {
  const { product, output } = makeProduct(t);
  stampFor(product)();
  stampFor(product);
  assert.equal(isCurrent(product), false);
  stampFor(product)();
  fs.rmSync(output);
  assert.equal(isCurrent(product), false);
});

test('inputs that change while it is made leave it out of date', (t) => {
  const { product, file } = makeProduct(t);
  const stamp = stampFor(product);
  fs.writeFileSync(file, 'changed meanwhile');
  stamp();
  assert.equal(isCurrent(product), false);
});

test('a second set-up waits for the first', async (t) => {
  const file = path.join(temporary(t, os.tmpdir()), 'lock');
  const first = await acquireLock(file, () => assert.fail('nobody to wait for'));
  let waitsFor = 0;
  const second = await acquireLock(file, (pid) => {
    waitsFor = pid;
    first.release();
  });
  second.release();
  assert.equal(waitsFor, process.pid);
  assert.equal(fs.existsSync(file), false);
});

test('the lock of a process that is gone is taken over, even if its pid is in use again', async (t) => {
  const file = path.join(temporary(t, os.tmpdir()), 'lock');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  for (const stale of [`${child.pid} 123\n`, `${process.pid} 123\n`, `${child.pid} gone\n`]) {
    fs.writeFileSync(file, stale);
    const lock = await acquireLock(file, () => assert.fail(`waited for ${stale}`));
    lock.release();
    assert.equal(fs.existsSync(file), false);
  }
});

test('the lock of a set-up that was killed holds while a child of it is still at work', async (t) => {
  const file = path.join(temporary(t, os.tmpdir()), 'lock');
  const child = spawn('sleep', ['60']);
  const first = await acquireLock(file, () => assert.fail('nobody to wait for'));
  first.add(child.pid ?? 0);
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/^.*\n/, '1 123\n'));
  let waitsFor = 0;
  const second = await acquireLock(file, (pid) => {
    waitsFor = pid;
    child.kill();
  });
  second.release();
  assert.equal(waitsFor, child.pid);
});
