/** `npm run eval -- COMMAND`: answers and recall on planted questions, and the retrieval heads of a model. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import envPaths from 'env-paths';
import { CATALOGUE } from '../../backend/models/catalogue.ts';
import { UserError } from '../../backend/errors.ts';
import type { KvForm } from '../../backend/protocol.ts';
import { endOnSignals } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';
import {
  allTypes,
  applyEdits,
  questionTypes,
  readQuestions,
  writeCorpus,
  type Question,
  type QuestionType,
} from './corpus.ts';
import { fidelity, fitsWindow } from './fidelity.ts';
import { gateRecall } from './gate.ts';
import { allHeads, chooseHeads, headTrials, writeHeads } from './heads.ts';
import { Lab } from './lab.ts';
import { fetchPackage, packages, type Size } from './packages.ts';
import { fidelityTable, recallTable, spread, table, type Outcome, type Recall } from './outcomes.ts';
import { peers, planted, suites, type Suite } from './suites.ts';
import { parseVariants, variantHelp } from './variants.ts';

const usage = `usage: npm run eval -- plant --repo DIR --out DIR [--seed N] [--tokens N]
       npm run eval -- fidelity CORPUS [--model ID|PATH] [--variants LIST] [--reference LIST] [OPTIONS]
       npm run eval -- gate     CORPUS [--model ID|PATH] [--likelihood] [OPTIONS]
       npm run eval -- heads    CORPUS [--model ID|PATH] [--count N] [OPTIONS]
       npm run eval -- needles | repository | ruler CORPUS [--model ID|PATH] [--variants LIST] [OPTIONS]
       npm run eval -- table FILE... [--types LIST] [--reference LIST]
  CORPUS   --repo DIR [--seed N] [--tokens N], or --corpus DIR of an earlier \`plant\`; of the last three also
           --package small | medium | large, and --tokens N1,N2
  OPTIONS  --types T1,T2  --questions N (per type)  --threads N  --store DIR  --kv f16|q8  --json
  LIST     ${variantHelp}
`;

const fidelityVariants = 'full,exact,oracle,gate1,gate2,gate4,gate-auto';
const cache = path.join(envPaths('repowave', { suffix: '' }).cache, 'eval');

const { values, positionals } = readArguments();

const commands: Record<string, () => Promise<void>> = {
  plant: runPlant,
  fidelity: runFidelity,
  gate: runGate,
  heads: runHeads,
  table: runTable,
  ...Object.fromEntries(Object.entries(suites).map(([name, suite]) => [name, () => runSuite(name, suite)])),
};

const say = (text: string) => void process.stderr.write(`${text}\n`);
const print = (text: string) => void process.stdout.write(`${text}\n`);
/** With `--json` one line per result is the output, and the table a courtesy. */
const printTable = (text: string) => (values.json ? say : print)(text);
const printResult = (result: object) => values.json && print(JSON.stringify(result));

async function main(): Promise<void> {
  const [name = ''] = positionals;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command || (positionals.length > 1 && command !== runTable)) throw new UserError('usage', usage);
  endOnSignals();
  process.env.REPOWAVE_NATIVE ??= at('dist', 'native', 'repowave.node');
  await command();
}

async function runPlant(): Promise<void> {
  if (values.out === undefined) throw new UserError('usage', usage);
  const corpus = await makeCorpus(planted, await repositoryFolder(), values.tokens ?? planted.tokens);
  await writeCorpus(given(values.out), corpus);
  const bytes = [...corpus.files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const counts = questionTypes.map(
    (type) => `${corpus.questions.filter((question) => question.type === type).length} ${type}`,
  );
  print(`${corpus.files.size} files, ${bytes} bytes; questions: ${counts.join(', ')}`);
}

async function runFidelity(): Promise<void> {
  await compareVariants(await corpusFolder('plant', planted, values.tokens ?? planted.tokens), planted);
}

/** Each length is a corpus of its own. */
async function runSuite(name: string, suite: Suite): Promise<void> {
  for (const tokens of (values.tokens ?? suite.tokens).split(',')) {
    await compareVariants(await corpusFolder(name, suite, tokens), suite, peers);
  }
}

async function compareVariants(folder: string, suite: Suite, usual?: string): Promise<void> {
  const variants = parseVariants(values.variants ?? usual ?? fidelityVariants);
  const references = namedReferences();
  const unknown = references.find((name) => !variants.some((variant) => variant.name === name));
  if (unknown !== undefined) {
    throw new UserError('usage', `--reference ${unknown} is not among the --variants: name one of them.`);
  }
  await withLab(folder, suite, async (lab, questions) => {
    const fits = fitsWindow(lab);
    if (!fits)
      say(`full is left out: ${lab.tokens} tokens do not fit the window that the model was trained on.`);
    const fitting = variants.filter(({ sees }) => fits || sees !== 'text');
    const first = fitting.find(({ name }) => name === references[0]) ?? fitting[0];
    if (!first) throw new UserError('usage', 'Nothing is left to compare: name more --variants.');
    const ordered = [first, ...fitting.filter((variant) => variant !== first)];
    const outcomes = await fidelity(lab, questions, { variants: ordered, onOutcome: printResult });
    printTable(
      `${questions.length} questions about ${lab.tokens} tokens, ${values.model}, ${values.kv}, seed ${values.seed}, ${values.threads} threads`,
    );
    printTable(fidelityTable(outcomes, references.length > 0 ? references : [first.name]));
  });
}

async function runGate(): Promise<void> {
  await withLab(
    await corpusFolder('plant', planted, values.tokens ?? planted.tokens),
    planted,
    async (lab, questions) => {
      printTable(
        recallTable(
          await gateRecall(lab, questions, { likelihood: values.likelihood, onRecall: printResult }),
        ),
      );
    },
  );
}

async function runHeads(): Promise<void> {
  const count = positive('count', values.count);
  await withLab(
    await corpusFolder('plant', planted, values.tokens ?? planted.tokens),
    planted,
    async (lab, questions) => {
      const aboutOne = questions.filter(({ paths }) => paths.length === 1);
      const choice = chooseHeads(await headTrials(lab, aboutOne), allHeads(lab), count);
      for (const { head, reciprocalRank } of choice.heads) printResult({ head, reciprocalRank });
      const rows = choice.heads.map(({ head: [layer, head], reciprocalRank }) => [
        String(layer),
        String(head),
        reciprocalRank.toFixed(3),
      ]);
      printTable(table([['layer', 'head', 'mean 1/rank'], ...rows]));
      say(
        `together, mean 1/rank over ${aboutOne.length} questions: ${choice.heldOut.toFixed(3)} held out, ${choice.inSample.toFixed(3)} in sample`,
      );
      if (CATALOGUE.some(({ id }) => id === values.model)) {
        await writeHeads(
          values.model,
          choice.heads.map(({ head }) => head),
        );
      }
    },
  );
}

/** The table of lines that earlier runs with `--json` have printed, for some of the types. */
async function runTable(): Promise<void> {
  const types = typesFromOptions(allTypes);
  const texts = await Promise.all(positionals.slice(1).map((file) => readFile(given(file), 'utf8')));
  const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
  const results = lines
    .map((line) => JSON.parse(line) as Outcome | Recall)
    .filter(({ type }) => types.includes(type));
  const outcomes = results.filter((result) => 'variant' in result);
  const recalls = results.filter((result) => 'selector' in result);
  const named = namedReferences();
  if (outcomes[0]) print(fidelityTable(outcomes, named.length > 0 ? named : [outcomes[0].variant]));
  if (recalls.length > 0) print(recallTable(recalls));
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        repo: { type: 'string' },
        seed: { type: 'string', default: '1' },
        tokens: { type: 'string' },
        package: { type: 'string' },
        out: { type: 'string' },
        corpus: { type: 'string' },
        model: { type: 'string', default: 'qwen2.5-coder-0.5b' },
        variants: { type: 'string' },
        reference: { type: 'string' },
        types: { type: 'string' },
        questions: { type: 'string' },
        count: { type: 'string', default: '4' },
        threads: { type: 'string', default: String(os.availableParallelism()) },
        store: { type: 'string', default: path.join(cache, 'store') },
        kv: { type: 'string', default: 'f16' },
        likelihood: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}

/** Reads the tree of a corpus, changes it if the corpus says so, and works with some of its questions. */
function kvForm(): KvForm {
  if (values.kv === 'f16' || values.kv === 'q8') return values.kv;
  throw new UserError('usage', usage);
}

async function withLab(
  folder: string,
  suite: Suite,
  work: (lab: Lab, questions: Question[]) => Promise<void>,
): Promise<void> {
  const types = typesFromOptions(suite.types);
  const count = positive('questions', values.questions ?? suite.questions);
  const threads = positive('threads', values.threads);
  const questions = spread(await readQuestions(folder), types, count);
  const open = () =>
    Lab.open({
      ...{ model: values.model, kv: kvForm(), tree: path.join(folder, 'tree') },
      ...{ store: given(values.store), threads, say },
    });
  let lab = await open();
  try {
    if ((await applyEdits(folder)) > 0) {
      await lab.close();
      lab = await open();
    }
    await work(lab, questions);
  } finally {
    await lab.close();
  }
}

function typesFromOptions(usual: readonly QuestionType[]): readonly QuestionType[] {
  return (
    values.types?.split(',').map((type) => {
      const known = allTypes.find((candidate) => candidate === type);
      if (known) return known;
      throw new UserError('usage', `There are no questions ${type}: name some of ${allTypes.join(', ')}.`);
    }) ?? usual
  );
}

/** The variants that the others are compared with, question by question. */
function namedReferences(): string[] {
  return values.reference === undefined ? [] : parseVariants(values.reference).map(({ name }) => name);
}

/** A folder with a tree and its questions. */
async function corpusFolder(name: string, suite: Suite, tokens: string): Promise<string> {
  if (values.corpus !== undefined) return given(values.corpus);
  const repo = await repositoryFolder(suite.package);
  const corpus = await makeCorpus(suite, repo, tokens);
  const key = JSON.stringify([name, repo, values.seed, tokens]);
  const folder = path.join(cache, 'corpora', createHash('sha256').update(key).digest('hex').slice(0, 16));
  await writeCorpus(folder, corpus);
  return folder;
}

/** @param usual the pinned package that stands in for `--repo`; none may without it */
async function repositoryFolder(usual?: Size): Promise<string> {
  if (values.repo !== undefined) return given(values.repo);
  const size = values.package ?? usual;
  if (usual === undefined || size === undefined || !Object.hasOwn(packages, size))
    throw new UserError('usage', usage);
  return fetchPackage(path.join(cache, 'packages'), size as Size);
}

function makeCorpus(suite: Suite, repo: string, tokens: string) {
  const length = suite.tokens === '0' ? 0 : positive('tokens', tokens);
  return suite.make({ repo, seed: positive('seed', values.seed), tokens: length });
}

/** A path as the user meant it: npm runs scripts in the package's folder. */
function given(file: string): string {
  return path.resolve(process.env.INIT_CWD ?? process.cwd(), file);
}

function positive(name: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new UserError('usage', `--${name} ${text} is no whole number above 0.`);
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UserError && error.code === 'usage' ? 2 : 1;
});
