/**
 * Prints what a token would cost on three GPUs if memory, tensor cores and the bus were the only limits:
 * `node --import tsx test/cuda/roofline.ts`. Bytes and products are counted while the kernels run in the emulator
 * (roofline.cu). Predictions, not measurements: launches, waiting and latencies come on top.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const folder = path.join(root, 'build/cuda');

/** Llama 3.1 8B, the model of RetroInfer's figures; its weights in 16 bits. */
const MODEL = { layers: 32, kvHeads: 8, headSize: 128, weightBytes: 16.06e9 };
const CLUSTER_TOKENS = 16;
/** Of 16 x 16 by 16 x 8. */
const PRODUCT_FLOPS = 2 * 16 * 16 * 8;
/** Share of what the data sheets promise that is likely to be had. */
const REACHED = 0.85;
/** Share of retrieved clusters that are on the GPU: RetroInfer's mean (section 4.3: 0.79 to 0.94). */
const HITS = 0.93;
/** A cluster that is missed is read by the step that misses it, and copied for the next one. */
const CROSSINGS = 2;
/** Data sheets: memory and bus in bytes a second, dense half-precision products with sums in 32 bits. */
const CARDS = [
  { name: 'RTX 4090', memory: 1008e9, flops: 165e12, bus: 32e9 },
  { name: 'A100 80 GB', memory: 2039e9, flops: 312e12, bus: 32e9 },
  { name: 'H100 SXM', memory: 3350e9, flops: 989e12, bus: 64e9 },
];
const PUBLISHED = `Published for RetroInfer, for comparison:
  128K: 0.72 ms for one layer of an 8B model (arXiv 2505.02922, section 4.3), so 23 ms for 32
  120K: 28.9 ms a token at batch 1 (34.6 tokens/s), 480K: 39.8 ms (25.1 tokens/s), measured by others on an A100`;

interface Kernel {
  name: string;
  bytes: number;
  flops: number;
}

/** Compiled as for ThreadSanitizer, and linked without it: roofline.cu has its functions. */
function build(): string {
  const [object, program] = [path.join(folder, 'roofline.o'), path.join(folder, 'roofline')];
  fs.mkdirSync(folder, { recursive: true });
  const flags = ['-std=c++20', '-O2', '-Wall', '-Wno-unknown-pragmas', '-I', path.join(root, 'native')];
  const counted = ['-fsanitize=thread', '-U__SANITIZE_THREAD__'];
  const source = path.join(import.meta.dirname, 'roofline.cu');
  execFileSync('c++', ['-x', 'c++', ...flags, ...counted, '-c', source, '-o', object], { stdio: 'inherit' });
  execFileSync('c++', [object, '-o', program], { stdio: 'inherit' });
  return program;
}

/** What the kernels do for one layer, all KV heads: for one token and so many clusters, or for a pass of 512 tokens. */
function count(program: string, what: number | 'pass'): Kernel[] {
  const lines = execFileSync(program, [String(what)], { encoding: 'utf8' })
    .trim()
    .split('\n');
  return lines.map((line) => {
    const [kernel, read, written, products] = line.split('\t');
    return {
      name: kernel!.replace(/\W*(\w+)_kernel.*/, '$1'),
      bytes: MODEL.kvHeads * (Number(read) + Number(written)),
      flops: MODEL.kvHeads * Number(products) * PRODUCT_FLOPS,
    };
  });
}

function printKernels(title: string, kernels: Kernel[]): void {
  console.log(`\n${title}`.padEnd(26) + 'MB      GFLOP');
  for (const { name, bytes, flops } of kernels)
    console.log(
      `  ${name.padEnd(20)}${(bytes / 1e6).toFixed(2).padStart(8)}${(flops / 1e9).toFixed(2).padStart(10)}`,
    );
}

/** Seconds for one layer, limited by memory or products. */
const layerSeconds = (kernels: Kernel[], memory: number, flops: number): number =>
  kernels.reduce((sum, kernel) => sum + Math.max(kernel.bytes / (REACHED * memory), kernel.flops / flops), 0);

/** A pass of 512 tokens behind a frame of 608, and the clusters of those tokens. */
function printPass(kernels: Kernel[]): void {
  printKernels('512 tokens, one layer', kernels);
  console.log('Predicted, ms a pass'.padEnd(24) + 'attention   k-means');
  const attends = ({ name }: Kernel) => name.startsWith('prefill');
  for (const { name, memory, flops } of CARDS) {
    const [attention, means] = [kernels.filter(attends), kernels.filter((kernel) => !attends(kernel))].map(
      (own) => (1000 * MODEL.layers * layerSeconds(own, memory, flops)).toFixed(2),
    );
    console.log(`  ${name.padEnd(20)}${attention!.padStart(11)}${means!.padStart(10)}`);
  }
}

function print(kernels: Kernel[], tokens: number): void {
  printKernels(`${tokens / 1024}K tokens, one layer`, kernels);
  console.log('Predicted, ms a token'.padEnd(24) + 'attention  bus at 93 % hits  weights     sum');
  const retrieved = Math.max(1024, Math.floor(tokens / 50)) * 2 * MODEL.headSize * 2 * MODEL.kvHeads;
  for (const { name, memory, flops, bus } of CARDS) {
    const parts = [
      layerSeconds(kernels, memory, flops) * MODEL.layers,
      (CROSSINGS * (1 - HITS) * retrieved * MODEL.layers) / (REACHED * bus),
      MODEL.weightBytes / (REACHED * memory),
    ].map((seconds) => 1000 * seconds);
    const [attention, misses, weights, sum] = [...parts, parts.reduce((a, b) => a + b)].map((ms) =>
      ms.toFixed(1),
    );
    console.log(
      `  ${name.padEnd(20)}${attention!.padStart(11)}${misses!.padStart(18)}${weights!.padStart(9)}${sum!.padStart(8)}`,
    );
  }
}

const program = build();
console.log('Predictions from counted bytes and products. Nothing here was measured on a GPU.');
for (const tokens of [1 << 17, 1 << 20]) print(count(program, tokens / CLUSTER_TOKENS), tokens);
printPass(count(program, 'pass'));
console.log(`\n${PUBLISHED}`);
