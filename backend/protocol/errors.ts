/** What can go wrong. */

/** What can go wrong, as users would tell it apart. The command line exits with the number. */
export const ErrorCode = {
  internal: 1,
  usage: 2,
  repositoryMissing: 3,
  repositoryNotAFolder: 4,
  repositoryEmpty: 5,
  everythingExcluded: 6,
  modelUnknown: 7,
  modelCorrupt: 8,
  modelUnsupported: 9,
  checksumMismatch: 10,
  noSpace: 11,
  download: 12,
  questionEmpty: 13,
  questionTooLong: 14,
  outOfMemory: 15,
  protocolMismatch: 16,
  unauthorized: 17,
  backendUnavailable: 18,
  environment: 19,
  licence: 20,
  cancelled: 130,
} as const;
export type ErrorName = keyof typeof ErrorCode;

/** `data` of every JSON-RPC error response: `message` is one sentence for the user, ending in what to do. */
export interface ErrorData {
  name: ErrorName;
}
