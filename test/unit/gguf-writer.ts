/** Writes small GGUF files for tests, right ones and wrong ones. */

/** A plain number is written as a uint32. */
type Scalar = number | boolean | string | { f32: number };

export interface TensorSpec {
  name: string;
  shape: number[];
  type: number;
  offset: number;
}

export interface GgufSpec {
  version?: number;
  metadata?: Record<string, Scalar | Scalar[]>;
  tensors?: TensorSpec[];
  /** Tensor data behind the header; a number is that many zero bytes. */
  data?: number | Buffer;
}

const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};

export const u64 = (value: number | bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
};

const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

const UINT32 = 4;
const FLOAT32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

function typeOf(value: Scalar | undefined): number {
  if (typeof value === 'object') return FLOAT32;
  return typeof value === 'string' ? STRING : typeof value === 'boolean' ? BOOL : UINT32;
}

function scalar(value: Scalar): Buffer {
  if (typeof value === 'object') return Buffer.from(Float32Array.of(value.f32).buffer);
  if (typeof value === 'string') return text(value);
  return typeof value === 'boolean' ? Buffer.from([Number(value)]) : u32(value);
}

function entry([key, value]: [string, Scalar | Scalar[]]): Buffer {
  if (!Array.isArray(value)) return Buffer.concat([text(key), u32(typeOf(value)), scalar(value)]);
  const head = [text(key), u32(ARRAY), u32(typeOf(value[0])), u64(value.length)];
  return Buffer.concat([...head, ...value.map(scalar)]);
}

function tensor({ name, shape, type, offset }: TensorSpec): Buffer {
  return Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)]);
}

export function gguf({ version = 3, metadata = {}, tensors = [], data = 0 }: GgufSpec): Buffer {
  const entries = Object.entries(metadata);
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(entries.length),
    ...entries.map(entry),
    ...tensors.map(tensor),
  ]);
  const padding = Buffer.alloc((32 - (header.length % 32)) % 32);
  return Buffer.concat([header, padding, typeof data === 'number' ? Buffer.alloc(data) : data]);
}

/** A model with one 64 × 2 tensor of Q8_0: 136 bytes of data. */
export function llamaLike(metadata: GgufSpec['metadata'] = {}): Buffer {
  return gguf({
    metadata: {
      'general.architecture': 'llama',
      'general.name': 'Tiny',
      'llama.context_length': 2048,
      'llama.block_count': 2,
      'llama.embedding_length': 64,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 2,
      'tokenizer.ggml.tokens': ['a', 'bc', ''],
      ...metadata,
    },
    tensors: [{ name: 'token_embd.weight', shape: [64, 2], type: 8, offset: 0 }],
    data: 136,
  });
}
