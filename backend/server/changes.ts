import { z } from 'zod';
import type { Seen } from '../context/seen.ts';
import { scanTree } from '../context/snapshot.ts';
import type { Engine } from '../engine/engine.ts';
import { ChangesRequest } from '../protocol.ts';
import type { Registry } from './connection.ts';
import { progressFields, repositoryFields } from './params.ts';

const schema = z.object({ ...repositoryFields, ...progressFields, unsaved: z.array(z.string()) });

/** Answered at once, whatever the engine does: it only looks at the files. */
export function registerChanges(registry: Registry, { storeRoot }: Engine, seen: Seen): void {
  registry.on(ChangesRequest, schema, async ({ root, include = [], exclude = [], unsaved }, { signal }) => {
    const selection = { root, include, exclude };
    const { files } = await scanTree(storeRoot, selection, signal, () => undefined);
    return {
      changed: seen.changes(selection, files),
      unsaved: seen.held(selection, files, unsaved),
    };
  });
}
