/** Layers from left to right, heads from top to bottom; the more, the stronger the colour. */
import { t } from '../../l10n.ts';
import { cellText, shareText } from '../figures.ts';
import type { HeatMap } from '../figures.ts';

const SPACE = 'http://www.w3.org/2000/svg';
/** In the picture's own units: its width is the page's. */
const CELL = 10;
const FAINTEST = 0.04;

export function heatMapElement({ caption, values, scale }: HeatMap): SVGSVGElement {
  const heads = values[0]?.length ?? 0;
  const svg = node('svg', {
    class: 'heat-map',
    viewBox: `0 0 ${values.length * CELL} ${heads * CELL}`,
    role: 'img',
    'aria-label': t(
      '{0}: {1} layers, {2} heads, at most {3}',
      caption,
      values.length,
      heads,
      shareText(scale),
    ),
  });
  values.forEach((row, layer) =>
    row.forEach((value, head) => {
      const cell = node('rect', {
        x: layer * CELL,
        y: head * CELL,
        width: CELL - 1,
        height: CELL - 1,
        'fill-opacity': Math.max(FAINTEST, value / scale).toFixed(3),
      });
      const title = node('title', {});
      title.textContent = cellText(layer, head, value);
      cell.append(title);
      svg.append(cell);
    }),
  );
  return svg;
}

function node<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SPACE, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
