/**
 * What every npm script goes through: makes what is missing (packages, llama.cpp's headers, the native part, bundles)
 * and then does what was asked for. This file holds only what must run on a Node that is too old for the rest.
 */
const MINIMUM_NODE = 20;

if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
  process.stderr.write(
    `RepoWave needs Node ${MINIMUM_NODE} or newer, and this is ${process.versions.node}: install it from https://nodejs.org or with nvm.\n`,
  );
  process.exitCode = 19;
} else {
  import('./scripts/main.mjs').then(({ main }) => main(process.argv.slice(2)));
}
