/** Flags of the builds that check as they run. */
export const SANITIZERS = {
  tsan: ['-O1', '-fsanitize=thread'],
  asan: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
};
