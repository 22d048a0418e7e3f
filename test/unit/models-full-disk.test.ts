import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { PartialFile } from '../../backend/models/partial.ts';

test('a disk that fills up during a download is told as such, and what is there stays', async (t) => {
  const mount = mkdtempSync(path.join(tmpdir(), 'repowave-full-'));
  t.after(() => rmSync(mount, { recursive: true }));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount]);
  if (status !== 0) return t.skip('only root can mount a small disk');
  try {
    const file = path.join(mount, 'tiny.gguf.partial');
    const partial = await PartialFile.open(file, 1_000_000);
    await partial.append(Buffer.alloc(100_000));
    await assert.rejects(
      partial.append(Buffer.alloc(400_000)),
      (error: unknown) =>
        error instanceof UserError && error.code === 'noSpace' && error.message.includes(mount),
    );
    await partial.close();
    assert.ok(statSync(file).size >= 100_000);
  } finally {
    spawnSync('umount', [mount]);
  }
});
