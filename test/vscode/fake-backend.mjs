// @ts-check
/**
 * A backend without a model, for tests of the extension: it speaks the protocol, and the question says what it does.
 * VS Code's Node, under which it runs, reads TypeScript.
 *
 *   wait     reports 37 % of the prefill and then nothing more, until it is cancelled
 *   crash    kills itself in the middle of its answer
 *   fail     is refused with an error for users
 *   Who are you  is answered with the number of its process
 *   echo     is answered with itself
 *   look for evidence  is answered with a call of that tool, and then with what it said
 *   place, earlier are answered with what came with them
 *   settings is answered with the model and the patterns that came with it
 *   else     is answered, with citations
 *
 * Of its models `tiny` is there, `slow` is downloaded until it is cancelled, and `closed` has a licence to be accepted.
 */
import { createServer } from 'node:http';
import { ResponseError } from 'vscode-jsonrpc/node';
import { WebSocketServer } from 'ws';
import {
  AskRequest,
  ErrorCode,
  FindRequest,
  IndexRequest,
  LINGER_VARIABLE,
  StoreRequest,
  progress,
  PROTOCOL_VERSION,
  SHARE_VARIABLE,
  TOKEN_VARIABLE,
  VerifyAnswerRequest,
} from '../../backend/protocol.ts';
import { Clients, publish } from '../../backend/server/share.ts';
import { connectionOver } from '../../backend/transport.ts';
import { registerModels } from './fake-models.mjs';
import { budgetOf, noteRead, registerPlan } from './fake-plan.mjs';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { steps, store, waveAttention } from '../fixtures/wave-attention.mjs';
import { memory } from '../fixtures/memory.mjs';

/** @import { AskParams, AskResult, Citation, GateSegment, Progress, ProgressParams, RepositoryParams } from '../../backend/protocol.ts' */
/** @import { CancellationToken } from 'vscode-jsonrpc/node' */

const ANSWER = [
  'The function `decideIgnore` in src/ignore.ts:29 decides it. It checks, from cheap to dear:\n\n',
  '1. whether a folder of the path is one of the **built-in folders**,\n',
  '2. whether a name starts with a dot,\n',
  '3. whether the file is larger than `MAX_FILE_BYTES` (see `constants.ts`),\n',
  '4. whether one of the patterns matches:\n\n',
  '```ts\nreturn rules.patterns.some((pattern) => pattern.test(file.path)) ? "pattern" : "keep"; // the last check\n```\n\n',
  '<img src=x onerror="document.title = 1"> [outside](file:///etc/passwd)\n',
];

/** @type {Citation[]} */
const CITATIONS = [
  { file: 'src/ignore.ts', startLine: 29, endLine: 35, mass: 0.62 },
  { file: 'src/constants.ts', startLine: 2, endLine: 5, mass: 0.21 },
  { file: '../secret.txt', startLine: 1, endLine: 1, mass: 0.01 },
];

const CALL = { name: 'repowave_evidence', arguments: { question: 'Where is a file ignored?' } };

/** @param {string} question @param {string} whole @param {string} settings @returns {readonly string[]} */
function wordsFor(question, whole, settings) {
  if (question.includes('Who are you')) return [`I am process ${process.pid}.`];
  if (question.includes('echo')) return [whole];
  if (question.includes('settings')) return [settings];
  if (whole.includes('<tool_response>'))
    return ['The tool says: ', whole.split('<tool_response>').at(-1) ?? ''];
  if (whole.includes('look for evidence')) return ['<tool_', `call>${JSON.stringify(CALL)}</tool_call>`];
  return ANSWER;
}

/** @param {string} text @param {Citation[]} citations */
const passage = (text, citations) => {
  const start = ANSWER.join('').indexOf(text);
  return { start, end: start + text.length, citations };
};
const PASSAGES = [
  passage('The function `decideIgnore` in src/ignore.ts:29 decides it.', [
    { file: 'src/ignore.ts', startLine: 29, endLine: 35, mass: 0.7 },
  ]),
  passage('It checks, from cheap to dear:', []),
  passage('1. whether a folder of the path is one of the **built-in folders**,', [
    { file: 'src/ignore.ts', startLine: 31, endLine: 31, mass: 0.4 },
    { file: 'src/constants.ts', startLine: 2, endLine: 2, mass: 0.3 },
  ]),
];

/** @type {GateSegment} */
const FOUND = { paths: ['src/ignore.ts'], startLine: 29, endLine: 35, tokens: 90, reason: 'words', score: 1 };

/** What it says it has read, with the folder's own rules. @param {RepositoryParams} params */
const contextOf = ({ root }) => ({
  tokens: 41_203,
  files: 120,
  excluded: [{ file: 'package-lock.json', reason: 'lock file' }],
  coverage: 1,
  state: '3f2a91c0d4',
  ...budgetOf(root),
});
const timing = {
  prefillTokens: 41_203,
  prefillMs: 33_000,
  indexMs: 0,
  diskMs: 0,
  ttftMs: 812,
  decodeTokensPerSecond: 38.4,
};

const clients = new Clients(1000 * Number(process.env[LINGER_VARIABLE]), () => process.exit());
const server = createServer();
const sockets = new WebSocketServer({
  server,
  verifyClient: (/** @type {{ req: import("node:http").IncomingMessage }} */ { req }) =>
    req.headers.authorization === `Bearer ${process.env[TOKEN_VARIABLE]}`,
});

sockets.on('connection', (socket) => {
  clients.add(socket);
  const connection = connectionOver(socket, () => undefined);
  connection.onClose(() => connection.dispose());

  /** @param {ProgressParams} params @param {Progress} value */
  const report = ({ partialResultToken = '' }, value) =>
    connection.sendProgress(progress, partialResultToken, value);

  /** @param {AskParams} params @param {CancellationToken} cancellation @returns {Promise<AskResult>} */
  async function ask(params, cancellation) {
    // An agent's own prompt holds many words.
    const { about: question = params.question } = params;
    if (question.includes('fail')) {
      const data = { name: /** @type {const} */ ('questionTooLong') };
      throw new ResponseError(
        ErrorCode.questionTooLong,
        'The question is too long: please shorten it.',
        data,
      );
    }
    await report(params, { kind: 'phase', phase: 'scan', done: 120 });
    const figures = { done: 15_300, total: 41_203, rate: 1240, etaSeconds: 130 };
    await report(params, { kind: 'phase', phase: 'prefill', ...figures });
    if (question.includes('wait')) {
      await new Promise((resolve) => cancellation.onCancellationRequested(resolve));
      throw new ResponseError(ErrorCode.cancelled, 'Cancelled.', {
        name: /** @type {const} */ ('cancelled'),
      });
    }
    const context = contextOf(params);
    noteRead(params.root);
    await report(params, { kind: 'context', context });
    const { model, include, exclude, mode, gate, others, budget } = params;
    const settings = { model, include, exclude, mode, gate, others, budget };
    const { place, earlier } = params;
    const echoed = [
      ...(question.includes('place') && place ? [place] : []),
      ...(question.includes('earlier') && earlier ? [earlier] : []),
    ];
    const words =
      echoed.length > 0
        ? echoed.map((each) => JSON.stringify(each))
        : wordsFor(question, params.question, JSON.stringify(settings));
    for (const text of words) {
      await report(params, { kind: 'text', text });
      if (question.includes('crash')) process.kill(process.pid, 'SIGKILL');
    }
    if (params.insights) {
      for (const [tokens, readBytes] of /** @type {const} */ ([
        [4, 2e9],
        [44, 2.02e9],
      ])) {
        const insight = {
          tokens,
          tokensPerSecond: 38.4,
          attention: waveAttention,
          memory: { ...memory, readBytes },
        };
        await report(params, { kind: 'insight', ...insight });
      }
    }
    return {
      answer: words.join(''),
      citations: CITATIONS,
      context,
      timing,
      memory,
      finish: 'stop',
      missed: [],
      ...exactAttention,
      ...{ mode: 'wave', attention: waveAttention, steps },
      passages: words === ANSWER ? PASSAGES : [],
    };
  }

  connection.onRequest('initialize', () => ({ capabilities: {} }));
  connection.onRequest('shutdown', () => null);
  connection.onNotification('exit', () => socket.close());
  connection.onRequest(AskRequest, ask);
  connection.onRequest(IndexRequest, async (params, cancellation) => {
    // A file that says so is read for ever.
    if (params.only?.includes('src/constants.ts'))
      await new Promise((resolve) => cancellation.onCancellationRequested(resolve));
    noteRead(params.root, params.only);
    return { context: contextOf(params), timing, memory };
  });
  connection.onRequest(VerifyAnswerRequest, ({ hide }) => ({
    ...{ tokens: 10, seen: -4, hidden: -12.2, hiddenTokens: 3_000 },
    files: hide.map(({ file }) => file),
  }));
  registerPlan(connection);
  connection.onRequest(StoreRequest.method, () => store);
  connection.onRequest(FindRequest, (params) => ({
    context: contextOf(params),
    segments: [FOUND],
    files: ['src/ignore.ts'],
  }));
  registerModels(connection, report);
  connection.listen();
});

process.once('SIGTERM', () => process.exit());
server.listen(0, '127.0.0.1', async () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const { [TOKEN_VARIABLE]: token = '', [SHARE_VARIABLE]: share = '' } = process.env;
  const chosen = await publish(share, { port, pid: process.pid, protocol: PROTOCOL_VERSION, token });
  process.stdout.write(`${JSON.stringify(chosen)}\n`, () => chosen.pid === process.pid || process.exit());
});
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
