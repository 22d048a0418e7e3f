/** Whether this machine has what RepoWave needs. Looks only: nothing is changed, downloaded or asked of the network. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import prettyBytes from 'pretty-bytes';
import { cudaPluginProblem, findPlugins, installCuda, type Plugins } from './engine/gpu.ts';
import type { CudaReport, NativeAddon } from './engine/native.ts';
import { loadAddon } from './engine/native.ts';
import { CATALOGUE, DEFAULT_MODEL, findModel } from './models/catalogue.ts';
import { isVerified, verify } from './models/download.ts';
import type { Check } from './protocol.ts';

const MINIMUM_NODE = [20, 19] as const;
/** The default model, its workspace and the K/V of a small repository. */
const MINIMUM_MEMORY = 2e9;
/** The K/V of about 80,000 tokens with the default model. */
const MINIMUM_STORE = 1e9;

export interface DoctorOptions {
  modelsDirectory: string;
  storeDirectory: string;
  /** How the addon is loaded; it may throw. */
  addon?: () => NativeAddon;
}

/** All checks, in the order in which to read them. */
export async function doctor({
  modelsDirectory,
  storeDirectory,
  addon = loadAddon,
}: DoctorOptions): Promise<Check[]> {
  const modelBytes = await missingBytes(modelsDirectory);
  return [
    checkNode(process.versions.node),
    checkPlatform(process.platform, process.arch),
    checkMemory(os.totalmem(), os.freemem()),
    ...checkAddon(addon),
    await checkGit(),
    await checkModel(modelsDirectory),
    await checkDisk('Disk for models', modelsDirectory, modelBytes),
    await checkDisk('Disk for the store', storeDirectory, MINIMUM_STORE),
  ];
}

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [needed, neededMinor] = MINIMUM_NODE;
  const ok = major > needed || (major === needed && minor >= neededMinor);
  const advice = `install version ${MINIMUM_NODE.join('.')} or newer`;
  return { name: 'Node', ok, detail: ok ? version : `${version}; ${advice}` };
}

export function checkPlatform(platform: string, arch: string): Check {
  const ok = platform === 'linux' && arch === 'x64';
  const found = `${platform} ${arch}`;
  return { name: 'Platform', ok, detail: ok ? found : `${found}; RepoWave runs on Linux x64 only so far` };
}

/** Both in bytes. */
export function checkMemory(total: number, free: number): Check {
  const ok = total >= MINIMUM_MEMORY;
  const found = `${prettyBytes(total)}, ${prettyBytes(free)} of it free`;
  const detail = ok ? found : `${found}; at least ${prettyBytes(MINIMUM_MEMORY)} are needed`;
  return { name: 'Memory', ok, detail };
}

/** The processor is checked with the addon, which is what knows the instruction sets. */
export function checkAddon(load: () => NativeAddon): Check[] {
  const processor = `${os.cpus()[0]?.model.trim() ?? 'unknown'}, ${os.availableParallelism()} threads`;
  try {
    const addon = load();
    return [
      { name: 'Processor', ok: true, detail: `${processor}, computing with ${addon.isa}` },
      { name: 'Native addon', ok: true, detail: `llama.cpp ${addon.llamaVersion}` },
      checkGpu(addon.cuda(process.env.REPOWAVE_CUDA), findPlugins()),
    ];
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0];
    return [
      { name: 'Processor', ok: true, detail: processor },
      { name: 'Native addon', ok: false, detail: `${reason}; build it with npm run build` },
    ];
  }
}

/** Never a fault: everything can be computed on the processor, and is by default. */
export function checkGpu(report: CudaReport, plugins: Plugins): Check {
  const { driver, problem, devices } = report;
  const found = devices.map(({ name, totalBytes, freeBytes, capability, usable }) => {
    const kernels = usable ? '' : ', for which there are no kernels (they need 8.0)';
    return `${name}, ${prettyBytes(freeBytes)} of ${prettyBytes(totalBytes)} free, compute capability ${capability}${kernels}`;
  });
  const cuda = driver > 0 ? `driver for CUDA ${Math.floor(driver / 1000)}.${(driver % 1000) / 10}` : '';
  const isThere = devices.length > 0 || plugins.vulkan !== undefined;
  const use = isThere ? 'used with --gpu auto only' : 'not needed';
  const all = [...found, cuda, problem, isThere ? describeWeights(report, plugins) : '', use];
  return { name: 'GPU', ok: true, detail: all.filter(Boolean).join('; ') };
}

/** Whether the GPU could have a model's weights. */
function describeWeights(report: CudaReport, { cuda, vulkan }: Plugins): string {
  const wrong = cuda === undefined ? '' : cudaPluginProblem(report);
  if (cuda !== undefined && !wrong) return `weights by ${cuda}`;
  if (vulkan !== undefined) return [wrong, `weights by ${vulkan}`].filter(Boolean).join('; ');
  return wrong || `weights stay on the processor until you run ${installCuda}`;
}

async function checkGit(): Promise<Check> {
  try {
    const { stdout } = await promisify(execFile)('git', ['--version']);
    return { name: 'git', ok: true, detail: stdout.trim().replace('git version ', '') };
  } catch {
    return {
      name: 'git',
      ok: false,
      detail: 'not found; install it',
    };
  }
}

async function checkModel(directory: string): Promise<Check> {
  const name = 'Models';
  const present: string[] = [];
  for (const model of CATALOGUE) {
    const state = await verify(path.join(directory, model.file), model);
    const detail = `${model.file} in ${directory} is damaged; delete it, and the next question downloads it again`;
    if (state === 'wrong') return { name, ok: false, detail };
    if (state === 'verified') present.push(model.id);
  }
  const ok = present.includes(DEFAULT_MODEL);
  const found = `${present.join(', ') || 'none'} in ${directory}`;
  return { name, ok, detail: ok ? found : `${found}; the first question downloads ${DEFAULT_MODEL}` };
}

/** What a download of the default model would take; nothing once it is there. */
async function missingBytes(directory: string): Promise<number> {
  const model = findModel(DEFAULT_MODEL);
  return (await isVerified(path.join(directory, model.file), model)) ? 0 : 2 * model.bytes;
}

async function checkDisk(name: string, directory: string, needed: number): Promise<Check> {
  const { bavail, bsize } = await statfs(nearestExisting(directory));
  const free = bavail * bsize;
  const found = `${prettyBytes(free)} free at ${directory}`;
  if (free >= needed) return { name, ok: true, detail: found };
  return { name, ok: false, detail: `${found}; free at least ${prettyBytes(needed)}` };
}

/** A folder that is not there yet will be on the disk of the nearest one that is. */
function nearestExisting(directory: string): string {
  const parent = path.dirname(directory);
  return existsSync(directory) || parent === directory ? directory : nearestExisting(parent);
}
