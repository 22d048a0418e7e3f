/** What is read and what it costs, as a tree. Pure. */
import type { ExcludedFile, PlannedFile, PlanReport, Saving } from '../../backend/protocol.ts';
import { count, counted, short } from '../format.ts';
import { t } from '../l10n.ts';

/** `out` can be brought back, `fixed` cannot, and `over` has no room. */
export type BudgetState = 'in' | 'out' | 'fixed' | 'over';

/** A line of the tree. */
export interface BudgetNode {
  kind: 'plan' | 'saving' | 'folder' | 'file';
  /** Stays the same for the same place. */
  id: string;
  /** Relative to the root, ending in a slash for a folder; empty for what is no place. */
  path: string;
  label: string;
  description: string;
  tooltip: string;
  /** For screen readers, in words. */
  spoken: string;
  state: BudgetState;
  pinned: boolean;
  tokens: number;
  files: number;
  /** What a plan or a part of it leaves out. */
  patterns: string[];
  parent?: BudgetNode;
  children: BudgetNode[];
}

const WHY: Record<Saving['why'], () => string> = {
  vendored: () => t('code of others'),
  data: () => t('test data'),
  translations: () => t('translations'),
  docs: () => t('documentation'),
  examples: () => t('examples'),
  tests: () => t('tests'),
  large: () => t('the largest that is left'),
};

/** `41,203 of 1,000,000 tokens` */
export function planText({ tokens, budget, counted: isCounted }: PlanReport): string {
  const all = isCounted ? count(tokens) : t('about {0}', count(tokens));
  return t('{0} of {1}', all, counted(budget, 'token'));
}

/** The plan first when not all fits, then folders and files by tokens, then what is left out. */
export function planTree(report: PlanReport): BudgetNode[] {
  const root = folderNode('', undefined);
  const folders = new Map([['', root]]);
  for (const file of report.files) addTo(folders, file.file, (parent) => fileNode(file, parent, report));
  for (const file of report.excluded) addTo(folders, file.file, (parent) => excludedNode(file, parent));
  finish(root, report);
  return [...planNodes(report), ...root.children];
}

/** Every node, those on top first. */
export function* walkNodes(nodes: readonly BudgetNode[]): Generator<BudgetNode> {
  for (const node of nodes) {
    yield node;
    yield* walkNodes(node.children);
  }
}

function addTo(
  folders: Map<string, BudgetNode>,
  path: string,
  make: (parent: BudgetNode) => BudgetNode,
): void {
  const parent = folderOf(folders, path.slice(0, path.lastIndexOf('/', path.length - 2) + 1));
  parent.children.push(make(parent));
}

function folderOf(folders: Map<string, BudgetNode>, path: string): BudgetNode {
  const known = folders.get(path);
  if (known) return known;
  const parent = folderOf(folders, path.slice(0, path.lastIndexOf('/', path.length - 2) + 1));
  const node = folderNode(path, parent);
  parent.children.push(node);
  folders.set(path, node);
  return node;
}

const blank = { description: '', tooltip: '', spoken: '', pinned: false, tokens: 0, files: 0, patterns: [] };
const nameOf = (path: string): string => path.replace(/\/$/, '').split('/').at(-1)!;

function folderNode(path: string, parent: BudgetNode | undefined): BudgetNode {
  const place = { kind: 'folder', id: path, path, label: nameOf(path), parent } as const;
  return { ...blank, ...place, state: 'fixed', children: [] };
}

function fileNode(
  { file, tokens, pinned, over }: PlannedFile,
  parent: BudgetNode,
  { counted: isCounted }: PlanReport,
): BudgetNode {
  const amount = `${isCounted && !over ? '' : '~'}${short(tokens)}`;
  const label = nameOf(file);
  const notes = [
    over ? t('does not fit into the budget') : '',
    pinned ? t('every question looks at it closely') : '',
  ].filter(Boolean);
  return {
    ...{ ...blank, kind: 'file', id: file, path: file, label, parent, tokens, files: 1, children: [] },
    pinned: pinned === true,
    state: over ? 'over' : 'in',
    description: [amount, ...notes].join(' · '),
    tooltip: [file, counted(tokens, 'token'), ...notes].join('\n'),
    spoken: [label, counted(tokens, 'token'), ...notes].join(', '),
  };
}

function excludedNode({ file, reason, ignored }: ExcludedFile, parent: BudgetNode): BudgetNode {
  const label = nameOf(file);
  return {
    ...{ ...blank, id: file, path: file, label, parent, children: [] },
    kind: file.endsWith('/') ? 'folder' : 'file',
    state: ignored ? 'out' : 'fixed',
    description: reason,
    tooltip: `${file}\n${reason}`,
    spoken: t('{0}, left out: {1}', label, reason),
  };
}

/** Adds up a folder, and puts what is in it into order. */
function finish(folder: BudgetNode, report: PlanReport): void {
  for (const child of folder.children) if (child.children.length > 0) finish(child, report);
  folder.children.sort((a, b) => b.tokens - a.tokens || (a.label < b.label ? -1 : 1));
  const read = folder.children.filter(({ state }) => state === 'in' || state === 'over');
  folder.tokens = read.reduce((sum, { tokens }) => sum + tokens, 0);
  folder.files = read.reduce((sum, { files }) => sum + files, 0);
  folder.pinned = read.length > 0 && read.every(({ pinned }) => pinned);
  if (read.length === 0) {
    folder.description = t('nothing in it is read');
    folder.spoken = `${folder.label}, ${folder.description}`;
    return;
  }
  const isOver = read.some(({ state }) => state === 'over');
  folder.state = read.every(({ state }) => state === 'over') ? 'over' : 'in';
  const share = Math.round((100 * folder.tokens) / Math.max(1, report.tokens));
  const amount = `${report.counted && !isOver ? '' : '~'}${short(folder.tokens)}`;
  const files = counted(folder.files, 'file');
  folder.description = `${amount} · ${share}% · ${files}`;
  folder.tooltip = [folder.path, counted(folder.tokens, 'token'), files].join('\n');
  folder.spoken = [folder.label, counted(folder.tokens, 'token'), files].join(', ');
}

function planNodes({ savings, tokens, budget }: PlanReport): BudgetNode[] {
  if (savings.length === 0) return [];
  const label = t('Fit into {0}', counted(budget, 'token'));
  const saved = savings.reduce((sum, saving) => sum + saving.tokens, 0);
  const description = t('{0} too many; this leaves out {1}', short(tokens - budget), short(saved));
  const plan: BudgetNode = {
    ...{ ...blank, kind: 'plan', id: '*plan', path: '', label, state: 'over', tokens: saved },
    description,
    tooltip: t('Nothing is left out before you apply it.'),
    spoken: `${label}: ${description}`,
    patterns: savings.map(({ pattern }) => pattern),
    children: [],
  };
  plan.children = savings.map(({ pattern, why, files, tokens }) => {
    const details = [`−${short(tokens)}`, counted(files, 'file'), WHY[why]()].join(' · ');
    return {
      ...{ ...blank, kind: 'saving', id: `*plan/${pattern}`, path: '', label: pattern, state: 'over' },
      ...{ parent: plan, children: [], tokens, files, patterns: [pattern] },
      description: details,
      tooltip: `${pattern}\n${details}`,
      spoken: `${pattern}: ${details}`,
    };
  });
  return [plan];
}
