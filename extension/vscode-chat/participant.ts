/** `@repo` in VS Code's own chat: asks the whole repository, and shows the lines that the answer was read from. */
import path from 'node:path';
import * as vscode from 'vscode';
import { AskRequest } from '../../backend/protocol.ts';
import type { AskResult, PhaseProgress, Progress } from '../../backend/protocol.ts';
import { resolveInside } from '../chat/inside.ts';
import { placeOf } from '../chat/links.ts';
import { phaseTitle, progressFigures } from '../format.ts';
import { t } from '../l10n.ts';
import type { Session } from '../session.ts';
import { askedOf } from './prompts.ts';
import type { Exchange } from './prompts.ts';

const ID = 'repowave.repo';
/** Each progress message is a line of its own for screen readers. */
const PROGRESS_MS = 1_000;

export function registerParticipant(session: Session, icon: vscode.Uri): vscode.Disposable {
  const participant = vscode.chat.createChatParticipant(ID, (request, context, stream, token) =>
    respond(session, request, context, stream, token),
  );
  participant.iconPath = icon;
  participant.followupProvider = {
    provideFollowups: ({ metadata }) =>
      metadata?.answered
        ? [
            { prompt: t('Who depends on it?'), command: 'impact' },
            { prompt: t('Follow it from start to end'), command: 'trace' },
          ]
        : [],
  };
  return participant;
}

async function respond(
  session: Session,
  request: vscode.ChatRequest,
  { history }: vscode.ChatContext,
  stream: vscode.ChatResponseStream,
  token: vscode.CancellationToken,
): Promise<vscode.ChatResult> {
  const places = request.references.flatMap(({ value }) => placeText(value));
  if (!request.prompt.trim() && places.length === 0) {
    stream.markdown(
      t(
        'Ask about the repository, for example: `@repo /where is a file ignored?` or `@repo /trace a request`.',
      ),
    );
    return {};
  }
  const { prompt, command } = request;
  try {
    const answered = await session.inFolder(
      AskRequest,
      askedOf({ prompt, command, places, earlier: exchanges(history) }),
      token,
      reporter(stream),
    );
    if (!answered) return {};
    showSources(stream, answered);
    return { metadata: { answered: true, root: answered.root } };
  } catch (error) {
    return { errorDetails: { message: error instanceof Error ? error.message : String(error) } };
  }
}

function reporter(stream: vscode.ChatResponseStream) {
  let told = 0;
  let phase: PhaseProgress['phase'] | undefined;
  return (progress: Progress): void => {
    if (progress.kind === 'text') stream.markdown(progress.text);
    if (progress.kind !== 'phase') return;
    if (progress.phase === phase && Date.now() - told < PROGRESS_MS) return;
    ({ phase } = progress);
    told = Date.now();
    stream.progress(`${phaseTitle(progress.phase)}: ${progressFigures(progress)}`);
  };
}

function showSources(
  stream: vscode.ChatResponseStream,
  { root, result }: { root: string; result: AskResult },
): void {
  const places = result.citations.flatMap((citation) => {
    const file = resolveInside(root, citation.file);
    if (!file) return [];
    const range = new vscode.Range(citation.startLine - 1, 0, citation.endLine - 1, Number.MAX_SAFE_INTEGER);
    return [{ citation, location: new vscode.Location(vscode.Uri.file(file), range) }];
  });
  if (places.length > 0) stream.markdown(`\n\n**${t('Sources')}**\n\n`);
  for (const { citation, location } of places) {
    const { mass } = citation;
    stream.markdown('- ');
    stream.anchor(location, placeOf(citation));
    stream.markdown(mass === undefined ? '\n' : ` ${Math.round(100 * mass)}%\n`);
    stream.reference(location);
  }
  if (places.length > 0) stream.markdown(`\n_${t('Attention is what was read, not proof.')}_`);
}

function placeText(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value instanceof vscode.Uri) return [vscode.workspace.asRelativePath(value)];
  if (!(value instanceof vscode.Location)) return [];
  const { start, end } = value.range;
  const file = vscode.workspace.asRelativePath(value.uri).split(path.sep).join('/');
  return [placeOf({ file, startLine: start.line + 1, endLine: end.line + 1 })];
}

/** What was asked and answered before in this conversation. */
function exchanges(history: vscode.ChatContext['history']): Exchange[] {
  return history.flatMap((turn, i) => {
    const next = history[i + 1];
    if (!(turn instanceof vscode.ChatRequestTurn) || !(next instanceof vscode.ChatResponseTurn)) return [];
    const texts = next.response.map((part) =>
      part instanceof vscode.ChatResponseMarkdownPart ? part.value.value : '',
    );
    return [{ question: turn.prompt, answer: texts.join('').split(`\n\n**${t('Sources')}**`)[0] ?? '' }];
  });
}
