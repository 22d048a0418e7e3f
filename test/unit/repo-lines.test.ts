import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineMapOf, massPerLine, placeOf, type LineMap } from '../../backend/repo/lines.ts';
import { build, type Piece } from '../../backend/repo/segment.ts';
import { randomTokenizer, seeded } from './repo-helpers.ts';

function randomPieces(seed: number): Piece[] {
  const random = seeded(seed);
  const words = ['x', ' ', '\n', '\n\n', '€', '😀', 'word', '}\n'];
  return Array.from({ length: 1 + random(4) }, (_, index) => ({
    path: `f${index}.ts`,
    startLine: 1 + random(50),
    content: Array.from({ length: 1 + random(80) }, () => words[random(words.length)]!).join(''),
  }));
}

/** The place of a byte, reckoned naively from the pieces. */
function placeOfByte(preamble: string, pieces: Piece[], byte: number) {
  let offset = Buffer.byteLength(preamble);
  if (byte < offset) return undefined;
  for (const { path, startLine, content } of pieces) {
    const header = Buffer.byteLength(`// file: ${path}\n`);
    const length = Buffer.byteLength(content);
    const within = byte - offset - header;
    if (within < 0) return { path, line: null };
    if (within < length) {
      const before = Buffer.from(content).subarray(0, within).toString('latin1');
      return { path, line: startLine + before.split('\n').length - 1 };
    }
    if (within < length + 2) return { path, line: null };
    offset += header + length + 2;
  }
  return undefined;
}

test('every token has the place of its first byte, also after a round through JSON', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const pieces = randomPieces(seed);
    const preamble = seed % 2 ? '' : '// files of the repository\nf0.ts\n\n';
    const segment = await build(pieces, randomTokenizer(1 + (seed % 12)), preamble);
    const map = JSON.parse(JSON.stringify(lineMapOf(segment))) as LineMap;
    segment.tokens.forEach((_, token) => {
      const first = token === 0 ? 0 : segment.ends[token - 1]!;
      assert.deepEqual(
        placeOf(map, token),
        placeOfByte(preamble, pieces, first),
        `seed ${seed}, token ${token}`,
      );
    });
    assert.equal(placeOf(map, segment.tokens.length), undefined);
  }
});

test('mass per token sums up to the mass of its lines, and none is lost but that of the list', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const segment = await build(
      randomPieces(seed),
      randomTokenizer(7),
      '// files of the repository\nf0.ts\n\n',
    );
    const map = lineMapOf(segment);
    const random = seeded(seed);
    const mass = Float32Array.from(segment.tokens, () => random(4));
    const expected = new Map<string, number>();
    mass.forEach((value, token) => {
      const place = placeOf(map, token);
      if (!place || value === 0) return;
      const key = JSON.stringify(place);
      expected.set(key, (expected.get(key) ?? 0) + value);
    });
    const found = massPerLine(map, mass).map(({ path, line, mass: sum }) => [
      JSON.stringify({ path, line }),
      sum,
    ]);
    assert.deepEqual(new Map(found as [string, number][]), expected);
    assert.equal(found.length, expected.size);
  }
});

test('a segment that is only the list of files has no places', async () => {
  const segment = await build([], randomTokenizer(5), '// files of the repository\na.ts\n\n');
  const map = lineMapOf(segment);
  assert.deepEqual(map, { lead: segment.tokens.length, sources: [] });
  assert.deepEqual(massPerLine(map, new Float32Array(segment.tokens.length).fill(1)), []);
});
