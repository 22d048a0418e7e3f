/** What the user can put right: shown as its one sentence, without a stack trace. */
export class Problem extends Error {
  /** `ErrorCode.environment` of backend/protocol.ts; set-up runs before that file can be loaded. */
  static exitCode = 19;
}
