import type { ErrorName } from './protocol.ts';

/**
 * The only error that users see: one sentence in their terms that ends in what to do next. Everything else that
 * is thrown is a defect; it is logged in full and shown as `internal`.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(
    readonly code: ErrorName,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Thrown when an `AbortSignal` fires in the middle of something. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new UserError('cancelled', 'Cancelled.');
}
