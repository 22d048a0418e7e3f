import path from 'node:path';

/** The absolute path of `file` below `root`, or undefined when it is not below it. */
export function resolveInside(root: string, file: string): string | undefined {
  const target = path.resolve(root, file);
  const relative = path.relative(root, target);
  const outside = relative === '' || relative.split(path.sep)[0] === '..' || path.isAbsolute(relative);
  return outside || file.includes('\0') ? undefined : target;
}
