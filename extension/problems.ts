import { ErrorCode } from '../backend/protocol.ts';
import type { ErrorName } from '../backend/protocol.ts';
import type { Problem, Remedy } from './events.ts';

export const NO_FOLDER: Problem = {
  message: 'RepoWave answers questions about a folder: please open one.',
  remedies: ['openFolder'],
};

const RETRY: Remedy[] = ['retry'];
const DEFECT: Remedy[] = ['retry', 'log'];
export const UNAVAILABLE: Remedy[] = ['retry', 'restart', 'log'];

const REMEDIES: Partial<Record<ErrorName, Remedy[]>> = {
  internal: DEFECT,
  environment: DEFECT,
  backendUnavailable: UNAVAILABLE,
  protocolMismatch: UNAVAILABLE,
};

/** JSON-RPC's and LSP's codes of a request that was cancelled. */
const CANCELLED = [-32800, -32802];

/** An error response as the user sees it; undefined when it says no more than that the request was cancelled. */
export function problemOf(error: unknown): Problem | undefined {
  const { message, code, data } = error as { message?: string; code?: unknown; data?: { name?: unknown } };
  const name = data?.name;
  if (name === 'cancelled' || CANCELLED.includes(Number(code))) return undefined;
  if (typeof name === 'string' && name in ErrorCode) {
    return { message: message ?? name, remedies: REMEDIES[name as ErrorName] ?? RETRY };
  }
  return {
    message: `Something went wrong: ${message ?? String(error)}. The log tells more.`,
    remedies: DEFECT,
  };
}
