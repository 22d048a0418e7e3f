/** What of a model's work is done by a GPU: chosen anew whenever a model is loaded. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import type { GpuMode } from '../protocol.ts';
import type { CudaReport, GpuWeights, SessionOptions } from './native.ts';

/** The plug-ins of llama.cpp's release that the addon is linked to. */
const release = manifest.optionalDependencies['@node-llama-cpp/linux-x64'];
const kinds = ['cuda', 'vulkan'] as const;
type Kind = (typeof kinds)[number];
export type Plugins = Partial<Record<Kind, string>>;

export const installCuda = `npm install --no-save @node-llama-cpp/linux-x64-cuda@${release}`;
/** For these libggml-cuda.so has code, for others the text of a program that drivers for CUDA 13.1 and newer translate. */
const translated = { capabilities: ['8.6', '8.9', '12.0', '12.1'], driver: 13_010 };

/** What a user wants; `bytes` of the GPU's memory for the repository, 0: most of what is free. */
export interface GpuWish {
  mode: GpuMode;
  bytes: number;
}

/** What to try, and why it is not more. */
export interface GpuPlan {
  weights?: GpuWeights;
  attention?: SessionOptions['cuda'];
  problems: string[];
}

/** llama.cpp's plug-ins in the folders of packages around this program. `REPOWAVE_GPU` names another file. */
export function findPlugins(): Plugins {
  const folders = createRequire(import.meta.url).resolve.paths('@node-llama-cpp') ?? [];
  const found = kinds.map((kind) => {
    const name = `linux-x64-${kind}`;
    const file = path.join('@node-llama-cpp', name, 'bins', name, `libggml-${kind}.so`);
    return [kind, folders.map((folder) => path.join(folder, file)).find((each) => existsSync(each))] as const;
  });
  const given = process.env.REPOWAVE_GPU;
  if (given) return { [path.basename(given).includes('vulkan') ? 'vulkan' : 'cuda']: given };
  return Object.fromEntries(found.filter(([, file]) => file !== undefined));
}

/** Why llama.cpp's plug-in for CUDA would not run; it would end the process. Empty when it should. */
export function cudaPluginProblem({ devices, driver, problem }: CudaReport): string {
  const device = devices[0];
  if (!device) return problem;
  if (translated.capabilities.includes(device.capability) || driver >= translated.driver) return '';
  return `llama.cpp's CUDA plug-in needs a driver for CUDA 13.1 on compute capability ${device.capability}`;
}

/**
 * Everything that is there. Weights go before attention: without the kernels attention is the processor's.
 * @param bytes see {@link GpuWish}
 */
export function planGpu(bytes: number, cuda: CudaReport, plugins: Plugins): GpuPlan {
  const usable = cuda.devices[0]?.usable ?? false;
  const without = cuda.problem || (usable ? '' : 'there are no CUDA kernels for this GPU');
  const wrong = plugins.cuda === undefined ? '' : cudaPluginProblem(cuda);
  const plugin = plugins.cuda !== undefined && !wrong ? plugins.cuda : plugins.vulkan;
  const missing = plugin === undefined && !wrong ? `no plug-in for the weights (${installCuda})` : '';
  return {
    ...(plugin !== undefined && { weights: { plugin, shared: usable && plugin === plugins.cuda } }),
    ...(usable && { attention: { library: cuda.library, bytes } }),
    problems: [...new Set([without, wrong, missing])].filter(Boolean),
  };
}

/** Names of GPUs, or empty for the processor. */
export interface GpuUse {
  weights: string;
  attention: string;
  problems: readonly string[];
}

/** In one sentence. */
export function describeUse({ weights, attention, problems }: GpuUse): string {
  const [first, second] = [weights || 'the CPU', attention || 'the CPU'];
  const what =
    first === second ? `weights and attention on ${first}` : `weights on ${first}, attention on ${second}`;
  return problems.length > 0 ? `${what}: ${problems.join('; ')}` : what;
}
