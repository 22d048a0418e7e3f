/** Evidence as it is shown: what an answer or one of its sentences was read from, ranked. Pure. */
import type { Citation, Passage, VerifyAnswerResult } from '../../backend/protocol.ts';
import { placeOf } from '../chat/links.ts';
import type { ChatState, EvidencePlace, Turn } from '../chat/model.ts';
import { counted } from '../format.ts';
import { t } from '../l10n.ts';
import { hiddenText, verdictDetails, verdictKey, verdictText } from './verdict.ts';
import type { Verdicts } from './verdict.ts';

/** Steps of the heat map, from `repowave.heat0` to the hottest. */
export const HEAT_LEVELS = 7;
/** The setting that shows the heat map, below `repowave`. */
export const HEAT_MAP = 'evidence.heatMap';
export const NOT_PROOF = () => t('Attention is what was read, not proof.');
const LONGEST_LABEL = 120;

/** What is shown in the tree, in editors and in the explorer: never empty. */
export interface Evidence {
  turn: Turn;
  /** Index of the sentence, or null for the whole answer. */
  passage: number | null;
  /** The strongest first. */
  citations: readonly Citation[];
}

/** A line of the tree. Nodes of the same answer have the same ids for ever. */
export interface EvidenceNode {
  id: string;
  kind: 'answer' | 'passage' | 'citation' | 'verdict';
  place: EvidencePlace;
  citation?: Citation;
  label: string;
  description: string;
  /** More than fits on the line. */
  details?: string;
  /** For screen readers, in words. */
  spoken: string;
  parent?: EvidenceNode;
  children: EvidenceNode[];
}

/** Undefined when there is no such place any more, or nothing that it was read from. */
export function evidenceAt({ turns }: ChatState, place: EvidencePlace | null): Evidence | undefined {
  const turn = turns.find(({ id }) => id === place?.turn);
  if (!turn || !place) return undefined;
  const { passage } = place;
  const citations = passage === null ? turn.citations : turn.passages[passage]?.citations;
  return citations?.length ? { turn, passage, citations } : undefined;
}

export const samePlace = (
  a: EvidencePlace | null | undefined,
  b: EvidencePlace | null | undefined,
): boolean => a?.turn === b?.turn && a?.passage === b?.passage;

/** 0 … HEAT_LEVELS - 1, relative to the strongest of the citations that are shown. */
export function heatLevel({ mass = 0 }: Citation, citations: readonly Citation[]): number {
  const strongest = Math.max(...citations.map(({ mass = 0 }) => mass));
  return strongest > 0 ? Math.min(HEAT_LEVELS - 1, Math.floor((HEAT_LEVELS * mass) / strongest)) : 0;
}

/** `62%`, `<1%`; empty when it is not known. */
export function shareText(mass: number | undefined): string {
  if (mass === undefined) return '';
  return mass > 0 && mass < 0.005 ? '<1%' : `${Math.round(100 * mass)}%`;
}

/** Two characters at most, for the explorer: `62`, `<1`. */
export const badgeText = (mass: number): string =>
  shareText(Math.min(mass, 0.99)).slice(0, 2).replace('%', '');

/** Mass of each cited file, in the order of `citations`. */
export function massByFile(citations: readonly Citation[]): Map<string, number> {
  const files = new Map<string, number>();
  for (const { file, mass = 0 } of citations) files.set(file, (files.get(file) ?? 0) + mass);
  return files;
}

/** The index `step` places behind or before the current one, round and round; from nowhere, the first or the last. */
export function neighbour(length: number, current: number, step: 1 | -1): number {
  if (current === -1) return step === 1 ? 0 : length - 1;
  return (current + step + length) % length;
}

/** `Sentence 2` */
export const sentenceName = (passage: number): string => t('Sentence {0}', passage + 1);

/** What a share is of. */
export function attentionText(mass: number, passage: number | null): string {
  const reader = passage === null ? t('the answer') : sentenceName(passage);
  return t('{0} of the attention that {1} paid to the repository', shareText(mass), reader);
}

/** What the numbers say about a place, for a hover or a tooltip. */
export function placeText(evidence: Evidence, citation: Citation): string[] {
  const { turn, passage, citations } = evidence;
  const rank = t('Evidence {0} of {1}', citations.indexOf(citation) + 1, citations.length);
  const attention = citation.mass === undefined ? '' : attentionText(citation.mass, passage);
  const readers = passage === null ? readersOf(citation, turn.passages) : [];
  return [
    [rank, attention].filter(Boolean).join(': '),
    readers.length > 0 ? t('Read for: {0}', readers.map(sentenceName).join(', ')) : '',
    NOT_PROOF(),
  ].filter(Boolean);
}

/** Indexes of the passages that were read from lines of the place. */
function readersOf({ file, startLine, endLine }: Citation, passages: readonly Passage[]): number[] {
  return passages.flatMap(({ citations }, i) =>
    citations.some((other) => other.file === file && other.startLine <= endLine && other.endLine >= startLine)
      ? [i]
      : [],
  );
}

/** All answers with evidence, the newest first: their places, then their sentences with the places of each. */
export function evidenceTree({ turns }: ChatState, verdicts: Verdicts = new Map()): EvidenceNode[] {
  return turns
    .filter(({ citations }) => citations.length > 0)
    .map((turn) => answerNode(turn, verdicts))
    .reverse();
}

function answerNode(turn: Turn, verdicts: Verdicts): EvidenceNode {
  const place = { turn: turn.id, passage: null };
  const node = groupNode('answer', place, questionOf(turn), turn.citations);
  turn.passages.forEach((passage, i) => {
    if (passage.citations.length === 0) return;
    const text = `${i + 1}  ${textOf(turn.answer, passage)}`;
    const child = groupNode('passage', { turn: turn.id, passage: i }, text, passage.citations);
    const verdict = verdicts.get(verdictKey(turn.id, i));
    if (verdict) child.children.unshift(verdictNode(child, verdict));
    child.spoken = `${t('Sentence')} ${child.spoken}`;
    child.parent = node;
    node.children.push(child);
  });
  return node;
}

function groupNode(
  kind: 'answer' | 'passage',
  place: EvidencePlace,
  text: string,
  citations: readonly Citation[],
): EvidenceNode {
  const label = text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL)}…` : text;
  const description = summary(citations);
  const id = `${place.turn}/${place.passage ?? ''}`;
  const node: EvidenceNode = {
    id,
    kind,
    place,
    label,
    description,
    spoken: `${label}: ${description}`,
    children: [],
  };
  node.children = citations.map((citation, i) => citationNode(node, citation, i));
  return node;
}

function citationNode(parent: EvidenceNode, citation: Citation, rank: number): EvidenceNode {
  const { file, mass } = citation;
  const slash = file.lastIndexOf('/');
  const label = placeOf({ ...citation, file: file.slice(slash + 1) });
  const share = shareText(mass);
  return {
    id: `${parent.id}/${rank}`,
    kind: 'citation',
    place: parent.place,
    citation,
    label,
    description: [share, slash > 0 ? file.slice(0, slash) : ''].filter(Boolean).join(' · '),
    spoken: [`${rank + 1}`, placeOf(citation), share && t('{0} of the attention', share)]
      .filter(Boolean)
      .join(', '),
    parent,
    children: [],
  };
}

function verdictNode(parent: EvidenceNode, verdict: VerifyAnswerResult): EvidenceNode {
  const label = verdictText(verdict);
  const description = hiddenText(verdict);
  return {
    id: `${parent.id}/verdict`,
    kind: 'verdict',
    place: parent.place,
    label,
    description,
    details: verdictDetails(verdict),
    spoken: `${label}, ${description}`,
    parent,
    children: [],
  };
}

/** `3 places hold 84%`: how much of what was read the list accounts for. */
export function summary(citations: readonly Citation[]): string {
  const places = counted(citations.length, 'place');
  const mass = citations.reduce((sum, { mass = 0 }) => sum + mass, 0);
  return mass > 0 ? t('{0} with {1}', places, shareText(mass)) : places;
}

/** The node as text to paste. */
export function copyText(node: EvidenceNode, turn: Turn): string {
  if (node.citation) return placeOf(node.citation);
  const places = node.children.flatMap(({ citation }) => citation ?? []);
  const lines = places.map(
    (citation) => `- ${[placeOf(citation), shareText(citation.mass)].filter(Boolean).join(' ')}`,
  );
  const about = node.kind === 'answer' ? questionOf(turn) : node.label;
  return [about, '', ...lines, '', NOT_PROOF()].join('\n');
}

const questionOf = ({ activity }: Turn): string =>
  activity.kind === 'ask' ? oneLine(activity.question) : '';

/** A passage of the answer on one line, without the marks that only make it look nice. */
const textOf = (answer: string, { start, end }: Passage): string =>
  oneLine(
    answer
      .slice(start, end)
      .replace(/^\s*(?:#+|\d+\.|[-*+]|```\w*)\s+/, '')
      .replace(/\*\*|`/g, ''),
  );

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
