import { ErrorCode } from '../backend/protocol.ts';
import type { ErrorName } from '../backend/protocol.ts';
import type { Problem, Remedy } from './events.ts';
import { t } from './l10n.ts';

const RETRY: Remedy[] = ['retry'];
const MODEL: Remedy[] = ['selectModel', 'retry'];
const DEFECT: Remedy[] = ['retry', 'log'];
export const UNAVAILABLE: Remedy[] = ['retry', 'restart', 'log'];
/** By a backend on another machine. */
export const REFUSED: Remedy[] = ['enterToken', 'retry', 'log'];

const REMEDIES: Partial<Record<ErrorName, Remedy[]>> = {
  internal: DEFECT,
  environment: DEFECT,
  backendUnavailable: UNAVAILABLE,
  protocolMismatch: UNAVAILABLE,
  modelUnknown: MODEL,
  modelCorrupt: MODEL,
  modelUnsupported: MODEL,
  checksumMismatch: ['retry', 'selectModel'],
  download: ['retry', 'selectModel'],
};

/** JSON-RPC's and LSP's codes of a request that was cancelled. */
const CANCELLED = [-32800, -32802];

/** An error response as the user sees it; undefined when it says no more than that the request was cancelled. */
export function problemOf(error: unknown): Problem | undefined {
  const { message, code, data } = error as { message?: string; code?: unknown; data?: { name?: unknown } };
  const name = data?.name;
  if (name === 'cancelled' || CANCELLED.includes(Number(code))) return undefined;
  if (name === 'licence') {
    // The backend's own sentence is for the command line.
    const licence = t('This model is not open source: select it to read and accept its licence.');
    return { message: licence, remedies: MODEL };
  }
  if (typeof name === 'string' && name in ErrorCode) {
    return { message: message ?? name, remedies: REMEDIES[name as ErrorName] ?? RETRY };
  }
  return {
    message: t('Something went wrong: {0}. The log tells more.', message ?? String(error)),
    remedies: DEFECT,
  };
}
