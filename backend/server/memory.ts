import { openAddon } from '../engine/engine.ts';
import { memoryOf } from '../engine/memory.ts';
import { MemoryRequest } from '../protocol.ts';
import type { Registry } from './connection.ts';

/** Answered at once, also while a question is. */
export function registerMemory(registry: Registry): void {
  registry.on0(MemoryRequest, () => Promise.resolve(memoryOf(openAddon())));
}
