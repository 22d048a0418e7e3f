import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { asksForHelp } from '../../scripts/commands.mjs';
import { firstError, parseBuildStep } from '../../scripts/native.mjs';
import { networkProblem } from '../../scripts/network.mjs';
import { notice } from '../../scripts/notice.mjs';
import { missingPackages } from '../../scripts/packages.mjs';
import { at, llamaPackage } from '../../scripts/paths.mjs';
import { Problem } from '../../scripts/problem.mjs';
import { isAtLeast, parseVersion } from '../../scripts/tools.mjs';
import { ErrorCode } from '../../backend/protocol.ts';

test('versions are read out of what tools say and compared part by part', () => {
  assert.deepEqual(parseVersion('cmake version 3.25.1\n\nCMake suite'), [3, 25, 1]);
  assert.deepEqual(parseVersion('nothing'), []);
  assert.ok(isAtLeast([3, 20], [3, 20]));
  assert.ok(isAtLeast([4, 0, 1], [3, 20]));
  assert.ok(!isAtLeast([3, 9], [3, 20]));
  assert.ok(!isAtLeast([], [3, 20]));
});

test('the progress of ninja and of make is understood', () => {
  assert.deepEqual(parseBuildStep('[3/12] Building CXX object a.o'), { done: 3, total: 12 });
  assert.deepEqual(parseBuildStep('[ 25%] Building CXX object a.o'), { done: 25, total: 100 });
  assert.equal(parseBuildStep('-- Configuring done'), undefined);
});

test("a build's failure is told by its first error, with the reason that CMake puts on the next line", () => {
  assert.equal(firstError('[1/2] x\na.cpp:3:1: error: no\nb.cpp:1:1: error: two\n'), 'a.cpp:3:1: error: no');
  assert.equal(
    firstError('-- x\nCMake Error at CMakeLists.txt:3 (message):\n  Set REPOWAVE_LLAMA_SOURCE.\n'),
    'CMake Error at CMakeLists.txt:3 (message): Set REPOWAVE_LLAMA_SOURCE.',
  );
  assert.equal(firstError('[1/2] x\nKilled\n'), 'Killed');
});

test('packages count as missing when absent or of another version, but not when optional', () => {
  const locked = {
    '': {},
    'node_modules/a': { version: '1' },
    'node_modules/b': { version: '2' },
    'node_modules/c': { version: '1', optional: true },
  };
  assert.deepEqual(
    missingPackages(locked, { 'node_modules/a': { version: '1' }, 'node_modules/b': { version: '1' } }),
    ['node_modules/b'],
  );
  assert.deepEqual(missingPackages(locked, locked), []);
});

test('help is asked for by nothing at all and by the usual words, but not by a question behind --', () => {
  assert.ok(asksForHelp([]));
  assert.ok(asksForHelp(['ask', '--help']));
  assert.ok(!asksForHelp(['ask', 'why?']));
  assert.ok(!asksForHelp(['ask', '--', '--help']));
});

test('what npm says about the network becomes one sentence that says what to do', () => {
  const sentence = (output: string) => networkProblem('the npm packages', output).message;
  assert.match(
    sentence('npm error code ENOTFOUND'),
    /^Could not get the npm packages: the npm registry cannot be reached.*run this again\.$/,
  );
  assert.match(sentence('npm error code ENOSPC'), /disk is full/);
  assert.match(sentence('npm ERR! weird failure\n'), /: weird failure, then run this again\.$/);
  assert.ok([sentence('a\nb'), sentence('')].every((text) => !text.trim().includes('\n')));
});

test('set-up fails with the exit code of the protocol', () => {
  assert.equal(Problem.exitCode, ErrorCode.environment);
});

test("the headers are of the version that the manifest pins for llama.cpp's libraries", () => {
  const manifest = JSON.parse(fs.readFileSync(at('package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  assert.equal(manifest.optionalDependencies['@node-llama-cpp/linux-x64'], llamaPackage.version);
});

test('NOTICE is what "node scripts/notice.mjs" writes', () => {
  assert.equal(fs.readFileSync(path.join(at(), 'NOTICE'), 'utf8'), notice());
});
