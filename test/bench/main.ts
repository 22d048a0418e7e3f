/** `npm run bench -- SUITE [--case NAME] [--quick] [--json] [--plot]`. */
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { endOnSignals } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';
import { deepDecode } from './depth.ts';
import { depths } from './depths.ts';
import { table, together, type Figure, type Suite } from './figure.ts';
import { latency } from './latency.ts';
import { writeCharts } from './plot.ts';
import { memory } from './memory.ts';
import { repositoryPrefill } from './repository.ts';
import { roofline } from './roofline.ts';
import { scan } from './scan.ts';
import { decode, prefill } from './speed.ts';

const suites: Record<string, Suite> = {
  decode: together(decode, deepDecode, depths),
  prefill: together(prefill, repositoryPrefill),
  latency,
  roofline,
  memory,
  scan,
};
const usage = `usage: npm run bench -- SUITE [--case NAME] [--quick] [--json] [--plot] [--model ID|PATH] [--threads N] [--repo DIR] [--peer-only]
${Object.entries(suites)
  .map(([name, { cases }]) => `  ${name}: ${cases.join(', ')}`)
  .join('\n')}
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      case: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      plot: { type: 'boolean', default: false },
      model: { type: 'string', default: 'qwen2.5-coder-0.5b' },
      threads: { type: 'string', default: String(Math.min(8, os.availableParallelism())) },
      repo: { type: 'string', default: at() },
      'peer-only': { type: 'boolean', default: false },
    },
  });
  const [name = ''] = positionals;
  const suite = Object.hasOwn(suites, name) ? suites[name] : undefined;
  const threads = Number(values.threads);
  if (!suite || positionals.length > 1 || !(Number.isInteger(threads) && threads > 0)) return fail(usage);
  if (values.case !== undefined && !suite.cases.includes(values.case)) return fail(usage);
  endOnSignals();
  const figures: Figure[] = [];
  for (const caseName of values.case === undefined ? suite.cases : [values.case]) {
    const results = await suite.run(caseName, {
      ...{ quick: values.quick, model: values.model, threads, peerOnly: values['peer-only'] },
      // npm runs scripts in the package's folder.
      repo: path.resolve(process.env.INIT_CWD ?? process.cwd(), values.repo),
      say: (text) => void process.stderr.write(`${text}\n`),
    });
    figures.push(...results);
    if (values.json) for (const figure of results) process.stdout.write(`${JSON.stringify(figure)}\n`);
  }
  if (values.plot) {
    for (const file of writeCharts(at('docs', 'charts'), figures)) process.stderr.write(`drawn: ${file}\n`);
  }
  if (!values.json) process.stdout.write(`${table(figures)}\n`);
  return 0;
}

function fail(text: string): number {
  process.stderr.write(text);
  return 2;
}

void main()
  .catch((error: unknown) => fail(`${error instanceof Error ? error.message : String(error)}\n`))
  .then((code) => {
    process.exitCode = code;
  });
