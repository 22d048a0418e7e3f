/** The page of the insights: figures, charts, heat map, and everything as tables. */
import './insights.css';
import { button, element } from '../../chat/web/dom.ts';
import { t, useBundle } from '../../l10n.ts';
import {
  gateTable,
  heatMap,
  heatTable,
  mapKinds,
  mapName,
  memoryTable,
  sparsityFigures,
  speedFigures,
  storeTable,
} from '../figures.ts';
import type { MapKind } from '../figures.ts';
import type { FromInsights, InsightsPage, ToInsights } from '../messages.ts';
import type { InsightRecord } from '../model.ts';
import { ratesChart, zonesChart } from './charts.ts';
import { heatMapElement } from './heat-map.ts';
import { details, figureList, select, tableElement } from './parts.ts';

declare function acquireVsCodeApi(): {
  postMessage(message: FromInsights): void;
  getState(): { map?: MapKind } | undefined;
  setState(state: { map?: MapKind }): void;
};

useBundle(JSON.parse(document.getElementById('l10n')?.textContent ?? '{}') as Record<string, string>);
const vscode = acquireVsCodeApi();
const main = document.getElementById('insights') as HTMLElement;

const chooser = select(t('Shown'), (value) =>
  vscode.postMessage({ type: 'freeze', record: value ? Number(value) : null }),
);
const maps = select(t('Heat map of'), (value) => {
  vscode.setState({ map: value as MapKind });
  if (page) show(page);
});
const exportButton = button('action', () => vscode.postMessage({ type: 'export' }), t('Export JSON'));
const empty = element('p', 'empty', t('Ask a question: what attention does for it appears here, live.'));
const speed = section(t('Speed'));
const sparsity = section(t('Sparsity'));
const map = section(t('By layer and head'));
const zones = section(t('Attention by token of the answer'));
const tables = section(t('Memory and store'));
const rates = ratesChart(speed.body);
const shares = zonesChart(zones.body);
const speedList = element('div');
const heat = element('div');
map.body.append(maps.label, heat);
speed.body.prepend(speedList);
main.append(
  element('header', '', chooser.label, exportButton),
  empty,
  element('div', 'grid', speed.root, sparsity.root, map.root, zones.root),
  tables.root,
);

let page: InsightsPage | undefined;
addEventListener('message', ({ data }: MessageEvent<ToInsights>) => show(data.page));
// Charts are painted and so must be told of another theme or size; the rest follows by itself.
new MutationObserver(() => page && show(page)).observe(document.body, { attributeFilter: ['class'] });
addEventListener('resize', () => page && show(page));
vscode.postMessage({ type: 'ready' });

function show(next: InsightsPage): void {
  page = next;
  const { shown, store, records, frozen } = next;
  chooser.update(
    [
      { value: '', text: t('Live: the newest') },
      ...records.map(({ id, title }) => ({ value: String(id), text: title })),
    ],
    frozen === null ? '' : String(frozen),
  );
  exportButton.disabled = !shown;
  empty.hidden = shown !== null;
  for (const part of [speed, sparsity, map, zones]) part.root.hidden = shown === null;
  tables.body.replaceChildren(
    tableElement(memoryTable(shown ?? undefined, store)),
    tableElement(gateTable(shown ?? undefined)),
    tableElement(storeTable(store)),
  );
  if (shown) showRecord(shown);
}

function showRecord(record: InsightRecord): void {
  const { attention, steps } = record;
  speedList.replaceChildren(figureList(speedFigures(record)));
  rates.update(record);
  sparsity.root.hidden = map.root.hidden = attention === null;
  zones.root.hidden = !steps || steps.steady.length < 2;
  if (steps && !zones.root.hidden) shares.update(steps);
  if (!attention) return;
  sparsity.body.replaceChildren(figureList(sparsityFigures(attention)));
  const kinds = mapKinds(attention);
  const wanted = vscode.getState()?.map;
  const kind = kinds.find((each) => each === wanted) ?? kinds[0];
  if (!kind) return;
  maps.update(
    kinds.map((each) => ({ value: each, text: mapName(each) })),
    kind,
  );
  const shown = heatMap(attention, kind);
  const open = heat.querySelector('details')?.open ?? false;
  heat.replaceChildren(heatMapElement(shown), details(t('As a table'), open, tableElement(heatTable(shown))));
}

function section(title: string): { root: HTMLElement; body: HTMLElement } {
  const body = element('div', 'body');
  return { root: element('section', '', element('h2', '', title), body), body };
}
