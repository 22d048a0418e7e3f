import * as vscode from 'vscode';
import type { LineRange, StoredThread } from './model.ts';

const KEY = 'repowave.inline';
/** Older ones are forgotten: the workspace's memory is read at every start. */
const MOST_THREADS = 50;
/** Lines are known again by so many of them. */
const MOST_LINES = 20;

/** The conversations of a workspace, kept over reloads. */
export class Remembered {
  #threads: StoredThread[];

  constructor(private readonly memory: vscode.Memento) {
    this.#threads = memory.get<StoredThread[]>(KEY) ?? [];
  }

  read(): readonly StoredThread[] {
    return this.#threads;
  }

  of(uri: string, { start, end }: LineRange): StoredThread | undefined {
    return this.#threads.find(
      (thread) => thread.uri === uri && thread.range.start === start && thread.range.end === end,
    );
  }

  /** The texts of the lines are taken from open documents, and stay as they were for others. */
  write(threads: readonly Omit<StoredThread, 'text'>[]): void {
    const texts = threads.slice(-MOST_THREADS).map((thread) => ({ ...thread, text: this.#textOf(thread) }));
    this.#threads = texts;
    void this.memory.update(KEY, texts);
  }

  #textOf({ uri, range }: Omit<StoredThread, 'text'>): string[] {
    const document = vscode.workspace.textDocuments.find((open) => open.uri.toString() === uri);
    if (!document) return this.of(uri, range)?.text ?? [];
    const last = Math.min(range.end, range.start + MOST_LINES - 1, document.lineCount - 1);
    const count = Math.max(0, last - range.start + 1);
    return Array.from({ length: count }, (_, i) => document.lineAt(range.start + i).text);
  }
}
