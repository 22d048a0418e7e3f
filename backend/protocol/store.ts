/** The store, and the checks of `doctor`. */
import type { ProgressParams } from './repository.ts';

/** A repository as one model has read it. */
export interface StoredRepository {
  root: string;
  model: string;
  /** Of its latest state: all of its tokens, and those that are stored. */
  tokens: number;
  storedTokens: number;
  /** States of its tree that are remembered, and what is stored for all of them. */
  states: number;
  segments: number;
  bytes: number;
  /** Milliseconds since 1970. */
  usedMs: number;
}

export interface StoreReport {
  directory: string;
  bytes: number;
  /** The most that it may take without a limit of the user's. */
  limitBytes: number;
  /** The most recently used first. Two may share segments. */
  repositories: StoredRepository[];
  /** Bytes that `store prune` would free: no repository needs them. */
  unneededBytes: number;
}

export interface VerifyParams extends ProgressParams {
  /** Check every byte, not only that each file is whole and of this version. */
  deep?: boolean;
}

export interface VerifyReport {
  segments: number;
  bytes: number;
  /** They are never used, and read again when they are needed. */
  damaged: { file: string; reason: string }[];
}

export interface PruneParams {
  /** Clear away what was not in use for longest until the store takes no more than this. Default: only what is not needed. */
  diskBytes?: number;
  /** Only say what would go. */
  dryRun?: boolean;
}

export interface PruneReport {
  files: number;
  bytes: number;
  /** Of the store afterwards. */
  leftBytes: number;
}

export interface Check {
  name: string;
  ok: boolean;
  /** What was found, and what to do when it is not all right. */
  detail: string;
}
