/** Creates an element; `children` are elements or plain text, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function button(
  className: string,
  onClick: () => void,
  ...children: (Node | string)[]
): HTMLButtonElement {
  const node = element('button', className, ...children);
  node.type = 'button';
  node.addEventListener('click', onClick);
  return node;
}

const ICONS = {
  send: ['M8 13.5V2.5', 'M3.5 7L8 2.5 12.5 7'],
  stop: ['M4 4h8v8H4z'],
  waves: [
    'M2 5.3c2 0 2-2.6 4-2.6s2 2.6 4 2.6 2-2.6 4-2.6',
    'M2 9.3c2 0 2-2.6 4-2.6s2 2.6 4 2.6 2-2.6 4-2.6',
    'M2 13.3h12',
  ],
};

export function icon(name: keyof typeof ICONS): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const look = {
    viewBox: '0 0 16 16',
    fill: name === 'stop' ? 'currentColor' : 'none',
    stroke: 'currentColor',
    'stroke-width': name === 'waves' ? '1' : '1.5',
    'stroke-linecap': 'round',
    'stroke-linejoin': 'round',
    'aria-hidden': 'true',
  };
  for (const [key, value] of Object.entries(look)) svg.setAttribute(key, value);
  for (const d of ICONS[name]) {
    const path = document.createElementNS(space, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}
