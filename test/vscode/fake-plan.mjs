// @ts-check
/** The part of the backend without a model that says what is read: the fixture's files, and the folder's real rules. */
import fs from 'node:fs';
import path from 'node:path';
import { parse } from 'jsonc-parser';
import { ChangesRequest, PlanRequest } from '../../backend/protocol.ts';

/** @import { ContextReport, PlanReport } from '../../backend/protocol.ts' */
/** @import { MessageConnection } from 'vscode-jsonrpc/node' */

const FILES = { 'README.md': 800, 'src/constants.ts': 2_000, 'src/ignore.ts': 30_000, 'src/walk.ts': 8_403 };
const EXCLUDED = [{ file: 'package-lock.json', reason: 'lock file' }];

/** @param {string} root @returns {PlanReport} */
function planOf(root) {
  const rules = path.join(root, '.repowave.json');
  const {
    out = [],
    pinned = [],
    tokens: budget = 1_000_000,
  } = fs.existsSync(rules) ? parse(fs.readFileSync(rules, 'utf8')) : {};
  /** @param {string[]} patterns @param {string} file */
  const isIn = (patterns, file) =>
    patterns.some(
      (pattern) => `/${file}` === pattern || (pattern.endsWith('/') && `/${file}`.startsWith(pattern)),
    );
  const names = Object.keys(FILES);
  const kept = Object.entries(FILES).filter(([file]) => !isIn(out, file));
  const tokens = kept.reduce((sum, [, tokens]) => sum + tokens, 0);
  const reason = 'left out by .repowave.json';
  return {
    files: kept.map(([file, tokens]) => ({ file, tokens, ...(isIn(pinned, file) && { pinned: true }) })),
    excluded: [
      ...EXCLUDED,
      ...names
        .filter((file) => isIn(out, file))
        .map((file) => ({ file, reason, ignored: /** @type {const} */ (true) })),
    ],
    tokens,
    budget,
    counted: true,
    savings: tokens > budget ? [{ pattern: '/src/walk.ts', why: 'large', files: 1, tokens: 8_403 }] : [],
  };
}

/** What an answer says of it. @param {string} root @returns {Pick<ContextReport, 'budget' | 'overBudget'>} */
export function budgetOf(root) {
  const { tokens, budget } = planOf(root);
  return { budget, ...(tokens > budget && { overBudget: { files: 1, tokens: tokens - budget } }) };
}

/** What the files were when they were read. @type {Map<string, string> | undefined} */
let read;

/** @param {string} root @returns {Map<string, string>} */
function textsOf(root) {
  const files = Object.keys(FILES).filter((file) => fs.existsSync(path.join(root, file)));
  return new Map(files.map((file) => [file, fs.readFileSync(path.join(root, file), 'utf8')]));
}

/** Says that all files, or only these, have been read as they are. @param {string} root @param {string[]} [only] */
export function noteRead(root, only) {
  const now = textsOf(root);
  if (!only || !read) read = now;
  else for (const file of only) read.set(file, now.get(file) ?? '');
}

/** @param {MessageConnection} connection */
export function registerPlan(connection) {
  connection.onRequest(ChangesRequest, ({ root, unsaved }) => ({
    changed: read
      ? [...textsOf(root)].filter(([file, text]) => read?.get(file) !== text).map(([file]) => file)
      : [],
    unsaved: unsaved.filter((file) => file in FILES),
  }));
  connection.onRequest(PlanRequest, ({ root }) => planOf(root));
}
