/** `--plot`: figures as SVG charts, a line chart where they have a place on an axis and bars where not. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as echarts from 'echarts';
import { number, type Figure } from './figure.ts';

const SIZE = { width: 820, height: 460 };
const COLOURS = ['#1c7ed6', '#2f9e44', '#868e96', '#e8590c', '#862e9c'];
const PEER = '#868e96';
const DASHED = 'dashed';

export interface Chart {
  /** Without an ending. */
  name: string;
  svg: string;
}

/** One chart per suite, case family and unit. */
export function charts(figures: readonly Figure[]): Chart[] {
  const groups = new Map<string, Figure[]>();
  for (const figure of figures.filter(({ ours, peer }) => ours !== null || peer !== null)) {
    const key = `${figure.suite}-${figure.point ? figure.case.split(' ')[0] : slug(figure.unit)}`;
    groups.set(key, [...(groups.get(key) ?? []), figure]);
  }
  return [...groups].map(([name, group]) => ({
    name,
    svg: draw(group[0]!.point ? lines(group) : bars(group), group[0]!),
  }));
}

/** @returns the files */
export function writeCharts(folder: string, figures: readonly Figure[]): string[] {
  mkdirSync(folder, { recursive: true });
  return charts(figures).map(({ name, svg }) => {
    const file = path.join(folder, `${name}.svg`);
    writeFileSync(file, `${svg}\n`);
    return file;
  });
}

function slug(text: string): string {
  return text.replace(/%/g, 'percent').replace(/[^A-Za-z0-9]+/g, '-');
}

function draw(option: echarts.EChartsCoreOption, { suite, conditions }: Figure): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  const told = [
    conditions.model,
    conditions.cpu,
    conditions.threads && `${String(conditions.threads)} threads`,
  ];
  if (conditions.quick) told.push('quick');
  chart.setOption({
    animation: false,
    color: COLOURS,
    backgroundColor: '#ffffff',
    title: { text: suite, subtext: told.filter(Boolean).join(', '), left: 12, top: 8 },
    legend: { bottom: 8, type: 'plain' },
    grid: { left: 24, right: 32, top: 92, bottom: 64, containLabel: true },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

type Pair = [number, number];

function lines(figures: readonly Figure[]): echarts.EChartsCoreOption {
  const series = new Map<string, Pair[]>();
  const add = (name: string, x: number, y: number | null) => {
    const points = series.get(name) ?? [];
    if (y !== null && !points.some(([other]) => other === x)) points.push([x, y]);
    series.set(name, points);
  };
  for (const { point, ours, peer } of figures) {
    if (!point) continue;
    add(point.series, point.x, ours);
    add(point.peerExtrapolated ? `${point.peerSeries}, extrapolated` : point.peerSeries, point.x, peer);
  }
  const axis = { type: 'log', minorSplitLine: { show: false } };
  const xs = figures.map(({ point }) => point?.x ?? 0);
  return {
    xAxis: {
      ...axis,
      name: figures[0]?.point?.axis,
      nameLocation: 'middle',
      nameGap: 28,
      min: Math.min(...xs),
      max: Math.max(...xs),
      logBase: 2,
    },
    yAxis: { ...axis, name: figures[0]?.unit },
    series: [...series]
      .filter(([, points]) => points.length > 0)
      .map(([name, points]) => ({
        ...{ name, type: 'line', symbolSize: 7 },
        data: points.sort(([a], [b]) => a - b),
        ...(name.endsWith('extrapolated') && { lineStyle: { type: DASHED }, symbol: 'emptyCircle' }),
      })),
  };
}

function bars(figures: readonly Figure[]): echarts.EChartsCoreOption {
  const label = {
    show: true,
    position: 'right',
    formatter: ({ value }: { value: number }) => number(value),
  };
  const side = (name: string, color: string | undefined, pick: (figure: Figure) => number | null) => ({
    ...{ name, type: 'bar', label, itemStyle: { color } },
    // Categories run upwards.
    data: figures.map((figure) => pick(figure) ?? '-').reverse(),
  });
  const peers = figures.filter(({ peer }) => peer !== null).map(({ peerName }) => peerName);
  const peer = new Set(peers).size === 1 ? peers[0]!.split(',')[0]! : 'peer';
  return {
    xAxis: { type: 'value', name: figures[0]?.unit, nameLocation: 'middle', nameGap: 28 },
    yAxis: { type: 'category', data: figures.map((figure) => `${figure.case}: ${figure.metric}`).reverse() },
    series: [
      ...(peers.length > 0 ? [side(peer, PEER, (figure) => figure.peer)] : []),
      side('RepoWave', COLOURS[0], ({ ours }) => ours),
    ],
  };
}
