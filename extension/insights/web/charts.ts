/** The charts over time, drawn by uPlot in VS Code's colours. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { AttentionSteps } from '../../../backend/protocol.ts';
import { t } from '../../l10n.ts';
import { ZONES, zoneName } from '../figures.ts';
import type { InsightRecord, Sample } from '../model.ts';

const HEIGHT = 140;
const COLOURS = ['blue', 'orange', 'purple', 'green'];

type Row = (number | null)[];

/** Tokens per second, while reading and while answering. */
export function ratesChart(parent: HTMLElement): { update(record: InsightRecord): void } {
  // From the question on, and no shorter than a second: a short answer would have an axis of thousandths.
  const chart = new Chart(parent, t('Tokens per second over time'), (_, __, end) => [0, Math.max(1, end)]);
  return {
    update({ prefillRates, decodeRates }) {
      chart.update(
        t('seconds'),
        [t('Prefill'), t('Decode')],
        uPlot.join([columns(prefillRates), columns(decodeRates)]) as Row[],
      );
    },
  };
}

const columns = (samples: readonly Sample[]): uPlot.AlignedData => [
  samples.map(([seconds]) => seconds),
  samples.map(([, rate]) => rate),
];

/** The share of the attention mass in each zone, by token of the answer. */
export function zonesChart(parent: HTMLElement): { update(steps: AttentionSteps): void } {
  const chart = new Chart(parent, t('Attention mass by zone'));
  return {
    update(steps) {
      const tokens = steps.steady.map((_, i) => i + 1);
      chart.update(t('token'), ZONES.map(zoneName), [tokens, ...ZONES.map((zone) => steps[zone])]);
    },
  };
}

class Chart {
  readonly #frame = document.createElement('div');
  #plot: uPlot | undefined;
  /** What the plot was made for: when it changes, it is made anew. */
  #look = '';

  /** `range`: of the x axis, else that of the data. */
  constructor(
    parent: HTMLElement,
    label: string,
    private readonly range?: uPlot.Range.Function,
  ) {
    this.#frame.className = 'chart';
    // The numbers are in the lists and tables beside it.
    this.#frame.setAttribute('role', 'img');
    this.#frame.setAttribute('aria-label', label);
    parent.append(this.#frame);
  }

  /** `data`: x, then a row per name. */
  update(x: string, names: readonly string[], data: Row[]): void {
    this.#frame.hidden = (data[0]?.length ?? 0) < 2;
    if (this.#frame.hidden) return;
    const width = this.#frame.clientWidth;
    const text = colour('--vscode-foreground');
    const lines = COLOURS.map((name) => colour(`--vscode-charts-${name}`));
    const look = JSON.stringify([width, text, lines]);
    if (look !== this.#look) {
      this.#plot?.destroy();
      this.#plot = undefined;
      this.#look = look;
    }
    const aligned = data as uPlot.AlignedData;
    if (this.#plot) return this.#plot.setData(aligned);
    const axis = { stroke: text, grid: { stroke: colour('--vscode-charts-lines'), width: 0.5 } };
    const options: uPlot.Options = {
      width,
      height: HEIGHT,
      scales: { x: { time: false, range: this.range } },
      axes: [axis, { ...axis, size: 60 }],
      series: [
        { label: x },
        // Colours alone tell nothing to some: each line has its own pattern as well.
        ...names.map((label, i) => ({
          label,
          stroke: lines[i],
          width: 1.5,
          dash: i === 0 ? undefined : [8 / i, 3],
          spanGaps: true,
          // Where there is hardly a line.
          points: {
            show: (_: uPlot, __: number, from: number, to: number) => to - from < 8,
            size: 5,
            fill: lines[i],
          },
        })),
      ],
      cursor: { drag: { x: false, y: false } },
    };
    this.#plot = new uPlot(options, aligned, this.#frame);
  }
}

const colour = (name: string): string => getComputedStyle(document.body).getPropertyValue(name).trim();
