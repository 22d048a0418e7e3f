import type { PhaseProgress } from '../protocol.ts';
import { ProgressLine } from './progress.mjs';
import { printableName } from './text.ts';

const phases: Record<PhaseProgress['phase'], { label: string; unit: string }> = {
  scan: { label: 'Looking for files', unit: 'files' },
  download: { label: 'Downloading', unit: 'bytes' },
  load: { label: 'Loading the model', unit: 'bytes' },
  prefill: { label: 'Reading', unit: 'tokens' },
  question: { label: 'Reading the question', unit: 'tokens' },
  verify: { label: 'Verifying', unit: 'segments' },
};

/** Shows the backend's phases on stderr, one line at a time. */
export class PhaseDisplay {
  #phase: PhaseProgress['phase'] | undefined;
  #line = new ProgressLine();

  show(value: PhaseProgress): void {
    if (value.phase !== this.#phase) {
      this.clear();
      this.#phase = value.phase;
    }
    const { label, unit } = phases[value.phase];
    const text = value.detail ? `${label} ${printableName(value.detail)}` : label;
    this.#line.update({ label: text, unit, ...pick(value) });
  }

  /** Takes the line away, for an answer to follow. */
  clear(): void {
    this.#line.clear();
    this.#line = new ProgressLine();
    this.#phase = undefined;
  }
}

function pick({ done, total, rate, etaSeconds }: PhaseProgress) {
  return { done, total, rate, etaSeconds };
}
