import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { Folder } from '../../backend/context/folder.ts';

/** A folder in which the name `taken` cannot be written to. */
function folder(t: TestContext): Folder {
  const directory = mkdtempSync(path.join(tmpdir(), 'repowave-folder-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(path.join(directory, 'taken'));
  return new Folder(directory);
}

test('a text is there as a whole, and nothing beside it', async (t) => {
  const texts = folder(t);
  assert.equal(await texts.read('a/b'), undefined);
  await texts.write('a/b', 'old');
  await texts.write('a/b', 'new');
  assert.equal(await texts.read('a/b'), 'new');
  assert.deepEqual(readdirSync(path.join(texts.directory, 'a')), ['b']);
});

test('a text that cannot be written leaves nothing behind', async (t) => {
  const texts = folder(t);
  await assert.rejects(texts.write('taken', 'text'));
  assert.deepEqual(readdirSync(texts.directory), ['taken']);
});

test('a cache that cannot be written is done without', async (t) => {
  await folder(t).writeCache('taken', 'text');
});
