import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import iconv from 'iconv-lite';
import { decode, readRegularFile } from '../../backend/repo/text.ts';
import { tree } from './repo-helpers.ts';

test('UTF-8 comes out as it is, without byte order mark and with line feeds only', async () => {
  assert.equal(await decode(Buffer.from('\uFEFFa\r\nb\rc\n\r\nü€😀')), 'a\nb\nc\n\nü€😀');
});

test('UTF-16 is recognised by its byte order mark', async () => {
  for (const encoding of ['utf-16le', 'utf-16be'])
    assert.equal(await decode(iconv.encode('Größe\r\nx', encoding, { addBOM: true })), 'Größe\nx');
});

test('half a surrogate pair becomes the replacement character, so that text and its UTF-8 are the same', async () => {
  const text = await decode(Buffer.from([0xff, 0xfe, 0x61, 0x00, 0x00, 0xd8, 0x62, 0x00]));
  assert.equal(text, 'a\uFFFDb');
});

test('legacy encodings are recognised', async () => {
  const samples = {
    'windows-1251': '// Этот файл проверяет, игнорируется ли путь, и возвращает причину.\n',
    shift_jis: '// このファイルは無視されるかどうかを調べます。\n',
    gb18030: '// 这个文件检查路径是否被忽略\n',
    latin1: '// Größe der Änderung für Straßen\n',
  };
  for (const [encoding, line] of Object.entries(samples)) {
    const text = line.repeat(8);
    assert.equal(await decode(iconv.encode(text, encoding)), text, encoding);
  }
});

test('bytes that are no text give undefined', async () => {
  assert.equal(await decode(Buffer.from('almost\0text')), undefined);
  assert.equal(await decode(Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')), undefined);
  assert.equal(await decode(Buffer.from('%PDF-1.7\n%\u00e2\u00e3\n', 'latin1')), undefined);
});

test(
  'reading never follows a link, never waits for a pipe, and keeps to the limit',
  { timeout: 10_000 },
  async (t) => {
    const root = tree(t, { file: 'content' });
    symlinkSync('file', join(root, 'link'));
    execFileSync('mkfifo', [join(root, 'pipe')]);
    assert.equal((await readRegularFile(join(root, 'file'), 7)).bytes?.toString(), 'content');
    await assert.rejects(readRegularFile(join(root, 'link')), { code: 'ELOOP' });
    await assert.rejects(readRegularFile(join(root, 'pipe')), { code: 'ESTALE' });
    assert.equal((await readRegularFile(join(root, 'file'), 6)).bytes, undefined);
  },
);
