import path from 'node:path';
import { UserError } from '../errors.ts';
import { storeDirectory } from '../paths.ts';
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
  NoRoom: [
    'outOfMemory',
    'The memory allowed with --ram is too small for this question: allow more, or ask about less at once.',
  ],
  NoSpace: ['noSpace', 'The disk is full: free some space, or move the store with REPOWAVE_STORE.'],
};

/** The error as the user should see it; undefined for a defect. */
export function asUserError(error: unknown): UserError | undefined {
  if (error instanceof UserError) return error;
  const code = (error as { code?: string } | null)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') return asUserError({ code: 'NoSpace' });
  if (['EACCES', 'EPERM', 'EROFS'].includes(code ?? '') && concernsStore(error)) return storeRefused(error);
  const known = code === undefined ? undefined : translations[code as NativeErrorCode];
  return known && new UserError(known[0], withDetail(error, known[1]), { cause: error });
}

/** The addon writes nowhere but to the store; Node names the path, which may be one above it. */
function concernsStore(error: unknown): boolean {
  const file = (error as { path?: unknown }).path;
  const store = storeDirectory();
  return typeof file !== 'string' || isWithin(file, store) || isWithin(store, file);
}

function isWithin(file: string, folder: string): boolean {
  return file === folder || file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);
}

function storeRefused(error: unknown): UserError {
  return new UserError(
    'environment',
    `The store ${storeDirectory()} cannot be written to: change its permissions, or set REPOWAVE_STORE to a folder that can.`,
    { cause: error },
  );
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
