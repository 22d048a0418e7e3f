/** How fast the repository reader takes a tree, beside git listing it and a plain read of every file. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';
import { compare, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import { REPOMIX, runRepomix } from './repomix.ts';
import type { ScanSample } from './scan-ours.ts';
import { FILE_BYTES, writeTree } from './tree.ts';

const FILES = { quick: 5_000, full: 100_000 };

/** `large` is 100,000 files in 1 GB of the temporary folder, removed afterwards; `repository` the tree of `--repo`. */
export const scan: Suite = {
  cases: ['large', 'repository'],
  async run(name, options) {
    if (name === 'repository') return besideRepomix(name, options);
    const { quick, peerOnly, say } = options;
    const files = quick ? FILES.quick : FILES.full;
    const root = mkdtempSync(join(tmpdir(), 'repowave-bench-'));
    try {
      say(`scan ${name}: writing ${files} files`);
      writeTree(root, files);
      return await measure(name, root, files, peerOnly);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};

/** The first scan and one that finds nothing changed, both beside the peer. */
async function measure(name: string, root: string, files: number, peerOnly: boolean): Promise<Figure[]> {
  const peer = [files / (await listAndRead(root))];
  const sample = peerOnly ? null : await runOurs(root);
  const shared = {
    suite: 'scan',
    case: name,
    unit: 'files/s',
    peer,
    peerName: 'git ls-files + read of each file',
    conditions: {
      files,
      bytesPerFile: FILE_BYTES,
      fileSystemCache: 'warm',
      ...(sample && { peakMiB: sample.peakMiB }),
    },
  };
  return [
    compare({ ...shared, metric: 'filesPerSecond', ours: sample ? [files / sample.firstSeconds] : [] }),
    compare({
      ...shared,
      metric: 'filesPerSecondUnchanged',
      ours: sample ? [files / sample.unchangedSeconds] : [],
    }),
  ];
}

/** Our first scan of a tree, with what it leaves out and why, beside repomix making one text of it. */
async function besideRepomix(name: string, { repo, quick, peerOnly, say }: SuiteOptions): Promise<Figure[]> {
  const ours: number[] = [];
  const peer: number[] = [];
  let notRun: string | undefined;
  let [files, bytes] = [0, 0];
  for (let round = 1; round <= (quick ? 1 : 3); round++) {
    say(`scan ${name}, round ${round}`);
    const sample = await runOurs(repo);
    [files, bytes] = [sample.files, sample.bytes];
    if (!peerOnly) ours.push(sample.firstSeconds);
    const repomix = await runRepomix(repo);
    if ('notRun' in repomix) notRun = repomix.notRun;
    else peer.push(repomix.seconds);
  }
  const figure = (metric: string, unit: string, amount: number): Figure =>
    compare({
      ...{ suite: 'scan', case: name, metric, unit, peerName: REPOMIX },
      ours: ours.map((seconds) => amount / seconds),
      peer: peer.map((seconds) => amount / seconds),
      ...(notRun !== undefined && { notRun }),
      conditions: { files, bytes, fileSystemCache: 'warm' },
    });
  return [figure('filesPerSecond', 'files/s', files), figure('megabytesPerSecond', 'MB/s', bytes / 1e6)];
}

/** In a process of its own, whose peak memory is then that of the scan alone. */
async function runOurs(root: string): Promise<ScanSample> {
  const { code, output } = await capture(process.execPath, [
    '--import',
    'tsx',
    at('test/bench/scan-ours.ts'),
    root,
  ]);
  if (code !== 0) throw new Error(`The scan failed: ${output.trim()}`);
  return JSON.parse(output.slice(output.lastIndexOf('{'))) as ScanSample;
}

/** @returns seconds */
async function listAndRead(root: string): Promise<number> {
  const start = performance.now();
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 1 << 30,
  });
  for (const path of listed.toString().split('\0').filter(Boolean)) await readFile(join(root, path));
  return (performance.now() - start) / 1_000;
}
