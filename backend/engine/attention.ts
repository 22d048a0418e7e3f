/** What attention did while an answer was written, in the form in which it is told. */
import type { AttentionSteps, AttentionSummary, Zones } from '../protocol.ts';
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

/** The report in fewer numbers: means over layers and heads, and what is told by layer and KV head. */
export function summarize(report: AttentionReport): AttentionSummary {
  const { layers, kvHeads, samples, waveTokens } = report;
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / (layers * kvHeads);
  const byHead = (values: Float32Array) =>
    Array.from({ length: layers }, (_, layer) =>
      Array.from(values.subarray(layer * kvHeads, (layer + 1) * kvHeads), rounded),
    );
  const perZone = <T>(of: (values: Float32Array) => T): Record<keyof Zones, T> => {
    const zone = (at: number) => of(report.zones.filter((_, i) => i % zoneNames.length === at));
    return { steady: zone(0), retrieved: zone(1), estimated: zone(2), coarse: zone(3) };
  };
  return {
    zones: perZone((values) => rounded(mean(values))),
    waveTokens,
    retrievedTokens: Math.round(mean(report.retrievedTokens)),
    waveClusters: report.waveClusters,
    retrievedClusters: rounded(mean(report.retrievedClusters)),
    lateClusters: report.lateClusters,
    bytesPerStep: Math.round(report.bytesPerStep),
    recall: samples > 0 ? rounded(report.recall) : null,
    captured: samples > 0 ? rounded(report.captured) : null,
    samples,
    copyingSteps: report.copyingSteps,
    layers: byHead(report.retrievedTokens.map((tokens) => (waveTokens > 0 ? tokens / waveTokens : 0))),
    mass: perZone(byHead),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
