/** Bytes of a file to the text that the model reads: Unicode, with line feeds only. */
import { isUtf8 } from 'node:buffer';
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import chardet from 'chardet';
import iconv from 'iconv-lite';
import { isBinaryFile } from 'isbinaryfile';

/** Below this chardet is guessing: noise scores 2, a few lines of Cyrillic 49. */
const CONFIDENT = 30;

/**
 * The text of a file's bytes: UTF-8, UTF-16 with a byte order mark, or the legacy encoding that it most looks like;
 * without byte order mark, CRLF and CR turned into LF. Undefined when it is no text.
 */
export async function decode(bytes: Buffer): Promise<string | undefined> {
  const encoding = await encodingOf(bytes);
  if (encoding === undefined) return undefined;
  // Through UTF-8 once more: half a surrogate pair would come out as something else whenever it is hashed or cut.
  const utf8 = encoding === 'utf-8' ? bytes : Buffer.from(iconv.decode(bytes, encoding));
  const text = utf8.toString('utf8');
  if (text.includes('\0')) return undefined;
  return text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
}

async function encodingOf(bytes: Buffer): Promise<string | undefined> {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  if (bytes.includes(0)) return undefined;
  const binary = await isBinaryFile(bytes, bytes.length);
  if (isUtf8(bytes)) return binary ? undefined : 'utf-8';
  // isBinaryFile takes legacy Cyrillic and East Asian text for binary; a confident detector knows better.
  const best = chardet.analyse(bytes).find(({ name }) => iconv.encodingExists(name));
  if (best && (!binary || best.confidence >= CONFIDENT)) return best.name;
  return binary ? undefined : 'latin1';
}

/** Something else has taken the place of a file since it was listed. Its code is the system's for a stale handle. */
class ReplacedError extends Error {
  readonly code = 'ESTALE';
}

/**
 * The bytes of a regular file, or none when there are more than `limit`. Never follows a link and never blocks,
 * whatever has taken the file's place since it was listed; throws the system's error, or `ESTALE` when it is no
 * regular file any more.
 */
export async function readRegularFile(
  path: string,
  limit = Infinity,
): Promise<{ stat: Stats; bytes: Buffer | undefined }> {
  // Absent on Windows, where there are no such files.
  const careful = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, constants.O_RDONLY | careful);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new ReplacedError(path);
    if (stat.size > limit) return { stat, bytes: undefined };
    // One call instead of readFile's three: on many small files the hand-over to other threads is what costs.
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(stat.size), 0, stat.size, 0);
    return { stat, bytes: buffer.subarray(0, bytesRead) };
  } finally {
    await handle.close();
  }
}

/** The text of a file of the repository, as {@link decode} gives it; throws when it cannot be read or is no text. */
export async function readText(root: string, path: string): Promise<string> {
  const { bytes } = await readRegularFile(join(root, path));
  const text = bytes && (await decode(bytes));
  if (text === undefined) throw new Error(`${path} is not a text file any more.`);
  return text;
}
