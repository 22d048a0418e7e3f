/**
 * `node --import tsx test/cuda/figures.ts FILE`: the tables of what gpu.sh measured on a GPU (build/cuda/gpu-DATE.jsonl).
 * docs/cuda.md gets them between its two marks; without a GPU nothing stands there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';

/** A line of bench.cu. */
export interface Bench {
  what?: undefined;
  device: string;
  clusters: number;
  hitPercent: number;
  copyGBs: number;
  us: Record<string, number>;
  scoreShare: number;
  attendShare: number;
  /** Of what a copy over the bus reaches, as attention reads what is not on the device. */
  missShare: number;
}

/** A line of compare.py. */
export interface Compare {
  what: 'compare';
  device: string;
  torch: string;
  tokens: number;
  batch: number;
  notRun?: string;
  /** Minimum, median, maximum; or why a peer was not run. */
  msPerLayer?: Record<string, [number, number, number] | string>;
  budget?: number;
  timesFaster?: number | null;
  relativeL2?: number | [];
}

type Figure = Bench | Compare;

const isCompare = (figure: Figure): figure is Compare => figure.what === 'compare';

const table = (rows: readonly (readonly (string | number)[])[]) =>
  rows
    .flatMap((row, i) => [row, ...(i === 0 ? [row.map(() => '---')] : [])])
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');

const OWN = 'RepoWave';

function comparison(figures: readonly Compare[]): string {
  const rows = figures.map(({ tokens, batch, notRun, msPerLayer = {}, timesFaster, relativeL2, budget }) => {
    const spread = (name: string) => {
      const times = msPerLayer[name];
      return Array.isArray(times) ? `${times[1]} (${times[0]} … ${times[2]})` : '–';
    };
    const peers = Object.keys(msPerLayer).filter((name) => name !== OWN && Array.isArray(msPerLayer[name]));
    const fastest = peers.sort((a, b) => Number(msPerLayer[a]![1]) - Number(msPerLayer[b]![1]))[0];
    if (notRun !== undefined) return [tokens, batch, `not run: ${notRun}`, '', '', '', ''];
    return [
      ...[tokens, batch, spread(OWN)],
      fastest === undefined ? 'not run' : `${fastest}: ${spread(fastest)}`,
      timesFaster ?? '–',
      budget ?? '–',
      typeof relativeL2 === 'number' ? relativeL2 : '–',
    ];
  });
  const head = ['tokens', 'batch', 'RepoWave, ms a layer', 'fastest exact attention of PyTorch, ms a layer'];
  return table([[...head, 'times faster', 'tokens retrieved', 'relative L2'], ...rows]);
}

function kernels(figures: readonly Bench[]): string {
  const names = [...new Set(figures.flatMap(({ us }) => Object.keys(us)))];
  return table([
    [
      'clusters',
      'on the device',
      ...names.map((name) => `${name}, µs`),
      'score, of copying',
      'attend, of copying',
      'misses, of the bus',
    ],
    ...figures.map(({ clusters, hitPercent, us, scoreShare, attendShare, missShare }) => [
      ...[clusters, `${hitPercent} %`, ...names.map((name) => us[name] ?? '–')],
      ...[scoreShare, attendShare, missShare].map((share) => `${Math.round(100 * share)} %`),
    ]),
  ]);
}

/** @param text lines of JSON @param date the day they were measured. @returns Markdown */
export function figuresOf(text: string, date: string): string {
  const figures = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Figure);
  const [compared, timed] = [figures.filter(isCompare), figures.filter((one) => one.what === undefined)];
  const devices = [...new Set(figures.map(({ device }) => device))].join(', ');
  const copying = timed[0] ? `; copying within the device reaches ${timed[0].copyGBs} GB/s` : '';
  return [
    `Measured on ${date}, ${devices}${copying}. Synthetic K and V, heads of 128, four query heads each, minimum and maximum in brackets.`,
    ...(compared.length > 0 ? [comparison(compared)] : []),
    ...(timed.length > 0 ? [kernels(timed)] : []),
  ].join('\n\n');
}

const [BEGIN, END] = ['<!-- figures of a GPU -->', '<!-- end of figures -->'];

/** @returns the document with other figures between its marks */
export function withFigures(document: string, figures: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the document lacks ${BEGIN} … ${END}`);
  return `${document.slice(0, begin + BEGIN.length)}\n\n${figures}\n\n${document.slice(end)}`;
}

async function main([file = '']: string[]): Promise<void> {
  const date = /gpu-(\d{4}-\d\d-\d\d)\.jsonl$/.exec(file)?.[1];
  if (date === undefined) throw new Error('usage: node --import tsx test/cuda/figures.ts …/gpu-DATE.jsonl');
  const document = path.resolve(import.meta.dirname, '../../docs/cuda.md');
  const text = withFigures(fs.readFileSync(document, 'utf8'), figuresOf(fs.readFileSync(file, 'utf8'), date));
  fs.writeFileSync(document, await format(text, { parser: 'markdown', printWidth: 120 }));
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
