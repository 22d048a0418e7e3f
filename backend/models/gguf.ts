/**
 * The header of a GGUF file: what the model is, and whether all of its tensors are really in the file.
 *
 * A reader of our own because `@huggingface/gguf` keeps the whole vocabulary as JavaScript values, which takes
 * about a second for 150,000 tokens; this one steps over what nobody asks for and takes tens of milliseconds.
 * Every count in the file is checked against what the file can hold before anything is allocated or repeated.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { UserError } from '../errors.ts';

export interface GgufHeader {
  architecture: string;
  /** `general.name`, or the empty string. */
  name: string;
  /** Tokens the model was trained for; 0 when the file does not say, as for the other numbers here. */
  contextLength: number;
  layers: number;
  /** One number for all layers, or one per layer. */
  queryHeads: number[];
  kvHeads: number[];
  /** Size of a head's key and value. */
  keyLength: number;
  valueLength: number;
  /** Tokens that a sliding-window layer sees. */
  slidingWindow: number;
  /** Whether a token sees the earlier ones only, as a model that writes text must. */
  causal: boolean;
  /** Whether it rotates by other factors in long contexts (LongRoPE). */
  longRope: boolean;
  tensors: number;
}

type Value = number | boolean | string | number[];

/** [values per block, bytes per block] of ggml's tensor types, from `ggml_blck_size` and `ggml_type_size`. */
const TENSOR_TYPES: Record<number, [number, number]> = {
  ...{ 0: [1, 4], 1: [1, 2], 2: [32, 18], 3: [32, 20], 6: [32, 22], 7: [32, 24], 8: [32, 34], 9: [32, 36] },
  ...{ 10: [256, 84], 11: [256, 110], 12: [256, 144], 13: [256, 176], 14: [256, 210], 15: [256, 292] },
  ...{ 16: [256, 66], 17: [256, 74], 18: [256, 98], 19: [256, 50], 20: [32, 18], 21: [256, 110] },
  ...{ 22: [256, 82], 23: [256, 136], 24: [1, 1], 25: [1, 2], 26: [1, 4], 27: [1, 8], 28: [1, 8] },
  ...{ 29: [256, 56], 30: [1, 2], 34: [256, 54], 35: [256, 66], 39: [32, 17], 40: [64, 36] },
  ...{ 41: [128, 18], 42: [64, 18] },
};

/** Bytes of a metadata value, by GGUF's type number; 8 is a string and 9 an array. */
const VALUE_BYTES: Record<number, number> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const STRING = 8;
const ARRAY = 9;

const MAX_ENTRIES = 65_536;
const MAX_ARRAY = 16_777_216;
/** Longer texts (chat templates) and arrays (vocabularies) are stepped over; per-layer settings are kept. */
const KEPT_BYTES = 4_096;
const KEPT_ITEMS = 1_024;
const MAX_NAME_BYTES = 65_535;
const MAX_DIMENSIONS = 4;

class Malformed extends Error {}

/** A window that moves forward over the file. */
class Reader {
  private readonly window = Buffer.allocUnsafe(1 << 18);
  private start = 0;
  private end = 0;
  position = 0;

  constructor(
    private readonly file: number,
    readonly size: number,
  ) {}

  /** Offset within the window of the next `bytes` bytes, which are then behind us. */
  private take(bytes: number): number {
    if (this.position + bytes > this.end) this.refill(bytes);
    const offset = this.position - this.start;
    this.position += bytes;
    return offset;
  }

  private refill(bytes: number): void {
    if (this.position + bytes > this.size) throw new Malformed('it ends in the middle of its header');
    const read = readSync(this.file, this.window, 0, this.window.length, this.position);
    this.start = this.position;
    this.end = this.position + read;
    if (read < bytes) throw new Malformed('it ends in the middle of its header');
  }

  skip(bytes: number): void {
    if (bytes > this.size - this.position) throw new Malformed('it ends in the middle of its header');
    this.position += bytes;
    if (this.position > this.end) this.start = this.end = this.position;
  }

  u32(): number {
    return this.window.readUInt32LE(this.take(4));
  }

  /** A size or offset; none in a readable file needs more than 53 bits. */
  u64(): number {
    const offset = this.take(8);
    const value = this.window.readUInt32LE(offset) + this.window.readUInt32LE(offset + 4) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw new Malformed('it holds an impossible size');
    return value;
  }

  text(bytes: number): string {
    const offset = this.take(bytes);
    return this.window.toString('utf8', offset, offset + bytes);
  }

  scalar(type: number): number | boolean {
    const bytes = VALUE_BYTES[type];
    if (bytes === undefined) throw new Malformed(`it holds a value of the unknown type ${type}`);
    const offset = this.take(bytes);
    if (type === 6) return this.window.readFloatLE(offset);
    if (type === 7) return this.window[offset] !== 0;
    if (type === 10) return Number(this.window.readBigUInt64LE(offset));
    if (type === 11) return Number(this.window.readBigInt64LE(offset));
    if (type === 12) return this.window.readDoubleLE(offset);
    const signed = type === 1 || type === 3 || type === 5;
    return signed ? this.window.readIntLE(offset, bytes) : this.window.readUIntLE(offset, bytes);
  }
}

function readName(reader: Reader): string {
  const bytes = reader.u64();
  if (bytes > MAX_NAME_BYTES) throw new Malformed('it holds an impossible name');
  return reader.text(bytes);
}

function readString(reader: Reader): string | undefined {
  const bytes = reader.u64();
  if (bytes <= KEPT_BYTES) return reader.text(bytes);
  reader.skip(bytes);
  return undefined;
}

function readArray(reader: Reader): number[] | undefined {
  const type = reader.u32();
  const count = reader.u64();
  if (count > MAX_ARRAY) throw new Malformed('it holds an impossible list');
  if (type === STRING) {
    for (let i = 0; i < count; i++) reader.skip(reader.u64());
    return undefined;
  }
  const bytes = VALUE_BYTES[type];
  if (bytes === undefined) throw new Malformed(`it holds a list of the unknown type ${type}`);
  if (count > KEPT_ITEMS) {
    reader.skip(count * bytes);
    return undefined;
  }
  return Array.from({ length: count }, () => Number(reader.scalar(type)));
}

function readMetadata(reader: Reader, count: number): Map<string, Value> {
  const metadata = new Map<string, Value>();
  for (let i = 0; i < count; i++) {
    const key = readName(reader);
    const type = reader.u32();
    const value =
      type === STRING ? readString(reader) : type === ARRAY ? readArray(reader) : reader.scalar(type);
    if (value !== undefined) metadata.set(key, value);
  }
  return metadata;
}

/** The tensors' names, and where the last one ends, relative to where tensors begin. */
function readTensors(reader: Reader, count: number): { names: string[]; end: number } {
  const names: string[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const name = readName(reader);
    names.push(name);
    const dimensions = reader.u32();
    if (dimensions > MAX_DIMENSIONS) throw new Malformed(`its tensor ${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => reader.u64());
    const type = reader.u32();
    const block = TENSOR_TYPES[type];
    if (!block) throw new Malformed(`its tensor ${name} is of the unknown type ${type}`);
    const offset = reader.u64();
    const values = shape.reduce((product, length) => product * length, 1);
    if (!Number.isSafeInteger(values) || (shape[0] ?? 1) % block[0] !== 0) {
      throw new Malformed(`its tensor ${name} has an impossible shape`);
    }
    end = Math.max(end, offset + (values / block[0]) * block[1]);
  }
  return { names, end };
}

function readFile(reader: Reader): GgufHeader {
  if (reader.size < 24 || reader.text(4) !== 'GGUF') throw new Malformed('it is not a GGUF file');
  const version = reader.u32();
  if (version !== 2 && version !== 3) throw new Malformed(`its GGUF version ${version} is not 2 or 3`);
  const tensors = reader.u64();
  const entries = reader.u64();
  if (tensors > MAX_ENTRIES || entries > MAX_ENTRIES) throw new Malformed('it holds an impossible count');

  const metadata = readMetadata(reader, entries);
  const { names, end } = readTensors(reader, tensors);
  const alignment = Number(metadata.get('general.alignment') ?? 32);
  if (!(alignment >= 1 && alignment <= 1 << 20)) throw new Malformed('it has an impossible alignment');
  const needed = Math.ceil(reader.position / alignment) * alignment + end;
  if (tensors > 0 && needed > reader.size) {
    throw new Malformed(`it is cut off after ${reader.size} of at least ${needed} bytes`);
  }
  return describe(metadata, names);
}

function describe(metadata: Map<string, Value>, tensors: string[]): GgufHeader {
  const architecture = metadata.get('general.architecture');
  if (typeof architecture !== 'string') throw new Malformed('it does not say which architecture it is');
  const name = metadata.get('general.name');
  const numbers = (key: string): number[] => {
    const value = metadata.get(`${architecture}.${key}`);
    return value === undefined || typeof value === 'string' ? [] : [value].flat().map(Number);
  };
  const number = (key: string, fallback = 0): number => numbers(key)[0] ?? fallback;

  const queryHeads = numbers('attention.head_count');
  const kvHeads = numbers('attention.head_count_kv');
  const headSize = queryHeads[0] ? number('embedding_length') / queryHeads[0] : 0;
  return {
    architecture,
    name: typeof name === 'string' ? name : '',
    contextLength: number('context_length'),
    layers: number('block_count'),
    queryHeads,
    kvHeads: kvHeads.length > 0 ? kvHeads : queryHeads,
    keyLength: number('attention.key_length', headSize),
    valueLength: number('attention.value_length', headSize),
    slidingWindow: Math.max(0, ...numbers('attention.sliding_window')),
    causal: number('attention.causal', 1) !== 0,
    longRope: tensors.some((tensor) => tensor.includes('rope_factors_long')),
    tensors: tensors.length,
  };
}

function open(path: string): number {
  try {
    if (!statSync(path).isFile()) throw new Error('not a file');
    return openSync(path, 'r');
  } catch (cause) {
    throw new UserError('modelUnknown', `There is no readable model at ${path}; check the path.`, { cause });
  }
}

/**
 * Reads the header of a GGUF file (version 2 or 3).
 * Throws `modelCorrupt` for a file that is torn, cut off or something else, `modelUnknown` for one that cannot
 * be opened.
 */
export function readGguf(path: string): GgufHeader {
  const file = open(path);
  try {
    return readFile(new Reader(file, fstatSync(file).size));
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    const message = `${basename(path)} is not a usable model: ${cause.message}. Download it again.`;
    throw new UserError('modelCorrupt', message, { cause });
  } finally {
    closeSync(file);
  }
}
