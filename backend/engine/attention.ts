/** Sums up what attention did, over the stretches of an answer that were counted one by one. */
import type { AttentionSteps, AttentionSummary } from '../protocol.ts';
import type { AttentionReport, StepRecord } from './native.ts';

const zoneNames = ['steady', 'retrieved', 'estimated', 'coarse'] as const;

/** One entry per token. */
export class StepList {
  readonly steps: AttentionSteps = { steady: [], retrieved: [], estimated: [], coarse: [], clusters: [] };

  push(record: StepRecord): void {
    for (const zone of zoneNames) this.steps[zone].push(rounded(record[zone]));
    this.steps.clusters.push(rounded(record.clusters));
  }
}

/** Reports weigh by their steps, samples by their number. */
export class AttentionTally {
  #steps = 0;
  #copying = 0;
  #samples = 0;
  #recall = 0;
  #captured = 0;
  #bytes = 0;
  #waveTokens = 0;
  #kvHeads = 1;
  #zones = new Float64Array(zoneNames.length);
  #retrieved = new Float64Array(0);

  add(report: AttentionReport): void {
    const { steps, samples } = report;
    if (steps === 0) return;
    const heads = report.layers * report.kvHeads;
    if (this.#retrieved.length === 0) this.#retrieved = new Float64Array(heads);
    this.#steps += steps;
    this.#copying += report.copyingSteps;
    this.#kvHeads = report.kvHeads;
    this.#bytes += steps * report.bytesPerStep;
    this.#waveTokens += steps * report.waveTokens;
    report.zones.forEach((share, i) => (this.#zones[i % zoneNames.length]! += (steps * share) / heads));
    report.retrievedTokens.forEach((tokens, i) => (this.#retrieved[i]! += steps * tokens));
    if (samples === 0) return;
    this.#samples += samples;
    this.#recall += samples * report.recall;
    this.#captured += samples * report.captured;
  }

  summary(): AttentionSummary {
    const mean = (sum: number) => (this.#steps > 0 ? sum / this.#steps : 0);
    const sampled = (sum: number) => (this.#samples > 0 ? rounded(sum / this.#samples) : null);
    const [steady = 0, retrieved = 0, estimated = 0, coarse = 0] = [...this.#zones].map(mean).map(rounded);
    const total = this.#retrieved.reduce((sum, tokens) => sum + tokens, 0);
    return {
      zones: { steady, retrieved, estimated, coarse },
      waveTokens: Math.round(mean(this.#waveTokens)),
      retrievedTokens: Math.round(mean(total / Math.max(1, this.#retrieved.length))),
      bytesPerStep: Math.round(mean(this.#bytes)),
      recall: sampled(this.#recall),
      captured: sampled(this.#captured),
      samples: this.#samples,
      copyingSteps: this.#copying,
      layers: this.#shares(),
    };
  }

  /** By layer and KV head. */
  #shares(): number[][] {
    const rows: number[][] = [];
    for (let i = 0; i < this.#retrieved.length; i += this.#kvHeads) {
      const row = [...this.#retrieved.subarray(i, i + this.#kvHeads)];
      rows.push(row.map((tokens) => (this.#waveTokens > 0 ? rounded(tokens / this.#waveTokens) : 0)));
    }
    return rows;
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
