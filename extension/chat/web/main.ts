import './chat.css';
import { count } from '../../format.ts';
import type { Welcome } from '../../first-run/welcome.ts';
import { t, useBundle } from '../../l10n.ts';
import type { FromWebview, ToWebview } from '../messages.ts';
import type { ChatState, Scope } from '../model.ts';
import { button, element, icon } from './dom.ts';
import { scopeText, TurnElement } from './turn.ts';

declare function acquireVsCodeApi(): {
  postMessage(message: FromWebview): void;
  getState(): { draft: string } | undefined;
  setState(state: { draft: string }): void;
};

const suggestedQuestions = () => [
  t('What does this project do?'),
  t('Where does the program start?'),
  t('How are the tests organised?'),
];
/** Within this many pixels of its end the transcript follows the answer. */
const NEAR_END = 24;

useBundle(JSON.parse(document.getElementById('l10n')?.textContent ?? '{}') as Record<string, string>);
const vscode = acquireVsCodeApi();
const post = (message: FromWebview) => vscode.postMessage(message);
const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

const transcript = byId('transcript');
const composer = byId<HTMLFormElement>('composer');
const question = byId<HTMLTextAreaElement>('question');
const send = byId<HTMLButtonElement>('send');
const scope = byId<HTMLDetailsElement>('scope');
const turns = new Map<number, TurnElement>();
let busy = false;
/** What was sent and has not become a turn yet: it stays in the box, since it may never become one. */
let sent: string | undefined;

addEventListener('message', ({ data }: MessageEvent<ToWebview>) => {
  if (data.type === 'state') show(data.state);
  else focusQuestion(data.draft);
});

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  if (busy) post({ type: 'cancel' });
  else ask(question.value);
});

question.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!busy) ask(question.value);
});

question.addEventListener('input', () => draftChanged());

addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && busy) post({ type: 'cancel' });
});

document.addEventListener('selectionchange', () => {
  const { isCollapsed, focusNode } = getSelection() ?? {};
  if (isCollapsed !== false || !focusNode) return;
  for (const turn of turns.values()) turn.select(focusNode);
});

setInterval(() => {
  for (const line of document.querySelectorAll<HTMLElement>('.progress[data-since]:not([hidden])')) {
    const seconds = line.querySelector('.seconds');
    if (seconds) seconds.textContent = `${Math.floor((Date.now() - Number(line.dataset.since)) / 1000)}s`;
  }
}, 1000);

question.value = vscode.getState()?.draft ?? '';
showSend();
post({ type: 'ready' });

function ask(text: string): void {
  if (!text.trim()) return;
  sent = text.trim();
  post({ type: 'ask', question: sent });
}

/** Once the question stands in the transcript the box is free for the next one. */
function clearSent({ turns }: ChatState): void {
  const activity = turns.at(-1)?.activity;
  if (sent === undefined || activity?.kind !== 'ask' || activity.question !== sent) return;
  if (question.value.trim() === sent) question.value = '';
  sent = undefined;
  draftChanged();
}

function draftChanged(): void {
  vscode.setState({ draft: question.value });
  showSend();
}

function focusQuestion(draft: string | undefined): void {
  question.focus();
  if (!draft || question.value) return;
  question.value = draft;
  question.setSelectionRange(draft.length, draft.length);
  draftChanged();
}

function show(state: ChatState): void {
  busy = state.turns.at(-1)?.status === 'working';
  const asked = state.turns.some(({ id }) => !turns.has(id));
  const atEnd = transcript.scrollHeight - transcript.scrollTop - transcript.clientHeight < NEAR_END;
  if (asked) clearSent(state);
  showTurns(state);
  showScope(state.scope);
  showSend();
  // The user who has scrolled away to read is left there, unless the user has just asked.
  if (asked || atEnd) transcript.scrollTop = transcript.scrollHeight;
}

function showTurns(state: ChatState): void {
  for (const [id, turn] of turns) {
    if (state.turns.some((other) => other.id === id)) continue;
    turn.root.remove();
    turns.delete(id);
  }
  transcript.querySelector('.empty')?.remove();
  if (state.turns.length === 0) transcript.append(...empty(state.welcome));
  for (const turn of state.turns) {
    let view = turns.get(turn.id);
    if (!view) {
      view = new TurnElement(turn, post);
      turns.set(turn.id, view);
      transcript.append(view.root);
    }
    view.update(turn);
    view.showPassage(state.shown?.turn === turn.id ? state.shown.passage : null);
  }
}

function empty(welcome: Welcome | null): HTMLElement[] {
  if (!welcome) return [];
  const { heading, text, suggestions, actions } = welcome;
  const questions = suggestions ? suggestedQuestions().map((each) => button('', () => ask(each), each)) : [];
  const buttons = actions.map(({ label, command }, i) =>
    button(`action ${i === 0 ? 'primary' : ''}`, () => post({ type: 'command', command }), label),
  );
  return [
    element(
      'div',
      'empty',
      icon('waves'),
      element('h1', '', heading),
      element('p', '', text),
      element('div', 'suggestions', ...questions),
      element('div', 'actions', ...buttons),
    ),
  ];
}

function showScope(context: Scope | null): void {
  scope.hidden = !context;
  if (!context) return;
  const [summary, list] = [scope.querySelector('summary'), scope.querySelector('ul')];
  const text = scopeText(context);
  if (!summary || !list || summary.textContent === text) return;
  summary.textContent = text;
  const items = context.excluded.map(({ file, reason }) => element('li', '', `${file}: ${reason}`));
  const more = context.leftOut - context.excluded.length;
  list.replaceChildren(...items, ...(more > 0 ? [element('li', '', t('and {0} more', count(more)))] : []));
}

function showSend(): void {
  const label = busy ? t('Cancel (Escape)') : t('Ask (Enter)');
  send.disabled = !busy && !question.value.trim();
  if (send.title === label) return;
  send.title = label;
  send.setAttribute('aria-label', label);
  send.replaceChildren(icon(busy ? 'stop' : 'send'));
}
