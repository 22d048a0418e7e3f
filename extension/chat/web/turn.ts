/** One turn on the page: the question, the answer, its sources, its progress, its error. */
import type { Citation } from '../../../backend/protocol.ts';
import type { Remedy } from '../../events.ts';
import { count, counted, listed, percent, phaseTitle, progressFigures } from '../../format.ts';
import { t } from '../../l10n.ts';
import { placeOf } from '../links.ts';
import type { FromWebview } from '../messages.ts';
import type { Scope, Turn } from '../model.ts';
import { button, element } from './dom.ts';
import { linkCitations, showMarkdown } from './markdown.ts';
import { Passages } from './passages.ts';

type Post = (message: FromWebview) => void;

const remedies = (): Record<Remedy, string> => ({
  retry: t('Try Again'),
  restart: t('Restart Backend'),
  log: t('Show Log'),
  selectModel: t('Select Model…'),
  enterToken: t('Enter Token…'),
});

export class TurnElement {
  readonly root = element('article', 'turn');
  readonly #answer = element('div', 'answer');
  readonly #progress = element('div', 'progress');
  readonly #footer = element('div');
  #passages: Passages | undefined;
  #shown = '';

  private readonly id: number;

  constructor(
    turn: Turn,
    private readonly post: Post,
  ) {
    this.id = turn.id;
    if (turn.activity.kind === 'ask') this.root.append(element('p', 'question', turn.activity.question));
    if (turn.activity.kind === 'ask' && turn.activity.place)
      this.root.append(element('p', 'note', placeOf(turn.activity.place)));
    this.root.append(this.#answer, this.#progress, this.#footer);
    const point = ({ target }: Event) => this.#passages?.point(target as Node);
    const leave = () => this.#passages?.point(null);
    this.#answer.addEventListener('pointerover', point);
    this.#answer.addEventListener('pointerleave', leave);
    this.#answer.addEventListener('focusin', point);
    this.#answer.addEventListener('focusout', leave);
  }

  /** The user has selected text: the evidence of its sentence is shown. */
  select(node: Node): void {
    const passage = this.#passages?.at(node) ?? null;
    if (passage !== null) this.#showEvidence(passage);
  }

  /** Null: the whole answer's evidence is shown, or another one's. */
  showPassage(passage: number | null): void {
    this.#passages?.show(passage);
  }

  update(turn: Turn): void {
    const state = JSON.stringify(turn);
    if (state === this.#shown) return;
    this.#shown = state;
    this.root.dataset.status = turn.status;
    // Screen readers wait for the whole answer instead of reading every draft of it.
    this.root.setAttribute('aria-busy', String(turn.status === 'working'));
    showMarkdown(this.#answer, turn.answer);
    showProgress(this.#progress, turn);
    if (turn.status === 'working') return;
    linkCitations(this.#answer, turn.citations, ({ text, link }) =>
      link ? this.#link('link', turn, link, text) : element('span', '', text),
    );
    this.#passages = new Passages(this.#answer, turn.answer, turn.passages, {
      show: (passage) => this.#showEvidence(passage),
      glance: (passage) =>
        this.post({ type: 'glance', place: passage === null ? null : { turn: turn.id, passage } }),
    });
    this.#footer.replaceChildren(...this.#ending(turn));
  }

  #showEvidence(passage: number | null): void {
    this.post({ type: 'show', place: { turn: this.id, passage } });
  }

  #ending(turn: Turn): HTMLElement[] {
    const parts: HTMLElement[] = [];
    if (turn.citations.length > 0) parts.push(this.#sources(turn));
    const note = noteOf(turn);
    if (note) parts.push(element('p', 'note', note));
    if (turn.problem) parts.push(this.#problem(turn));
    return parts;
  }

  #sources(turn: Turn): HTMLElement {
    const items = turn.citations.map((citation) => {
      const { file, mass } = citation;
      const slash = file.lastIndexOf('/') + 1;
      const parts = [element('span', 'name', placeOf({ ...citation, file: file.slice(slash) }))];
      if (slash > 0) parts.push(element('span', 'folder', file.slice(0, slash - 1)));
      if (mass !== undefined) parts.push(element('span', 'mass', `${Math.round(100 * mass)}%`));
      const source = this.#link('', turn, citation, ...parts);
      source.title = mass === undefined ? placeOf(citation) : `${placeOf(citation)}\n${attention(mass)}`;
      return element('li', '', source);
    });
    const honest = element('p', 'note', t('Attention is what was read, not proof.'));
    return element(
      'section',
      'sources',
      element('h2', '', t('Sources')),
      element('ul', '', ...items),
      honest,
    );
  }

  #link(
    className: string,
    turn: Turn,
    citation: Citation,
    ...children: (Node | string)[]
  ): HTMLButtonElement {
    const link = button(className, () => this.post({ type: 'open', turn: turn.id, citation }), ...children);
    link.title = placeOf(citation);
    return link;
  }

  #problem(turn: Turn): HTMLElement {
    const { message, remedies: offered } = turn.problem ?? { message: '', remedies: [] };
    const actions = offered.map((remedy, i) =>
      button(
        `action ${i === 0 ? 'primary' : ''}`,
        () => this.post({ type: 'remedy', turn: turn.id, remedy }),
        remedies()[remedy],
      ),
    );
    const box = element('div', 'problem', element('p', '', message), element('div', 'actions', ...actions));
    box.setAttribute('role', 'alert');
    return box;
  }
}

function showProgress(target: HTMLElement, { status, progress, answer }: Turn): void {
  target.hidden = status !== 'working' || (answer !== '' && !progress);
  if (target.hidden) return target.replaceChildren();
  if (!progress) {
    // main.ts counts its seconds.
    if (!target.dataset.since) target.dataset.since = String(Date.now());
    target.replaceChildren(element('span', 'title', t('Starting')), ' ', element('span', 'seconds', '0s'));
    return;
  }
  delete target.dataset.since;
  const title = phaseTitle(progress.phase);
  const share = percent(progress);
  const fill = element('span');
  fill.style.width = `${share ?? 0}%`;
  const bar = element('div', 'bar', fill);
  bar.hidden = share === undefined;
  bar.setAttribute('role', 'progressbar');
  bar.setAttribute('aria-label', title);
  if (share !== undefined) bar.setAttribute('aria-valuenow', String(share));
  const what = element('div', 'what', element('span', 'title', title));
  if (progress.detail) what.append(` ${progress.detail}`);
  target.replaceChildren(what, bar, element('div', '', progressFigures(progress)));
}

function noteOf(turn: Turn): string {
  if (turn.status === 'cancelled') return turn.answer ? t('Stopped here.') : t('Cancelled.');
  if (turn.scope) return t('The repository is read: {0}.', scopeText(turn.scope));
  if (turn.status !== 'done') return '';
  return [
    turn.finish === 'length' ? t('The answer is as long as it can be') : '',
    turn.finish === 'repetition' ? t('Ended because it repeated itself') : '',
    turn.missed.length > 0 ? t('Not read yet, though it may matter: {0}', turn.missed.join(', ')) : '',
    turn.state ? t('Saw the files in state {0}', turn.state) : '',
    turn.unsaved.length > 0 ? t('without the unsaved changes of {0}', listed(turn.unsaved)) : '',
    turn.ttftMs === null ? '' : t('First word after {0} s', (turn.ttftMs / 1000).toFixed(1)),
    turn.decodeTokensPerSecond ? t('{0} tokens/s', count(turn.decodeTokensPerSecond)) : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** `41,203 tokens, 120 files, 12 left out` */
export function scopeText({ tokens, coverage, files, leftOut, over, changed }: Scope): string {
  const parts = [
    counted(tokens, 'token'),
    coverage < 1 ? t('{0}% of them read', Math.floor(100 * coverage)) : '',
    counted(files, 'file'),
    t('{0} left out', count(leftOut)),
    changed.length > 0 ? t('{0} changed since', count(changed.length)) : '',
    over > 0 ? t('{0} of them because they do not fit', count(over)) : '',
  ];
  return parts.filter(Boolean).join(', ');
}

function attention(mass: number): string {
  return t('{0}% of the attention that the answer paid to the repository', Math.round(100 * mass));
}
