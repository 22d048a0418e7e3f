import assert from 'node:assert/strict';
import test from 'node:test';
import { Queue } from '../../backend/engine/queue.ts';

const alive = new AbortController().signal;

/** Work that goes on until it is cancelled or let go. */
function endless(log: string[], name: string) {
  let finish = () => {};
  const work = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      log.push(`${name} starts`);
      finish = () => resolve(name);
      signal.addEventListener('abort', () => {
        log.push(`${name} stops`);
        reject(new Error('cancelled'));
      });
    });
  return { work, finish: () => finish() };
}

/** All that can happen without waiting for the outside has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('spare work is cancelled by other work, and begins again after it', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const reading = endless(log, 'reading');
  const read = queue.spare(alive, reading.work);
  await settled();
  const question = queue.run(alive, () => {
    log.push('question');
    return Promise.resolve(42);
  });
  assert.equal(await question, 42);
  await settled();
  assert.deepEqual(log, ['reading starts', 'reading stops', 'question', 'reading starts']);
  reading.finish();
  assert.equal(await read, 'reading');
});

test('spare work waits for all other work, however it was asked for', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const job = (name: string) => () => {
    log.push(name);
    return Promise.resolve();
  };
  await Promise.all([
    queue.spare(alive, job('reading')),
    queue.run(alive, job('first')),
    queue.run(alive, job('second')),
  ]);
  assert.deepEqual(log, ['first', 'second', 'reading']);
});

test('spare work that a question waits for goes before all other, which goes on after it', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const index = endless(log, 'index');
  const indexed = queue.spare(alive, index.work);
  await settled();
  const question = endless(log, 'question');
  const asked = queue.spare(alive, question.work, { isAwaited: true });
  await settled();
  const next = queue.spare(alive, () => Promise.resolve(log.push('next')), { isAwaited: true });
  question.finish();
  await Promise.all([asked, next]);
  await settled();
  assert.deepEqual(log, ['index starts', 'index stops', 'question starts', 'next', 'index starts']);
  index.finish();
  await indexed;
});

test('spare work that fails by itself is not begun again', async () => {
  const queue = new Queue();
  await assert.rejects(
    queue.spare(alive, () => Promise.reject(new Error('the disk is full'))),
    /full/,
  );
  await queue.idle();
});

test('spare work that is cancelled by its own signal is given up, also while it waits', async () => {
  for (const isRunning of [true, false]) {
    const queue = new Queue();
    const log: string[] = [];
    const own = new AbortController();
    const blocker = endless(log, 'question');
    const asked = isRunning ? undefined : queue.run(alive, () => blocker.work(alive));
    const read = assert.rejects(queue.spare(own.signal, endless(log, 'reading').work), /ancelled/);
    await settled();
    own.abort();
    await read;
    blocker.finish();
    await asked;
    await queue.idle();
    assert.equal(log.filter((line) => line === 'reading starts').length, isRunning ? 1 : 0);
  }
});

test('work that is asked for in the very turn in which the queue runs empty is done', async () => {
  const queue = new Queue();
  for (let turns = 0; turns < 12; turns++) {
    await queue.run(alive, () => Promise.resolve());
    for (let i = 0; i < turns; i++) await Promise.resolve();
    await queue.run(alive, () => Promise.resolve());
  }
});
