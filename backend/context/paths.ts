/** From paths that the user names to segments. */
import path from 'node:path';
import { UserError } from '../errors.ts';
import type { SnapshotSegment } from './snapshot.ts';

/**
 * The segments that hold (a part of) any of these files or folders.
 * @param root of the repository; paths may be relative to it or absolute
 * @throws UserError `usage` for one that names nothing the model reads
 */
export function segmentsAt(
  paths: readonly string[],
  root: string,
  segments: readonly Pick<SnapshotSegment, 'lines'>[],
): number[] {
  const found = new Set<number>();
  for (const given of paths) {
    const wanted = insideRoot(given, root);
    const isIn = (file: string) => wanted === '' || file === wanted || file.startsWith(`${wanted}/`);
    let known = false;
    segments.forEach(({ lines }, id) => {
      if (!lines.sources.some((source) => isIn(source.path))) return;
      known = true;
      found.add(id);
    });
    if (!known) {
      throw new UserError(
        'usage',
        `There is no file or folder ${given} among those that are read: give a path relative to the repository.`,
      );
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** A path that the user names, as files are named: relative to the root, with forward slashes. */
export function insideRoot(given: string, root: string): string {
  const inside = path.relative(root, path.resolve(root, given));
  return inside.split(path.sep).join('/');
}
