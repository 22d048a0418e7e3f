/** Remembers from which inputs something was made, by content. Looking again costs one `stat` per file. */
import fs from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { at, build, root } from './paths.mjs';

/** @typedef {{ name: string, inputs: string[], outputs: string[] }} Product paths relative to the repository; an input may be a folder */
/** @typedef {{ hash: string, quick: string }} Stamp */

/** @param {Product} product @returns {boolean} whether all outputs are there, made from the inputs as they are now */
export function isCurrent(product) {
  if (!product.outputs.every((output) => fs.existsSync(at(output)))) return false;
  const stamp = read(product);
  if (!stamp) return false;
  const files = filesOf(product.inputs);
  const quick = quickSignature(files);
  if (stamp.quick === quick) return true;
  const hash = contentHash(files);
  if (stamp.hash !== hash) return false;
  write(product, { hash, quick });
  return true;
}

/** @param {Product} product @returns {() => void} to be called when it is made: the inputs count as they are now, before */
export function stampFor(product) {
  const files = filesOf(product.inputs);
  const stamp = { hash: contentHash(files), quick: quickSignature(files) };
  fs.rmSync(stampPath(product), { force: true });
  return () => write(product, stamp);
}

/** @param {Product} product */
function stampPath({ name }) {
  return path.join(build, 'stamps', `${name}.json`);
}

/** @param {Product} product @returns {Stamp | undefined} */
function read(product) {
  try {
    return JSON.parse(fs.readFileSync(stampPath(product), 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {Product} product @param {Stamp} stamp */
function write(product, stamp) {
  const file = stampPath(product);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.new`, JSON.stringify(stamp));
  fs.renameSync(`${file}.new`, file);
}

/** @param {string[]} inputs @returns {string[]} all files, sorted */
function filesOf(inputs) {
  return inputs.flatMap((input) => walk(at(input))).sort();
}

/** @param {string} file @returns {string[]} */
function walk(file) {
  const found = fs.statSync(file, { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return [file];
  return fs.readdirSync(file).flatMap((name) => walk(path.join(file, name)));
}

/** @param {string[]} files */
function quickSignature(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const { mtimeMs, size } = fs.statSync(file);
    hash.update(`${file}\0${mtimeMs}\0${size}\0`);
  }
  return hash.digest('hex');
}

/** @param {string[]} files */
function contentHash(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = fs.readFileSync(file);
    hash.update(`${path.relative(root, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}
