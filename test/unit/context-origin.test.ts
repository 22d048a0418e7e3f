import assert from 'node:assert/strict';
import test from 'node:test';
import { originsOf, rebuild } from '../../backend/context/origin.ts';
import { lineMapOf } from '../../backend/repo/lines.ts';
import { pack } from '../../backend/repo/pack.ts';
import { evenTokenizer } from './repo-helpers.ts';

test('every segment is put together again from its files: parts, groups, the list, cuts within a line', async () => {
  const files: Record<string, string> = {
    'a/one.ts': 'let one;\n',
    'a/two.ts': 'let zwölf = "€";\n',
    'long.ts': `${'z€'.repeat(900)}\n${'  call();\n\n'.repeat(200)}`,
    'z.ts': 'x\n'.repeat(150),
  };
  const tokenize = evenTokenizer(3);
  const readText = (path: string) => Promise.resolve(files[path]!);
  const limits = { longest: 400, small: 60, group: 200, sequential: 0, total: 1e6 };
  const packed = await pack(
    Object.keys(files).map((path) => ({ path })),
    { readText, tokenize, limits },
  );
  assert.ok(packed.length > 6);
  const origins = originsOf(packed);
  for (const [i, segment] of packed.entries()) {
    const again = await rebuild(lineMapOf(segment), origins[i]!, readText, tokenize);
    assert.equal(again.text, segment.text);
  }
});
