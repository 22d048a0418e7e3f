/** The sentences of an answer on the page: pointing at one, selecting in it or choosing its number shows its evidence. */
import type { Passage } from '../../../backend/protocol.ts';
import { t } from '../../l10n.ts';
import { align } from '../align.ts';
import { placeOf } from '../links.ts';
import { button, element } from './dom.ts';

/** A pointer that only passes by shows nothing. */
const REST_MS = 150;

/** What happens to passages: their index, or null for none. */
export interface PassageEvents {
  show(passage: number | null): void;
  glance(passage: number | null): void;
}

export class Passages {
  #shown: number | null = null;
  #glanced: number | null = null;
  #rest: number | undefined;

  /** Marks the passages in `target`, which shows `source`; those with citations get a number to choose. */
  constructor(
    private readonly target: HTMLElement,
    source: string,
    passages: readonly Passage[],
    private readonly events: PassageEvents,
  ) {
    const last = wrap(target, source, passages);
    for (const [index, piece] of last) {
      const marker = this.#marker(index, passages[index]?.citations.map(placeOf) ?? []);
      (piece.closest('a, button, code') ?? piece).after(marker);
    }
  }

  /** The passage whose evidence is shown, as the extension says. */
  show(passage: number | null): void {
    this.#shown = passage;
    for (const marker of this.target.querySelectorAll<HTMLElement>('.marker')) {
      marker.setAttribute('aria-pressed', String(Number(marker.dataset.passage) === passage));
    }
    this.#light();
  }

  /** `node` is what the pointer or the focus has come to. */
  point(node: Node | null): void {
    const passage = this.at(node);
    clearTimeout(this.#rest);
    if (passage === this.#glanced) return;
    this.#rest = window.setTimeout(() => {
      this.#glanced = passage;
      this.#light();
      this.events.glance(passage);
    }, REST_MS);
  }

  /** The passage of a node, if it has evidence. */
  at(node: Node | null): number | null {
    const parent = node instanceof Element ? node : node?.parentElement;
    const piece = parent?.closest<HTMLElement>('[data-passage]');
    return piece && this.target.contains(piece) ? Number(piece.dataset.passage) : null;
  }

  #marker(index: number, places: string[]): HTMLButtonElement {
    const choose = () => this.events.show(this.#shown === index ? null : index);
    const marker = button('marker', choose, String(index + 1));
    marker.dataset.passage = String(index);
    marker.setAttribute('aria-label', t('Evidence of sentence {0}', index + 1));
    marker.setAttribute('aria-pressed', 'false');
    marker.title = places.join('\n');
    return marker;
  }

  #light(): void {
    const lit = this.#glanced ?? this.#shown;
    for (const piece of this.target.querySelectorAll<HTMLElement>('.passage')) {
      piece.classList.toggle('lit', Number(piece.dataset.passage) === lit);
    }
  }
}

/** Wraps the text of the passages that have citations; returns the last piece of each. */
function wrap(target: HTMLElement, source: string, passages: readonly Passage[]): Map<number, HTMLElement> {
  const texts = textsOf(target);
  const origin = align(source, texts.map(({ data }) => data).join(''));
  const last = new Map<number, HTMLElement>();
  let at = 0;
  for (const text of texts) {
    const owners = origin.slice(at, at + text.length).map((index) => passageAt(index, passages));
    at += text.length;
    if (!text.data.trim() || owners.every((owner) => owner === undefined)) continue;
    text.replaceWith(
      ...runs(owners).map(({ owner, start, end }) => {
        const piece = text.data.slice(start, end);
        if (owner === undefined) return piece;
        const span = element('span', 'passage', piece);
        span.dataset.passage = String(owner);
        last.set(owner, span);
        return span;
      }),
    );
  }
  return last;
}

function textsOf(target: HTMLElement): Text[] {
  const walker = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  return texts;
}

function passageAt(index: number, passages: readonly Passage[]): number | undefined {
  const found = passages.findIndex(({ start, end }) => start <= index && index < end);
  return passages[found]?.citations.length ? found : undefined;
}

interface Run {
  owner: number | undefined;
  start: number;
  end: number;
}

/** Neighbours with the same owner, together. */
function runs(owners: readonly (number | undefined)[]): Run[] {
  const all: Run[] = [];
  owners.forEach((owner, i) => {
    const last = all.at(-1);
    if (last && last.owner === owner) last.end = i + 1;
    else all.push({ owner, start: i, end: i + 1 });
  });
  return all;
}
