import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { asksForHelp, swallowedOption } from '../../scripts/commands.mjs';
import { firstError, parseBuildStep } from '../../scripts/native.mjs';
import { networkProblem } from '../../scripts/network.mjs';
import { notice } from '../../scripts/notice.mjs';
import { isNodeTooOld, MINIMUM_NODE } from '../../scripts/node-version.mjs';
import { missingPackages } from '../../scripts/packages.mjs';
import { at, llamaPackage } from '../../scripts/paths.mjs';
import { asProblem, Problem } from '../../scripts/problem.mjs';
import { acquireLock } from '../../scripts/lock.mjs';
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
  assert.ok(asksForHelp(['help', 'ask']));
  assert.ok(!asksForHelp(['ask', 'help']));
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

test('an option that npm took because -- was missing is noticed', () => {
  assert.equal(swallowedOption(['ask', 'why?'], { npm_config_repo: '/x' }), 'repo');
  assert.equal(swallowedOption(['ask', 'why?', '--repo', '/x'], { npm_config_repo: '/y' }), undefined);
  assert.equal(swallowedOption(['ask', 'why?'], { npm_config_registry: 'x' }), undefined);
});

test('a Node is too old by its minor version too, and the manifest asks for the same one', () => {
  assert.ok(isNodeTooOld('18.20.8'));
  assert.ok(isNodeTooOld('20.18.1'));
  assert.ok(!isNodeTooOld('20.19.0'));
  assert.ok(!isNodeTooOld('22.0.0'));
  const manifest = JSON.parse(fs.readFileSync(at('package.json'), 'utf8')) as { engines: { node: string } };
  assert.equal(manifest.engines.node, `>=${MINIMUM_NODE}`);
});

test('a file where the build folder has to be is told in one sentence', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-'));
  try {
    const build = path.join(folder, 'build');
    fs.writeFileSync(build, '');
    const error: unknown = await acquireLock(path.join(build, 'setup.lock'), () => undefined).then(
      () => assert.fail('locked'),
      (reason: unknown) => reason,
    );
    assert.match(
      asProblem(error)?.message ?? '',
      /^Could not use ".*build".*: move it away, then run this again\.$/,
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('what the file system refuses becomes a sentence, and a defect stays one', () => {
  const refused = (code: string) =>
    asProblem(Object.assign(new Error(`${code}: x`), { code, syscall: 'open', path: '/a' }))?.message ?? '';
  assert.match(refused('ENOSPC'), /"\/a".*disk is full/);
  assert.match(refused('EACCES'), /who owns it/);
  assert.match(refused('EROFS'), /read-only/);
  assert.match(refused('EMFILE'), /the system says "EMFILE: x"/);
  assert.equal(asProblem(new TypeError('x is not a function')), undefined);
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
