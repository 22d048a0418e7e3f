/** What the user can put right: shown as its one sentence, without a stack trace. */
export class Problem extends Error {
  /** `ErrorCode.environment` of backend/protocol.ts; set-up runs before that file can be loaded. */
  static exitCode = 19;
}

/** @type {Record<string, string>} what the file system's error means, and what to do */
const CAUSES = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'your disk quota is used up: free some space',
  EACCES: 'this user may not do that: check who owns it',
  EPERM: 'this user may not do that: check who owns it',
  EROFS: 'it is on a read-only file system: copy RepoWave to a folder that can be written',
  EEXIST: 'something else is there already: move it away',
  ENOTDIR: 'a file is where a folder has to be: move it away',
  EISDIR: 'a folder is where a file has to be: move it away',
};

/**
 * @param {unknown} error
 * @returns {Problem | undefined} undefined for a defect of ours: neither a Problem nor refused by the system
 */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  const { code, path, syscall, message } = /** @type {NodeJS.ErrnoException} */ (error);
  if (code === undefined || syscall === undefined) return undefined;
  const place = path === undefined ? 'a file' : `"${path}"`;
  const cause = CAUSES[code] ?? `the system says "${message}": put that right`;
  return new Problem(`Could not use ${place} (${syscall}): ${cause}, then run this again.`);
}
