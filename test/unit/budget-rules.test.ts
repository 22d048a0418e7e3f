import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chosen, isPinnedAlone, leavingOut } from '../../extension/budget/rules.ts';

const read = { isOut: false };
const out = { isOut: true };

test('the first choice makes the file, and taking it back leaves its lists empty', () => {
  const text = chosen('', { path: 'docs/', ...read }, 'out');
  assert.equal(text, '{\n  "out": [\n    "/docs/"\n  ]\n}\n');
  assert.deepEqual(JSON.parse(chosen(text, { path: 'docs/', ...out }, 'in')), { out: [] });
});

test('comments, keys of others and the way it is indented stay', () => {
  const text = `{
\t// ours
\t"$schema": "x",
\t"out": [
\t\t"*.snap" // made by machines
\t]
}
`;
  const after = chosen(text, { path: 'a.ts', ...read }, 'pin');
  assert.ok(after.startsWith(text.slice(0, text.lastIndexOf('\n}'))), after);
  assert.match(after, /,\n\t"pinned": \[\n\t\t"\/a\.ts"\n\t\]\n\}\n$/);
  const more = leavingOut(text, ['tests/', '*.snap', 'docs/']);
  assert.equal(more, text.replace('\t\t"*', '\t\t"tests/",\n\t\t"docs/",\n\t\t"*'));
});

test('lists on one line stay on one line', () => {
  const text = '{\n  "out": ["*.snap", "/b"],\n  "in": ["x"] // ours\n}\n';
  assert.equal(leavingOut(text, ['a', 'c']), text.replace('["*', '["a", "c", "*'));
  assert.equal(chosen(text, { path: 'b', ...out }, 'in'), text.replace(', "/b"', ''));
  assert.equal(
    chosen(text, { path: 'b', ...read }, 'pin'),
    text.replace('["x"]', '["x"],\n  "pinned": [\n    "/b"\n  ]'),
  );
  assert.equal(leavingOut('{"in": ["x"]}', ['a', 'b']), '{"in": ["x"], "out": ["a", "b"]}');
  assert.equal(leavingOut('{"out": [], "in": []}', ['a']), '{"out": ["a"], "in": []}');
});

test('commas and comments in odd places are understood', () => {
  assert.equal(chosen('{"out": ["/b",],}', { path: 'b', ...out }, 'in'), '{"out": [],}');
  assert.equal(chosen('{"pinned": ["/a", "/b",]}', { path: 'b', ...read }, 'unpin'), '{"pinned": ["/a",]}');
  assert.equal(leavingOut('{ // none\r\n}\r\n', ['a']), '{\r\n  "out": [\r\n    "a"\r\n  ] // none\r\n}\r\n');
  assert.equal(leavingOut('{\n\t"out": null\n}', ['a']), '{\n\t"out": [\n\t\t"a"\n\t]\n}');
});

test('no comment goes with an entry, and none comes to another one', () => {
  const text =
    '{\n  "out": [\n    // first\n    "/a", // why a\n    /* second */ "/b", // why b\n    "/c" // why c\n  ]\n}\n';
  const without = (path: string) => chosen(text, { path, ...out }, 'in');
  assert.equal(without('a'), text.replace('"/a", ', ''));
  assert.equal(without('b'), text.replace('"/b", ', ''));
  assert.equal(without('c'), text.replace('"/b",', '"/b"').replace('"/c" ', ''));
  assert.equal(
    chosen('{"out": [/* none */]}', { path: 'a', ...read }, 'out'),
    '{"out": [   "/a"/* none */]}',
  );
});

test('what something else leaves out is brought back by name', () => {
  const text = '{"out": ["*.md"]}';
  assert.deepEqual(JSON.parse(chosen(text, { path: 'README.md', ...out }, 'in')), {
    out: ['*.md'],
    in: ['/README.md'],
  });
});

test('a folder that is left out takes the decisions inside it along', () => {
  const text = '{"out": ["/src/a.ts", "/srcs/"], "in": ["/src/dist/"], "pinned": ["/src/", "/b.ts"]}';
  assert.deepEqual(JSON.parse(chosen(text, { path: 'src/', ...read }, 'out')), {
    out: ['/src/', '/srcs/'],
    in: [],
    pinned: ['/b.ts'],
  });
});

test('a place is named literally, whatever its characters', () => {
  const text = chosen('', { path: 'app/[id]/#a !.ts ', ...read }, 'pin');
  assert.deepEqual(JSON.parse(text), { pinned: ['/app/\\[id\\]/\\#a \\!.ts\\ '] });
  assert.equal(isPinnedAlone(text, 'app/[id]/#a !.ts '), true);
  assert.equal(isPinnedAlone('{"pinned": ["*.ts"]}', 'a.ts'), false);
  assert.deepEqual(JSON.parse(chosen(text, { path: 'app/[id]/#a !.ts ', ...read }, 'unpin')), { pinned: [] });
});

test('a file that cannot be understood is not touched', () => {
  for (const text of ['{"out": [', '[]', '"x"'])
    assert.throws(() => chosen(text, { path: 'a', ...read }, 'out'), /please correct it first/);
});
