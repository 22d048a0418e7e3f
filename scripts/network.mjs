import { Problem } from './problem.mjs';

const CAUSES = [
  {
    pattern:
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|FETCH_ERROR|EIDLETIMEOUT/,
    cause:
      'the npm registry cannot be reached: check the network, or "npm config get registry" and the proxy',
  },
  { pattern: /ENOSPC/, cause: 'the disk is full: free some space' },
  {
    pattern: /E401|E403|ENEEDAUTH/,
    cause: 'the npm registry refuses access: check "npm config get registry" and "npm login"',
  },
  { pattern: /E404|ETARGET/, cause: 'the npm registry does not have it: check "npm config get registry"' },
];

/**
 * @param {string} what that could not be had
 * @param {string} output of npm
 * @returns {Problem} one sentence in the user's terms
 */
export function networkProblem(what, output) {
  const known = CAUSES.find(({ pattern }) => pattern.test(output));
  const said = output.match(/^npm (?:error|ERR!) (?!code |errno |syscall |path )(.+)$/m)?.[1];
  const cause = known?.cause ?? (said || `npm ended with "${output.trim().split('\n').at(-1)}"`);
  return new Problem(`Could not get ${what}: ${cause}, then run this again.`);
}
