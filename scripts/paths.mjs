/** The places that set-up reads and writes, and the one version that it pins itself. */
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** @param {string[]} parts @returns {string} an absolute path in the repository */
export const at = (...parts) => path.join(root, ...parts);

export const build = at('build');
export const dist = at('dist');
export const llamaSource = at('build', 'llama.cpp');
export const llamaLibraries = at('node_modules', '@node-llama-cpp', 'linux-x64', 'bins', 'linux-x64');

/** Must be the version of the optional dependency `@node-llama-cpp/linux-x64`: headers and libraries belong together. */
export const llamaPackage = {
  name: 'node-llama-cpp',
  version: '3.22.1',
  bytes: 35_735_663,
  integrity:
    'sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==',
};
