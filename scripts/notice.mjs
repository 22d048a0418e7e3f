/**
 * NOTICE: what the .vsix redistributes and under which licences. `node scripts/notice.mjs` writes it; a unit test
 * tells when it is out of date.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { at, llamaSource } from './paths.mjs';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;
const RULE = '-'.repeat(78);

/** @typedef {{ title: string, text: string }} Entry */

/** @returns {string} the text of NOTICE, as it should be; needs the npm packages and llama.cpp's headers */
export function notice() {
  const packages = bundledPackages();
  const entries = [
    ...llamaEntries(),
    ...packages.map(({ folder, title }) => ({ title, text: licenceOf(folder) })),
  ];
  return [
    'RepoWave\nCopyright 2026 the RepoWave authors\n\nLicensed under the Apache License, Version 2.0 (see LICENSE).\n',
    'The packaged extension contains the software listed here, under the licences that follow.\n',
    'Compiled libraries (dist/native): llama.cpp and ggml with the libraries that they contain, as built by\nnode-llama-cpp.\n',
    `Bundled npm packages:\n${packages.map(({ title }) => `  ${title}`).join('\n')}\n`,
    ...grouped(entries).map(({ titles, text }) => `${RULE}\n${titles.join('\n')}\n${RULE}\n\n${text}\n`),
  ].join('\n');
}

/** What the manifest's `dependencies` bring, all of which esbuild may put into dist. */
function bundledPackages() {
  const { packages } = JSON.parse(fs.readFileSync(at('package-lock.json'), 'utf8'));
  const found = Object.entries(packages)
    .filter(([folder, entry]) => folder !== '' && !entry.dev && !entry.devOptional)
    .map(([folder, { version, license }]) => ({
      folder: at(folder),
      title: `${folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)} ${version} (${license})`,
    }));
  return [...new Map(found.map((entry) => [entry.title, entry])).values()].sort((a, b) =>
    a.title < b.title ? -1 : 1,
  );
}

/** @returns {Entry[]} */
function llamaEntries() {
  const licences = path.join(llamaSource, 'licenses');
  return [
    { title: 'llama.cpp and ggml (MIT)', text: read(path.join(llamaSource, 'LICENSE')) },
    ...fs
      .readdirSync(licences)
      .sort()
      .map((name) => ({
        title: `${name.replace(/^LICENSE-/, '')} (part of llama.cpp)`,
        text: read(path.join(licences, name)),
      })),
  ];
}

/** @param {string} folder @returns {string} */
function licenceOf(folder) {
  const names = fs
    .readdirSync(folder)
    .filter((name) => LICENCE_FILE.test(name))
    .sort();
  if (names.length === 0) throw new Error(`${folder} has no licence file`);
  return names.map((name) => read(path.join(folder, name))).join('\n\n');
}

/** @param {string} file */
function read(file) {
  return fs
    .readFileSync(file, 'utf8')
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+$/gm, '')
    .trim();
}

/** The same text is printed once. @param {Entry[]} entries @returns {{ titles: string[], text: string }[]} */
function grouped(entries) {
  /** @type {Map<string, string[]>} */
  const byText = new Map();
  for (const { title, text } of entries) byText.set(text, [...(byText.get(text) ?? []), title]);
  return [...byText].map(([text, titles]) => ({ titles, text }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) fs.writeFileSync(at('NOTICE'), notice());
