import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { lru, PagedCache, type Item } from '../reference/block-cache.ts';
import { createRandom } from '../reference/random.ts';
import {
  addon,
  PAGE_SLOTS,
  SLOT,
  cost,
  makeSegment,
  slotsOf,
  add,
  pagesOf,
  sum,
  refsOf,
  range,
  until,
  type Segment,
} from './cache-segments.ts';

test('checksums are those of RFC 3720, with and without the processor, in one piece or several', () => {
  const cases: [Uint8Array, number][] = [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from(range(32)), 0x46dd794e],
    [Buffer.from('123456789'), 0xe3069283],
    [new Uint8Array(0), 0],
  ];
  for (const [bytes, expected] of cases) {
    assert.equal(addon.crc32c(bytes, 0), expected);
    assert.equal(addon.crc32cPortable(bytes, 0), expected);
  }
  const { integer } = createRandom(1);
  for (let i = 0; i < 300; i++) {
    const bytes = Uint8Array.from({ length: integer(0, 300) }, () => integer(0, 255));
    const cut = integer(0, bytes.length);
    const whole = addon.crc32cPortable(bytes, 0);
    assert.equal(addon.crc32c(bytes, 0), whole);
    assert.equal(addon.crc32c(bytes.subarray(cut), addon.crc32c(bytes.subarray(0, cut), 0)), whole);
  }
});

test('every row is the token that the file holds, and what stays follows the reference, over random steps', () => {
  const { integer, uniform } = createRandom(2);
  const heads = 3;
  for (let round = 0; round < 12; round++) {
    const segments = range(3).map((i) =>
      makeSegment(
        `random-${round}-${i}`,
        round * 10 + i,
        range(heads).map(() => range(integer(1, 40)).map(() => integer(1, 40))),
      ),
    );
    const pages = integer(10, 250);
    const cache = new addon.Cache(SLOT, pages * cost(SLOT));
    assert.equal(cache.capacity(), pages * cost(SLOT));
    const ids = segments.map((segment) => add(cache, segment));
    const reference = new PagedCache(pages, lru());
    const counted = { hit: 0, read: 0, noRoom: 0, bytes: 0 };
    for (let step = 0; step < 60; step++) {
      cache.beginStep();
      reference.beginStep();
      for (let head = 0; head < heads; head++) {
        const wanted = segments.flatMap((segment, i) =>
          segment.sizes[head]!.flatMap((_, cluster) => (uniform() < 0.15 ? [{ i, cluster }] : [])),
        );
        const items = wanted.map(({ i, cluster }): Item => ({
          key: (i * heads + head) * 1000 + cluster,
          pages: pagesOf(segments[i]!.sizes[head]![cluster]!),
        }));
        const outcomes = reference.acquire(items);
        const refs = Uint32Array.from(wanted.flatMap(({ i, cluster }) => [ids[i]!, cluster]));
        const { missing, data } = cache.acquire(head, refs, true);
        assert.deepEqual([...missing], outcomes.flatMap((outcome, i) => (outcome === 'noRoom' ? [i] : []))); // prettier-ignore
        const had = wanted.filter((_, i) => outcomes[i] !== 'noRoom');
        const expected = had.map(({ i, cluster }) => slotsOf(segments[i]!, head, cluster));
        assert.ok(Buffer.concat(expected).equals(data), `round ${round}, step ${step}, head ${head}`);
        outcomes.forEach((outcome, i) => {
          counted[outcome]++;
          const { i: segment, cluster } = wanted[i]!;
          if (outcome === 'read') counted.bytes += slotsOf(segments[segment]!, head, cluster).length;
        });
        assert.ok(cache.used() <= pages * PAGE_SLOTS * SLOT);
      }
      cache.endStep();
    }
    const { hits, misses, bytes, noRoom, failed, late } = cache.counters();
    assert.deepEqual(
      { hits, misses, bytes, noRoom, failed, late },
      {
        hits: counted.hit,
        misses: counted.read + counted.noRoom,
        bytes: counted.bytes,
        noRoom: counted.noRoom,
        failed: 0,
        late: 0,
      },
    );
  }
});

test('a cluster as long as a segment is read like any other, into pages scattered over the memory', () => {
  const segment = makeSegment('long', 3, [[5, 30_000, 7]]);
  const small = makeSegment('small', 30, [range(4000).map(() => 8)]);
  const cache = new addon.Cache(SLOT, 4000 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  cache.acquire(0, refsOf(add(cache, small), range(4000)), true);
  cache.endStep();
  cache.beginStep();
  const { data, missing } = cache.acquire(0, refsOf(id, [0, 1, 2]), true);
  assert.equal(missing.length, 0);
  assert.ok(segment.bytes.subarray(64).equals(data));
});

test('a flipped bit costs its own cluster, is counted for its segment and not read again', () => {
  const { integer } = createRandom(4);
  for (let i = 0; i < 100; i++) {
    const segment = makeSegment('flipped', i, [range(20).map(() => integer(1, 30))]);
    const whole = makeSegment('whole', 1000 + i, [[3, 4]]);
    const cluster = integer(0, 19);
    const copy = Buffer.from(segment.bytes);
    const at = segment.offsets[0]! + segment.starts[0]![cluster]! * SLOT;
    copy[at + integer(0, segment.sizes[0]![cluster]! * SLOT - 1)]! ^= 1 << integer(0, 7);
    fs.writeFileSync(segment.file, copy);
    const cache = new addon.Cache(SLOT, 200 * cost(SLOT));
    const ids = [add(cache, segment), add(cache, whole)];
    for (const time of [1, 2]) {
      cache.beginStep();
      const { missing, data } = cache.acquire(0, refsOf(ids[0]!, range(20)), true);
      cache.endStep();
      assert.deepEqual([...missing], [cluster]);
      const others = range(20).filter((c) => c !== cluster);
      assert.ok(Buffer.concat(others.map((c) => slotsOf(segment, 0, c))).equals(data));
      assert.equal(cache.counters().failed, time);
      assert.deepEqual(ids.map((id) => cache.damaged(id)), [1, 0]); // prettier-ignore
    }
    assert.equal(cache.used(), sum(others(segment, cluster)) * PAGE_SLOTS * SLOT);
  }
});

const others = (segment: Segment, cluster: number): number[] =>
  segment.sizes[0]!.filter((_, c) => c !== cluster).map(pagesOf);

test('what lies behind the end of a file that was cut is missing, and all before it is there', () => {
  const segment = makeSegment('cut', 5, [range(12).map(() => 16)]);
  fs.truncateSync(segment.file, segment.offsets[0]! + (7 * 16 + 3) * SLOT);
  const cache = new addon.Cache(SLOT, 100 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  const { missing, data } = cache.acquire(0, refsOf(id, range(12)), true);
  assert.deepEqual([...missing], [7, 8, 9, 10, 11]);
  assert.ok(Buffer.concat(range(7).map((c) => slotsOf(segment, 0, c))).equals(data));
  assert.equal(cache.damaged(id), 5);
});

test('what a step uses stays in place until it is over: the rest finds no room, reading ahead neither', async () => {
  const segment = makeSegment('pinned', 10, [range(40).map(() => 16)]);
  const cache = new addon.Cache(SLOT, 20 * cost(SLOT));
  const id = add(cache, segment);
  cache.beginStep();
  const first = cache.acquire(0, refsOf(id, range(10)), true);
  assert.equal(first.missing.length, 0);
  assert.deepEqual([...cache.acquire(0, refsOf(id, range(3, 20)), true).missing], [0, 1, 2]);
  assert.equal(cache.counters().noRoom, 3);
  cache.prefetch(0, refsOf(id, range(5, 30)));
  await until(() => cache.counters().dropped === 5);
  assert.ok(cache.acquire(0, refsOf(id, range(10)), true).data.every((byte, i) => byte === first.data[i]));
  cache.endStep();
  cache.beginStep();
  assert.equal(cache.acquire(0, refsOf(id, range(3, 20)), true).missing.length, 0);
});

test('a smaller capacity waits for the step, keeps to the cap and gives memory back; a larger one serves at once', () => {
  const slot = 4096;
  const segment = makeSegment('capacity', 11, [range(1024).map(() => 16)], slot);
  const cache = new addon.Cache(slot, 2048 * cost(slot));
  const id = add(cache, segment);
  const all = refsOf(id, range(1024));
  const read = (): number => {
    cache.beginStep();
    const { missing } = cache.acquire(0, all, true);
    cache.endStep();
    return missing.length;
  };
  assert.equal(read(), 0);
  assert.equal(cache.used(), 2048 * PAGE_SLOTS * slot);
  const before = anonymousBytes();
  cache.beginStep();
  cache.setCapacity(100 * cost(slot) + 7);
  assert.equal(cache.capacity(), 2048 * cost(slot));
  cache.endStep();
  assert.equal(cache.capacity(), 100 * cost(slot));
  assert.ok(cache.used() <= 100 * PAGE_SLOTS * slot);
  // 62 MiB of pages went; other memory of the process moves by a few.
  assert.ok(before - anonymousBytes() > 40 * 2 ** 20);
  assert.equal(read(), 1024 - 50);
  cache.setCapacity(300 * cost(slot));
  assert.equal(read(), 1024 - 150);
  cache.setCapacity(0);
  assert.equal(read(), 1024);
  assert.equal(cache.used(), 0);
  cache.setCapacity(2048 * cost(slot));
  assert.equal(read(), 0);
});

/** Memory of this process that is no file's. */
function anonymousBytes(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

test('a segment that is removed leaves its pages and its number to others, and none of its bytes', () => {
  const one = makeSegment('one', 12, [range(30).map(() => 16)]);
  const two = makeSegment('two', 13, [range(30).map(() => 16)]);
  const cache = new addon.Cache(SLOT, 60 * cost(SLOT));
  const id = add(cache, one);
  cache.beginStep();
  cache.acquire(0, refsOf(id, range(10)), true);
  cache.endStep();
  cache.prefetch(0, refsOf(id, range(30)));
  cache.removeSegment(id);
  assert.equal(cache.used(), 0);
  assert.equal(add(cache, two), id);
  cache.beginStep();
  const { data, missing } = cache.acquire(0, refsOf(id, range(30)), true);
  assert.equal(missing.length, 0);
  assert.ok(two.bytes.subarray(64).equals(data));
});

test('pages are pinned as they come and go, or none when the system refuses some', () => {
  const slot = 4096; // a page of the cache is a number of the system's
  const bytes = (pages: number) => pages * PAGE_SLOTS * slot;
  const cache = new addon.Cache(slot, 100 * cost(slot));
  assert.equal(cache.pinned(), -1);
  cache.pin(bytes(1000));
  assert.equal(cache.pinned(), bytes(100));
  for (const pages of [300, 250, 40, 0, 500]) {
    cache.setCapacity(pages * cost(slot));
    assert.equal(cache.pinned(), bytes(pages));
  }
  cache.setCapacity(1001 * cost(slot));
  assert.equal(cache.pinned(), -1);
  cache.setCapacity(200 * cost(slot));
  cache.pin(bytes(100));
  assert.equal(cache.pinned(), -1);
  cache.pin(bytes(200));
  assert.equal(cache.pinned(), bytes(200));
});
