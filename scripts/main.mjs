/** Set-up: makes what is missing, in order, then does what was asked for. */
import path from 'node:path';
import { at, build } from './paths.mjs';
import { endOnSignals, started } from './children.mjs';
import { acquireLock } from './lock.mjs';
import { asProblem, Problem } from './problem.mjs';
import { checkDisk, checkPlatform, checkTools } from './tools.mjs';
import { installPackages, packagesAreCurrent } from './packages.mjs';
import { fetchHeaders, headersAreCurrent } from './llama-headers.mjs';
import { buildNative, nativeIsCurrent } from './native.mjs';
import { buildCuda, cudaIsCurrent } from './cuda.mjs';
import { buildBundles, bundlesAreCurrent } from './bundles.mjs';
import { commands } from './commands.mjs';
import { ProgressLine } from '../backend/terminal/progress.mjs';

/** @typedef {{ label: string, needsTools: boolean, isCurrent: () => boolean, make: (report: import('./llama-headers.mjs').Report) => Promise<void> }} Step */

/** @type {Record<import('./commands.mjs').StepName, Step>} */
const steps = {
  packages: {
    label: 'Installing npm packages',
    needsTools: false,
    isCurrent: packagesAreCurrent,
    make: installPackages,
  },
  headers: {
    label: "Fetching llama.cpp's headers",
    needsTools: true,
    isCurrent: headersAreCurrent,
    make: fetchHeaders,
  },
  native: {
    label: 'Building the native part',
    needsTools: true,
    isCurrent: nativeIsCurrent,
    make: buildNative,
  },
  cuda: {
    label: 'Building the CUDA part',
    needsTools: true,
    isCurrent: () => cudaIsCurrent('newest'),
    make: () => buildCuda('newest'),
  },
  cuda12: {
    label: 'Building the CUDA part for older drivers',
    needsTools: true,
    isCurrent: () => cudaIsCurrent('older'),
    make: () => buildCuda('older'),
  },
  bundles: { label: 'Bundling', needsTools: false, isCurrent: bundlesAreCurrent, make: buildBundles },
};

/** @param {readonly (keyof typeof steps)[]} names */
async function setUp(names) {
  const wanted = names.map((name) => steps[name]);
  if (wanted.every((step) => step.isCurrent())) return;
  checkPlatform();
  const giveSignalsBack = endOnSignals();
  const lock = await acquireLock(path.join(build, 'setup.lock'), (pid) =>
    say(`Another set-up is at work (process ${pid}); waiting for it.`),
  );
  started.on('child', lock.add);
  try {
    const missing = wanted.filter((step) => !step.isCurrent());
    if (missing.includes(steps.packages)) checkDisk();
    if (missing.some((step) => step.needsTools)) await checkTools();
    for (const step of missing) await make(step);
  } finally {
    started.off('child', lock.add);
    lock.release();
    giveSignalsBack();
  }
}

/** @param {Step} step */
async function make({ label, make }) {
  say(`${label} …`);
  const line = new ProgressLine();
  try {
    await make((done, total, unit = '') => line.update({ label, done, total, unit }));
  } finally {
    line.clear();
  }
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}

/** @param {string[]} argv what follows `node setup.mjs` */
export async function main([name = '', ...args]) {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  try {
    if (!command)
      throw new Problem(
        `"${name}" is not one of ${Object.keys(commands).join(', ')}: run "npm start" for help.`,
      );
    process.chdir(at());
    await setUp(command.needs(args));
    await command.run(args);
  } catch (error) {
    const problem = asProblem(error);
    if (!problem) throw error;
    say(problem.message);
    process.exitCode = Problem.exitCode;
  }
}
