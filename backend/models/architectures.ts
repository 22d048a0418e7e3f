/**
 * Which of llama.cpp's architectures (0.5.0, `src/llama-arch.cpp`) our attention can serve: those whose graph asks
 * for a plain K/V cache and nothing else of attention than scaled, causal softmax over all earlier tokens. Derived
 * from `src/models/*.cpp` of that version: `build_attn_inp_kv()`, one head layout, no bias, cap, sink or window.
 * Of those with a cap, sinks or windows, the ones that test/native/session.test.ts compares with llama.cpp.
 */
import { basename } from 'node:path';
import { UserError } from '../errors.ts';
import type { GgufHeader } from './gguf.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

const SUPPORTED = new Set(
  words(`
    apertus arcee arctic bailingmoe bailingmoe2 bitnet chameleon chatglm codeshell cogvlm command-r dbrx deci
    deepseek dots1 ernie4_5 ernie4_5-moe exaone falcon gemma gemma2 gemma3 glm4 glm4moe gpt-oss gpt2 gptneox granite granitemoe grovemoe
    hunyuan-dense hunyuan-moe hunyuan_vl hy_v3 internlm2 jais2 llama maincoder mellum minicpm minimax-m2 mistral3
    nanbeige nemotron olmo olmo2 olmoe openelm orion paddleocr pangu-embedded phi2 phi3 phimoe plamo plamo3 qwen
    qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe seed_oss smallthinker smollm3 stablelm starcoder
    starcoder2 talkie xverse
  `),
);

/** Of the supported ones, those in which llama.cpp obeys `attention.sliding_window`; the others ignore it. */
const OBEYS_WINDOW = new Set(words('mellum olmo2 plamo3 smallthinker'));

const SLIDING_WINDOW = 'reads through sliding windows';
const REFUSED = new Map(
  Object.entries({
    'keeps a recurrent state instead of a K/V cache': 'mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7',
    'mixes attention with recurrent layers': `
      bailingmoe3 falcon-h1 granitehybrid jamba kimi-k3 kimi-linear lfm2 lfm2moe minimax-01 nemotron_h nemotron_h_moe
      plamo2 qwen35 qwen35moe qwen3next qwen4exp`,
    [SLIDING_WINDOW]: `
      afmoe cohere2 cohere2moe exaone-moe exaone4 gemma3n gemma4 laguna llama4 maple muse-glimmer spark2_5
      step35`,
    'caps its attention scores': 'grok',
    'uses attention sinks': 'granite_swa mimo2',
    'adds a distance bias (ALiBi) to its attention': 'baichuan bloom jais mpt refact',
    'compresses keys and values into one (MLA)': `
      deepseek2 deepseek2-ocr deepseek32 deepseek4 dots3note glm-dsa hy_v4 mistral4`,
    'selects tokens by an index of its own': 'minimax-m3',
    'has keys and values of different sizes': 'minicpm3 plm',
    'is not read strictly from left to right': 'dream hrm_text llada llada-moe rnd1',
    'switches its weights by an attention layer of its own': 'graniteswitch',
    'only encodes text and cannot write any': `
      bert eurobert gemma-embedding jina-bert-v2 jina-bert-v3 llama-embed modern-bert neo-bert nomic-bert
      nomic-bert-moe t5encoder`,
    'has a separate encoder': 't5',
    'is made for images or speech': 'clip pockettts qwen3tts wavtokenizer-dec',
    'only drafts for another model': 'dflash eagle3 gemma4-assistant',
  }).flatMap(([reason, names]) => words(names).map((name) => [name, reason] as const)),
);

const varies = (perLayer: number[]): boolean => new Set(perLayer).size > 1;

/** Why our attention cannot serve this model, as a phrase that follows "which"; undefined when it can. */
export function refusal(header: GgufHeader): string | undefined {
  const { architecture } = header;
  const reason = REFUSED.get(architecture);
  if (reason !== undefined) return reason;
  if (!SUPPORTED.has(architecture)) return 'this version does not know';
  if (OBEYS_WINDOW.has(architecture) && header.slidingWindow > 0) return SLIDING_WINDOW;
  if (!header.causal) return 'only encodes text and cannot write any';
  if (varies(header.queryHeads) || varies(header.kvHeads)) return 'has other attention heads in every layer';
  // llama.cpp chooses the factors by the size of its own context, and ours is small.
  if (header.longRope) return 'rotates its positions by other factors in long contexts (LongRoPE)';
  if (header.keyLength !== header.valueLength) return 'has keys and values of different sizes';
  return undefined;
}

/** Throws `modelUnsupported` for a model that our attention cannot serve. */
export function requireSupported(path: string, header: GgufHeader): void {
  const reason = refusal(header);
  if (reason === undefined) return;
  throw new UserError(
    'modelUnsupported',
    `${basename(path)} is of the architecture ${header.architecture}, which ${reason}; choose a model of another ` +
      'architecture, such as llama, qwen2 or qwen3.',
  );
}
