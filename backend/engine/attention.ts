/** What attention did while an answer was written, in the form in which it is told. */
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

/** The report in fewer numbers: means over layers and heads, but for the shares of the wave's tokens. */
export function summarize(report: AttentionReport): AttentionSummary {
  const { layers, kvHeads, samples, waveTokens } = report;
  const heads = layers * kvHeads;
  const mean = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value, 0) / heads;
  const zone = (at: number) => rounded(mean(report.zones.filter((_, i) => i % zoneNames.length === at)));
  const retrieved = [...report.retrievedTokens];
  const share = (tokens: number) => (waveTokens > 0 ? rounded(tokens / waveTokens) : 0);
  return {
    zones: { steady: zone(0), retrieved: zone(1), estimated: zone(2), coarse: zone(3) },
    waveTokens,
    retrievedTokens: Math.round(mean(retrieved)),
    bytesPerStep: Math.round(report.bytesPerStep),
    recall: samples > 0 ? rounded(report.recall) : null,
    captured: samples > 0 ? rounded(report.captured) : null,
    samples,
    copyingSteps: report.copyingSteps,
    layers: Array.from({ length: layers }, (_, layer) =>
      retrieved.slice(layer * kvHeads, (layer + 1) * kvHeads).map(share),
    ),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
