/**
 * What every npm script goes through: makes what is missing (packages, llama.cpp's headers, the native part, bundles)
 * and then does what was asked for. This file holds only what must run on a Node that is too old for the rest.
 */
import { isNodeTooOld, MINIMUM_NODE } from './scripts/node-version.mjs';

/** @param {string} sentence @param {number} exitCode one of `ErrorCode` in backend/protocol.ts */
function fail(sentence, exitCode) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = exitCode;
}

if (isNodeTooOld(process.versions.node)) {
  fail(
    `RepoWave needs Node ${MINIMUM_NODE} or newer, and this is ${process.versions.node}: install it from https://nodejs.org or with nvm.`,
    19,
  );
} else {
  import('./scripts/main.mjs')
    .then(({ main }) => main(process.argv.slice(2)))
    .catch((error) => fail(`Something went wrong that should not: ${error.message}. Please report it.`, 1));
}
