import * as vscode from 'vscode';
import type { Citation } from '../../backend/protocol.ts';
import { resolveInside } from '../chat/inside.ts';
import type { ChatState, Turn } from '../chat/model.ts';
import { relocate } from './relocate.ts';
import type { Located } from './relocate.ts';

/** A cited file as it was when it was read. */
interface Baseline {
  uri: string;
  mtime: number;
  lines: readonly string[];
}

export const linesOf = (text: string): string[] => text.split(/\r\n|\r|\n/);

/** The file of a citation; undefined when it is not below the root. */
export function uriOf(root: string, { file }: Pick<Citation, 'file'>): vscode.Uri | undefined {
  const target = resolveInside(root, file);
  return target === undefined ? undefined : vscode.Uri.file(target);
}

/**
 * The text of the files that answers cite, so that evidence goes along with later edits. It is taken when the answer is
 * there; a file that was saved since the question may not be what was read, and counts as edited throughout.
 */
export class Baselines {
  readonly #askedMs = new Map<number, number>();
  /** By answer, then by file. Null: not known what was read. */
  readonly #files = new Map<number, Map<string, Baseline | null>>();

  /** Follows the chat; resolves once the files of its new answers are there. */
  async update({ turns }: ChatState): Promise<void> {
    for (const map of [this.#askedMs, this.#files]) {
      for (const id of map.keys()) if (!turns.some((turn) => turn.id === id)) map.delete(id);
    }
    const working = turns.at(-1);
    if (working?.status === 'working' && !this.#askedMs.has(working.id))
      this.#askedMs.set(working.id, Date.now());
    const news = turns.filter(({ id, citations }) => citations.length > 0 && !this.#files.has(id));
    await Promise.all(news.map((turn) => this.#take(turn)));
  }

  /** Where the cited lines are in the file as it is now; undefined when nothing is left of them. */
  locate(turn: Turn, citation: Citation, now: readonly string[]): Located | undefined {
    const before = this.#files.get(turn.id)?.get(citation.file);
    if (before === undefined) return undefined;
    if (before) return relocate(before.lines, now, citation);
    const endLine = Math.min(citation.endLine, now.length);
    return citation.startLine > endLine
      ? undefined
      : { startLine: citation.startLine, endLine, edited: true };
  }

  async #take({ id, activity, citations, passages }: Turn): Promise<void> {
    const files = new Map<string, Baseline | null>();
    this.#files.set(id, files);
    const cited = [...citations, ...passages.flatMap((passage) => passage.citations)].map(({ file }) => file);
    const asked = this.#askedMs.get(id) ?? 0;
    await Promise.all(
      [...new Set(cited)].map(async (file) => files.set(file, await this.#read(activity.root, file, asked))),
    );
  }

  async #read(root: string, file: string, askedMs: number): Promise<Baseline | null> {
    const uri = uriOf(root, { file });
    if (!uri) return null;
    try {
      const { mtime } = await vscode.workspace.fs.stat(uri);
      if (mtime > askedMs) return null;
      const known = [...this.#files.values()].flatMap((files) => files.get(file) ?? []);
      const same = known.find((old) => old.mtime === mtime && old.uri === uri.toString());
      if (same) return same;
      const text = await vscode.workspace.decode(await vscode.workspace.fs.readFile(uri), { uri });
      return { uri: uri.toString(), mtime, lines: linesOf(text) };
    } catch {
      return null; // deleted or unreadable by now: nothing will be shown in it
    }
  }
}
