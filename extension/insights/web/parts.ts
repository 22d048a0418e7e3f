/** The pieces that the page is made of. */
import { element } from '../../chat/web/dom.ts';
import type { Figure, Table } from '../figures.ts';

export function figureList(figures: readonly Figure[]): HTMLElement {
  const entries = figures.flatMap(({ label, value, note }) => [
    element('dt', '', label),
    element('dd', '', element('strong', '', value), ...(note ? [' ', element('span', 'note', note)] : [])),
  ]);
  return element('dl', '', ...entries);
}

export function tableElement({ caption, columns, rows, empty }: Table): HTMLElement {
  const title = element('caption', '', caption);
  if (rows.length === 0) return element('table', '', title, element('tbody', '', rowOf('td', [empty])));
  const head = element('tr', '', ...columns.map((text) => headerCell('col', text)));
  const body = rows.map(([first = '', ...others]) => {
    const row = rowOf('td', others);
    row.prepend(headerCell('row', first));
    return row;
  });
  return element('table', '', title, element('thead', '', head), element('tbody', '', ...body));
}

function headerCell(scope: 'col' | 'row', text: string): HTMLTableCellElement {
  const cell = element('th', '', text);
  cell.scope = scope;
  return cell;
}

const rowOf = (tag: 'td', texts: readonly string[]): HTMLTableRowElement =>
  element('tr', '', ...texts.map((text) => element(tag, '', text)));

export function details(summary: string, open: boolean, ...children: Node[]): HTMLElement {
  const node = element('details', '', element('summary', '', summary), ...children);
  node.open = open;
  return node;
}

interface Option {
  value: string;
  text: string;
}

export interface Select {
  label: HTMLElement;
  update(options: readonly Option[], chosen: string): void;
}

/** A list to choose from; it is left alone while nothing in it changes, as it may be open. */
export function select(name: string, onChoose: (value: string) => void): Select {
  const list = element('select');
  list.addEventListener('change', () => onChoose(list.value));
  let shown = '';
  return {
    label: element('label', '', element('span', '', name), list),
    update(options, chosen) {
      const state = JSON.stringify(options);
      if (state !== shown) {
        shown = state;
        list.replaceChildren(
          ...options.map(({ value, text }) => {
            const option = element('option', '', text);
            option.value = value;
            return option;
          }),
        );
      }
      list.value = chosen;
    },
  };
}
