import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { createMessageConnection } from 'vscode-jsonrpc/node';
import { PROTOCOL_VERSION, StoreRequest } from '../../backend/protocol.ts';
import type { Handshake, StoreReport } from '../../backend/protocol.ts';
import { attachTo } from '../../extension/backend/remote.ts';
import { code as codeOf, Lab } from './harness.ts';

const cli = fileURLToPath(new URL('../../backend/cli.ts', import.meta.url));

interface Run {
  child: ChildProcess;
  /** Resolves when the command has ended. */
  ended: Promise<{ code: number; stdout: string; stderr: string }>;
}

function run(lab: Lab, args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', cli, ...args], {
    env: { ...process.env, ...lab.env(env), NO_COLOR: '1' },
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => (texts.stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (texts.stderr += data.toString()));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...texts }));
  return { child, ended };
}

const ask = (lab: Lab, ...rest: string[]) => ['ask', '--repo', lab.repository, '--model', lab.model, ...rest];

test('an answer for people names its places, the context, the time and the memory', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export const main = 1;\n', 'a.png': '\u0000', 'b.png': '\u0000' });
  const { code, stdout } = await run(lab, ask(lab, 'Where is main?')).ended;
  assert.equal(code, 0);
  assert.match(stdout, /^It is in main\.ts\.\n\nRests on\n +100 % {2}main\.ts:1\n/);
  assert.match(stdout, /Context +[\d,]+ tokens from 1 file\n/);
  assert.match(stdout, /Left out +2 files: 2 \S+/);
  assert.match(stdout, /Time +first token after .* tokens read in /);
  const memory =
    /Memory +RAM \S+ MB \(523 B of at most .* found there\), disk .*, of which .* read, GPU 0 B\n/;
  assert.match(stdout, memory);
  assert.match(stdout, /80 % of the clusters/);
});

test('with --json stdout holds one line per question and nothing else', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export const main = 1;\n' });
  const questions = path.join(lab.root, 'questions.jsonl');
  writeFileSync(questions, '{"id":"a","question":"Where?"}\n\n{"id":7,"question":"Why?"}\n');
  const { code, stdout } = await run(lab, ask(lab, '--questions', questions, '--json')).ended;
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split('\n');
  const answers = lines.map((line) => JSON.parse(line) as Record<string, object>);
  assert.deepEqual(
    answers.map(({ id, question }) => [id, question]),
    [
      ['a', 'Where?'],
      ['7', 'Why?'],
    ],
  );
  const [first, second] = answers;
  assert.ok(first && second);
  const keys = ['id', 'question', 'answer', 'citations', 'context', 'timing', 'memory'];
  keys.push('mode', 'missed', 'gate', 'attention', 'steps', 'passages');
  assert.deepEqual(Object.keys(first), keys);
  assert.deepEqual(Object.keys(first.context ?? {}), ['tokens', 'files', 'excluded', 'coverage', 'state']);
  const tiers = ['ramBytes', 'keptBytes', 'capBytes', 'gpuBytes'];
  tiers.push('hits', 'misses', 'estimated', 'readBytes', 'diskBytes');
  assert.deepEqual(Object.keys(first.memory ?? {}), tiers);
  assert.equal((second.timing as { prefillTokens: number }).prefillTokens, 0);
});

test('an answer for people says what was read closely', async (t) => {
  const words = ['apple', 'banana', 'cherry', 'date'];
  const lab = new Lab(t, Object.fromEntries(words.map((word) => [`${word}.ts`, codeOf(word)])));
  const args = ask(
    lab,
    'What does banana7 return?',
    '--pin',
    'date.ts',
    '--others',
    'mask',
    '--mode',
    'wave',
  );
  const { stdout } = await run(lab, args).ended;
  assert.match(
    stdout,
    /\nRead closely: date\.ts:1-\d+ \(pinned\), banana\.ts:1-\d+ \(words\); the other \d+ % left out\n/,
  );
});

test('errors are one sentence on stderr and an exit code', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const cases: [string[], number, RegExp][] = [
    [ask(lab, ''), 13, /^The question is empty: .*\n$/],
    [['ask', 'x', '--repo', path.join(lab.root, 'none')], 3, /^There is no folder .*\n$/],
    [ask(lab, 'x', '--gate', '99'), 2, /^"99" is no width of the gate: .*\n$/],
    [ask(lab, 'x', '--budget', 'much'), 2, /^"much" is not a share: .*\n$/],
    [ask(lab, 'x', '--pin', 'none.ts'), 2, /no file or folder none\.ts .*\n$/],
    [ask(lab, 'x', '--kv', 'q4'), 2, /'q4' is invalid.*f16, q8/],
    [ask(lab, 'x', '--ram', 'much'), 2, /^"much" is not a size: .*\n$/],
    [ask(lab), 2, /^Nothing to ask, .*\n$/],
    [['unknown'], 2, /^error: unknown command/],
  ];
  for (const [args, code, stderr] of cases) {
    const result = await run(lab, args).ended;
    assert.equal(result.code, code, args.join(' '));
    assert.match(result.stderr, stderr);
    assert.equal(result.stdout, '');
  }
});

test('the store is listed, measured, verified and pruned', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export const main = 1;\n' });
  const index = [
    'index',
    '--repo',
    lab.repository,
    '--model',
    lab.model,
    '--disk',
    '1GB',
    '--focus',
    'main.ts',
  ];
  assert.equal((await run(lab, index).ended).code, 0);
  const output = async (...args: string[]) => (await run(lab, ['store', ...args]).ended).stdout;
  const list = await output();
  assert.match(list, /^.*store: [\d.]+ kB of .* that it may take without --disk\n/);
  assert.ok(list.includes(`${lab.repository} (tiny)\n  `));
  assert.match(list, /\d+ tokens, 2 segments, [\d.]+ k?B, last used \d{4}-\d\d-\d\d \d\d:\d\d\n/);
  const sizes = JSON.parse(await output('size', '--json')) as object;
  assert.deepEqual(Object.keys(sizes), ['bytes', 'limitBytes', 'unneededBytes']);
  assert.match(await output('verify'), /^2 segments, [\d.]+ k?B: all of them are whole\n$/);
  assert.match(await output('prune', '--dry-run'), /^0 files, 0 B would go; [\d.]+ kB would stay\n$/);

  writeFileSync(lab.stored('.seg')[0] ?? '', 'torn');
  const { code, stdout } = await run(lab, ['store', 'verify']).ended;
  assert.equal(code, 19);
  assert.match(stdout, /: 1 damaged; .*\n {2}\S+\.seg: .*\n$/);
});

test('--wait says how much is read before the answer', async (t) => {
  const words = ['apple', 'banana', 'cherry', 'date'];
  const lab = new Lab(t, Object.fromEntries(words.map((word) => [`${word}.ts`, codeOf(word)])));
  const { stdout } = await run(lab, ask(lab, 'What does apple7 return?', '--wait', 'none', '--json')).ended;
  const { context } = JSON.parse(stdout) as { context: { coverage: number } };
  assert.ok(context.coverage < 0.9, `${context.coverage}`);
});

test('a file of --focus that is not there is refused', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const { code, stderr } = await run(lab, ask(lab, 'Where?', '--focus', 'src/none.ts')).ended;
  assert.equal(code, 2);
  assert.match(stderr, /no file src\/none\.ts/);
});

test('without a command the help is printed', async (t) => {
  const { code, stdout } = await run(new Lab(t, {}), []).ended;
  assert.equal(code, 0);
  assert.match(stdout, /Usage: repowave/);
});

test('--version prints the version of the package', async (t) => {
  const { code, stdout } = await run(new Lab(t, {}), ['--version']).ended;
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('serve fails when its backend dies', async (t) => {
  const { child, ended } = run(new Lab(t, {}), ['serve'], { REPOWAVE_TOKEN: 'secret' });
  child.stdout?.once('data', (line: Buffer) => {
    process.kill((JSON.parse(line.toString()) as { pid: number }).pid, 'SIGKILL');
  });
  assert.equal((await ended).code, 1);
});

test('Ctrl+C cancels in an orderly way', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'const x = "HOLD-HERE";\n' });
  const { child, ended } = run(lab, ask(lab, 'Where?'), { FAKE_HOLD: 'HOLD-HERE' });
  child.stderr?.on('data', (data: Buffer) => {
    if (data.toString().includes('fake: holding')) child.kill('SIGINT');
  });
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /Cancelled\.\n$/);
});

test('serve prints the handshake and ends on Ctrl+C', async (t) => {
  const { child, ended } = run(new Lab(t, {}), ['serve'], { REPOWAVE_TOKEN: 'secret' });
  child.stdout?.once('data', () => child.kill('SIGINT'));
  const { code, stdout } = await ended;
  assert.equal(code, 0);
  assert.match(stdout, /^\{"port":\d+,"pid":\d+,"protocol":3\}\n$/);
});

/** The first line that a command prints. */
async function firstLine({ child }: Run, from: 'stdout' | 'stderr'): Promise<string> {
  const [text] = (await once(child[from]!, 'data')) as [Buffer];
  return text.toString().trim();
}

test('serve --listen is attached to at its address with the token that it printed, and with no other', async (t) => {
  const lab = new Lab(t, {});
  const served = run(lab, ['serve', '--listen', '127.0.0.2:0']);
  t.after(() => served.child.kill('SIGINT'));
  const [told, handshake] = await Promise.all([firstLine(served, 'stderr'), firstLine(served, 'stdout')]);
  const token = /^The token of its clients: (\S+)$/.exec(told)?.[1];
  assert.ok(token, told);
  const { port } = JSON.parse(handshake) as Handshake;

  const { stream } = await attachTo(`ws://127.0.0.2:${port}`, token);
  const connection = createMessageConnection(stream, stream);
  connection.listen();
  const initializationOptions = { protocol: PROTOCOL_VERSION };
  await connection.sendRequest('initialize', { capabilities: {}, initializationOptions });
  const { bytes } = await connection.sendRequest<StoreReport>(StoreRequest.method);
  assert.equal(bytes, 0);
  connection.dispose();
  stream.destroy();

  await assert.rejects(
    attachTo(`ws://127.0.0.2:${port}`, `${token}x`),
    /refuses the token: enter the one that/,
  );
  await assert.rejects(attachTo(`ws://127.0.0.1:${port}`, token), /Nobody answers at/);
});

test('serve --listen with no address says how one is written', async (t) => {
  const { code, stderr } = await run(new Lab(t, {}), ['serve', '--listen', 'gpu-box']).ended;
  assert.equal(code, 2);
  assert.equal(stderr, 'gpu-box is no address: write HOST:PORT.\n');
});
