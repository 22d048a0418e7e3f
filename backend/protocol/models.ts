/** Models: what there is, and what the machine makes of them. */
import type { ProgressParams } from './repository.ts';
import type { Check } from './store.ts';

export interface ModelInfo {
  id: string;
  name: string;
  bytes: number;
  /** Its name, with the address of its text where a user must accept it. */
  licence: string;
  /** Address of the licence when it is not open source: the user accepts it before the download. */
  terms: string | null;
  trainedContext: number;
  default: boolean;
  /** Where it lies on this machine, or null when it is not there. */
  path: string | null;
}

export interface DownloadParams extends ProgressParams {
  id: string;
  /** That the user has accepted the model's licence; without it one that is not open source fails with `licence`. */
  acceptLicence?: boolean;
}

export interface ModelParams extends ProgressParams {
  /** To be verified may also be the path of a GGUF file: whether it is whole and of a kind that is supported. */
  id: string;
}

/** `wrong`: the file is not the one that it should be, and must be removed. */
export interface ModelCheck {
  state: 'verified' | 'absent' | 'wrong';
}

export interface ProbeParams {
  /** The folder to look at. */
  root?: string;
  include?: string[];
  exclude?: string[];
}

export interface ProbeReport {
  checks: Check[];
  /** Bytes of text in the folder that would be read; null when there is none. */
  sourceBytes: number | null;
  /** Predicted tokens of prefill per second, by model of the catalogue: within a factor of two. */
  prefillRates: Record<string, number>;
}
