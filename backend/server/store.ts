import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { storeDirectory } from '../paths.ts';
import { StoreRequest, type StoreEntry, type StoreReport } from '../protocol.ts';
import type { Registry } from './connection.ts';

/** What `Store` calls the folder of a model. */
const modelFolder = /^[0-9a-f]{16}$/;

export function registerStore(registry: Registry): void {
  registry.on0(StoreRequest, reportStore);
}

async function reportStore(): Promise<StoreReport> {
  const directory = storeDirectory();
  const folders = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const entries = await Promise.all(
    folders
      .filter((folder) => folder.isDirectory() && modelFolder.test(folder.name))
      .map((folder) => reportEntry(directory, folder.name)),
  );
  return { directory, bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0), entries };
}

async function reportEntry(directory: string, id: string): Promise<StoreEntry> {
  const files = await readdir(path.join(directory, id), { recursive: true, withFileTypes: true });
  let segments = 0;
  let bytes = 0;
  for (const file of files.filter((entry) => entry.isFile())) {
    // Another backend may replace a file between the listing and this look at it.
    bytes += (await stat(path.join(file.parentPath, file.name)).catch(() => undefined))?.size ?? 0;
    if (file.name.endsWith('.seg')) segments++;
  }
  return { id, segments, bytes };
}
