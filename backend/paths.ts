import path from 'node:path';
import envPaths from 'env-paths';

/** Folder of stored K/V and snapshots: `REPOWAVE_STORE`, else under the user's cache. It can be deleted at any time. */
export function storeDirectory(): string {
  return path.resolve(
    process.env.REPOWAVE_STORE ?? path.join(envPaths('repowave', { suffix: '' }).cache, 'store'),
  );
}
