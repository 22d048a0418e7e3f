/** What the block cache reads before anybody waits for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addon, SLOT, cost, makeSegment, slotsOf, add, refsOf, range, until } from './cache-segments.ts';

test('who does not wait gets what is there, and the rest has been read ahead for the next time', async () => {
  const segment = makeSegment('late', 6, [range(10).map(() => 16)]);
  const cache = new addon.Cache(SLOT, 100 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  cache.acquire(0, refsOf(id, [2, 5]), true);
  const { missing, data } = cache.acquire(0, refsOf(id, [1, 2, 4, 5, 6]), false);
  assert.deepEqual([...missing], [0, 2, 4]);
  assert.ok(Buffer.concat([slotsOf(segment, 0, 2), slotsOf(segment, 0, 5)]).equals(data));
  assert.equal(cache.counters().late, 3);
  await until(() => cache.counters().prefetched === 3);
  const again = cache.acquire(0, refsOf(id, [1, 2, 4, 5, 6]), false);
  assert.equal(again.missing.length, 0);
  assert.ok(Buffer.concat([1, 2, 4, 5, 6].map((c) => slotsOf(segment, 0, c))).equals(again.data));
});

test('what was read ahead is a hit, and costs nothing more', async () => {
  const segment = makeSegment('ahead', 7, [range(60).map(() => 16), range(60).map(() => 12)]);
  const cache = new addon.Cache(SLOT, 300 * cost(SLOT));
  const id = add(cache, segment);
  cache.prefetch(0, refsOf(id, range(60)));
  cache.prefetch(1, refsOf(id, range(60)));
  await until(() => cache.counters().prefetched === 120);
  const { bytes } = cache.counters();
  assert.equal(bytes, 60 * (16 + 12) * SLOT);
  cache.beginStep();
  for (const head of [0, 1]) {
    const { data } = cache.acquire(head, refsOf(id, range(60)), true);
    assert.ok(Buffer.concat(range(60).map((c) => slotsOf(segment, head, c))).equals(data));
  }
  assert.deepEqual(cache.counters(), { ...cache.counters(), hits: 120, foreseen: 120, misses: 0, bytes });
  cache.acquire(0, refsOf(id, range(60)), true);
  assert.equal(cache.counters().foreseen, 120);
});

test('who looks ahead gets the rows that are there, which stay, and counts nothing; the rest is read ahead', async () => {
  const segment = makeSegment('foresee', 14, [range(10).map(() => 16)]);
  const cache = new addon.Cache(SLOT, 10 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  cache.acquire(0, refsOf(id, [2, 5]), true);
  cache.endStep();
  const before = cache.counters();
  cache.beginStep();
  const { missing, data } = cache.foresee(0, refsOf(id, [1, 2, 5]));
  assert.deepEqual([...missing], [0]);
  assert.ok(Buffer.concat([slotsOf(segment, 0, 2), slotsOf(segment, 0, 5)]).equals(data));
  await until(() => cache.counters().prefetched === 1);
  const { hits, misses, late } = cache.counters();
  assert.deepEqual({ hits, misses, late }, { hits: before.hits, misses: before.misses, late: before.late });
  // Room for five: the two that were handed out make none for others.
  assert.equal(cache.acquire(0, refsOf(id, [6, 7, 8, 9]), true).missing.length, 1);
  assert.equal(cache.foresee(0, refsOf(id, [2, 5])).missing.length, 0);
});

test('a request that is overtaken is dropped; those of other heads are not', async () => {
  const segment = makeSegment('overtaken', 8, [range(9).map(() => 8), range(9).map(() => 8)]);
  const cache = new addon.Cache(SLOT, 100 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  cache.setCapacity(90 * cost(SLOT)); // nothing is read ahead until the step is over
  cache.prefetch(0, refsOf(id, [1, 2, 3]));
  cache.prefetch(1, refsOf(id, [4, 5]));
  cache.acquire(0, refsOf(id, [7]), true);
  cache.prefetch(0, refsOf(id, [8]));
  assert.equal(cache.counters().prefetched, 0);
  cache.endStep();
  await until(() => cache.counters().prefetched === 3);
  assert.equal(cache.counters().dropped, 3);
  cache.beginStep();
  assert.deepEqual([...cache.acquire(0, refsOf(id, [1, 2, 3, 7, 8]), false).missing], [0, 1, 2]);
});

test('the queue is bounded: when it is full the oldest requests go', async () => {
  const clusters = 9000;
  const segment = makeSegment('queue', 9, [range(clusters).map(() => 1)]);
  const cache = new addon.Cache(SLOT, clusters * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  cache.setCapacity((clusters + 1) * cost(SLOT));
  cache.prefetch(0, refsOf(id, range(clusters)));
  assert.equal(cache.counters().dropped, clusters - 8192);
  cache.endStep();
  await until(() => cache.counters().prefetched === 8192);
  cache.beginStep();
  const { missing } = cache.acquire(0, refsOf(id, range(clusters)), false);
  assert.deepEqual([...missing], range(clusters - 8192));
});
