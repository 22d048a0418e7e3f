/** The model `…-repo` of VS Code's picker: whoever asks it, an agent too, asks with the whole repository before the question. */
import path from 'node:path';
import * as vscode from 'vscode';
import { AskRequest } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';
import { modelSetting } from '../models/setting.ts';
import type { Session } from '../session.ts';
import { AnswerParts, messageText, transcriptOf } from './transcript.ts';
import type { Message, Part, Piece } from './transcript.ts';

export const VENDOR = 'repowave';
/** What is left of a context of 32,768 tokens beside the longest segment of a repository and the answer. */
const MAX_INPUT = 20_000;
const MAX_OUTPUT = 1_024;
/** The backend's tokenizer may not run yet, and VS Code asks for counts often. */
const CHARACTERS_PER_TOKEN = 3.5;

/** Never starts the backend before something is asked. */
export class RepositoryModels implements vscode.LanguageModelChatProvider {
  readonly #changes = new vscode.EventEmitter<void>();
  readonly onDidChangeLanguageModelChatInformation = this.#changes.event;

  constructor(
    private readonly session: Session,
    private readonly version: string,
  ) {}

  /** Another model was chosen. */
  changed(): void {
    this.#changes.fire();
  }

  provideLanguageModelChatInformation(): vscode.LanguageModelChatInformation[] {
    const model = path.basename(modelSetting() || 'repowave', '.gguf');
    return [
      {
        id: `${model}-repo`,
        name: `${model}-repo`,
        family: 'repowave',
        version: this.version,
        detail: t('local, with the whole repository'),
        tooltip: t(
          'Answers on this machine with the open folder before every question. No account is needed.',
        ),
        maxInputTokens: MAX_INPUT,
        maxOutputTokens: MAX_OUTPUT,
        // Agents are offered no other models.
        capabilities: { toolCalling: true },
      },
    ];
  }

  async provideLanguageModelChatResponse(
    _model: vscode.LanguageModelChatInformation,
    messages: readonly vscode.LanguageModelChatRequestMessage[],
    { tools = [] }: vscode.ProvideLanguageModelChatResponseOptions,
    progress: vscode.Progress<vscode.LanguageModelResponsePart>,
    token: vscode.CancellationToken,
  ): Promise<void> {
    const parts = new AnswerParts(tools.length > 0);
    const show = (made: Part[]) => made.forEach((part) => progress.report(responsePart(part)));
    const asked = transcriptOf(messages.map(messageOf), tools);
    await this.session.inFolder(AskRequest, asked, token, (each) => {
      if (each.kind === 'text') show(parts.push(each.text));
    });
    show(parts.end());
  }

  provideTokenCount(
    _model: vscode.LanguageModelChatInformation,
    text: string | vscode.LanguageModelChatRequestMessage,
  ): Promise<number> {
    const characters = (typeof text === 'string' ? text : messageText(messageOf(text))).length;
    return Promise.resolve(Math.ceil(characters / CHARACTERS_PER_TOKEN));
  }
}

let calls = 0;
function responsePart(part: Part): vscode.LanguageModelResponsePart {
  if (part.kind === 'text') return new vscode.LanguageModelTextPart(part.text);
  return new vscode.LanguageModelToolCallPart(`repowave-${++calls}`, part.name, part.input);
}

function messageOf({ role, content }: vscode.LanguageModelChatRequestMessage): Message {
  const assistant = role === vscode.LanguageModelChatMessageRole.Assistant;
  return { role: assistant ? 'assistant' : 'user', pieces: content.flatMap(pieceOf) };
}

/** Images and other data are nothing that the model can read. */
function pieceOf(part: unknown): Piece[] {
  if (part instanceof vscode.LanguageModelTextPart) return [{ kind: 'text', text: part.value }];
  if (part instanceof vscode.LanguageModelToolCallPart)
    return [{ kind: 'call', name: part.name, input: part.input }];
  if (!(part instanceof vscode.LanguageModelToolResultPart)) return [];
  return [{ kind: 'result', text: resultText(part.content) }];
}

const resultText = (content: readonly unknown[]): string =>
  content.map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : '')).join('\n');
