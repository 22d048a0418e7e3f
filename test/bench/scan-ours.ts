/** Scans a tree in a process of its own: `node --import tsx scan-ours.ts ROOT` prints a {@link ScanSample}. */
import { scan } from '../../backend/repo/scan.ts';

export interface ScanSample {
  firstSeconds: number;
  /** Of a second scan, which finds nothing changed. */
  unchangedSeconds: number;
  peakMiB: number;
  /** What was kept. */
  files: number;
  bytes: number;
}

async function main(root: string): Promise<void> {
  const cache = new Map();
  let kept: { bytes: number }[] = [];
  const seconds = async () => {
    const start = performance.now();
    kept = (await scan({ root, cache })).files;
    return (performance.now() - start) / 1_000;
  };
  const sample: ScanSample = {
    firstSeconds: await seconds(),
    unchangedSeconds: await seconds(),
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    files: kept.length,
    bytes: kept.reduce((sum, file) => sum + file.bytes, 0),
  };
  process.stdout.write(JSON.stringify(sample));
}

void main(process.argv[2] ?? '');
