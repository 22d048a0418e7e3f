import { UserError } from '../errors.ts';
import type { NativeErrorCode } from './native.ts';
import type { ErrorName } from '../protocol.ts';

const translations: Partial<Record<NativeErrorCode, [ErrorName, string]>> = {
  Cancelled: ['cancelled', 'Cancelled.'],
  ModelCorrupt: ['modelCorrupt', 'The model file is damaged or incomplete: delete it and download it again.'],
  ModelUnsupported: [
    'modelUnsupported',
    'This kind of model cannot be used: choose one from `repowave models`.',
  ],
  OutOfMemory: [
    'outOfMemory',
    'The machine has too little free memory: close something, choose a smaller model, or leave files out with --exclude.',
  ],
  NoSpace: ['noSpace', 'The disk is full: free some space, or move the store with REPOWAVE_STORE.'],
};

/** The error as the user should see it; undefined for a defect. */
export function asUserError(error: unknown): UserError | undefined {
  if (error instanceof UserError) return error;
  const code = (error as { code?: string } | null)?.code;
  if (code === 'ENOSPC') return asUserError({ code: 'NoSpace' });
  const known = code === undefined ? undefined : translations[code as NativeErrorCode];
  return known && new UserError(known[0], withDetail(error, known[1]), { cause: error });
}

/** The addon names what is wrong with a model; that belongs in front of the advice. */
function withDetail(error: unknown, advice: string): string {
  const model = ['ModelCorrupt', 'ModelUnsupported'].includes((error as { code: string }).code);
  return model && error instanceof Error ? `${advice.replace(/:/, ` (${error.message}):`)}` : advice;
}

/** Whether opening a stored segment failed because the file is not a whole, readable segment. */
export function isCorruptSegment(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === 'SegmentCorrupt';
}
