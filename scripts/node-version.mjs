/** Read by whatever Node the user has, so in plain syntax and without imports. */
const MAJOR = 20;
const MINOR = 19;

export const MINIMUM_NODE = `${MAJOR}.${MINOR}`;

/** @param {string} version like 20.18.1 @returns {boolean} */
export function isNodeTooOld(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < MAJOR || (major === MAJOR && minor < MINOR);
}
