/** A process that stores segments, killed at any moment: what is finished stays, and nothing else looks finished. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { after, test } from 'node:test';
import { createRandom } from '../reference/random.ts';
import { addon, addonPath } from './wave-addon.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-crash-'));
after(() => fs.rmSync(folder, { recursive: true }));

const KILLS = 50;

/** Writes segments without end and tells the name of each once it is stored. */
const WRITER = `
const addon = require(process.argv[1]);
const [, , folder, run] = process.argv;
const [tokens, kvHeads, d] = [400, 2, 64];
const layer = { tokens, bias: 0, position: 0 };
for (const part of ['k', 'v']) layer[part] = new Float32Array(tokens * kvHeads * d).map((_, i) => Math.sin(i * i));
for (let i = 0; ; i++) {
  const name = run + '-' + i + '.seg';
  addon.writeSegment(folder + '/' + name, { kvHeads, dk: d, dv: d, f16: true }, [layer, layer], '{}', 1, []);
  require('node:fs').writeSync(1, name + '\\n');
}`;

/** @returns the names of the segments that were stored when the process was killed, some turns after a file appeared */
async function storeUntilKilled(run: number, turns: number): Promise<string[]> {
  const writer = spawn(process.execPath, ['-e', WRITER, addonPath, folder, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  writer.stdout.setEncoding('utf8').on('data', (text: string) => (told += text));
  const closed = once(writer, 'close');
  while (!fs.readdirSync(folder).some((name) => name.startsWith(`${run}-`))) await setImmediate();
  for (let i = 0; i < turns; i++) await setImmediate();
  writer.kill('SIGKILL');
  const [, signal] = (await closed) as [number | null, string];
  assert.equal(signal, 'SIGKILL');
  return told.split('\n').slice(0, -1);
}

test(`after ${KILLS} kills every finished segment is there and whole, and all else has a temporary name`, async (t) => {
  const { integer } = createRandom(50);
  let [finished, torn] = [0, 0];
  for (let run = 0; run < KILLS; run++) {
    const stored = await storeUntilKilled(run, integer(0, 3000));
    const files = fs.readdirSync(folder);
    for (const name of stored) assert.ok(files.includes(name), `${name} is lost`);
    for (const name of files) {
      if (name.endsWith('.seg')) addon.verifySegment(path.join(folder, name));
      else assert.match(name, /^\d+-\d+\.seg\.tmp-\d+$/);
      fs.rmSync(path.join(folder, name));
    }
    finished += stored.length;
    torn += files.filter((name) => !name.endsWith('.seg')).length;
  }
  t.diagnostic(`${finished} segments finished, ${torn} cut off`);
  assert.ok(finished > 0 && torn > 0);
});
