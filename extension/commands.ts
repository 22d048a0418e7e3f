import type { CommentReply, CommentThread } from 'vscode';
import { enterToken } from './backend/start.ts';
import type { BudgetNode } from './budget/plan-model.ts';
import type { Ctx } from './ctx.ts';
import { copyDiagnostics } from './diagnostics/command.ts';
import type { EvidenceNode } from './evidence/model.ts';
import { exportAnswer } from './export/command.ts';
import { checkMachine, getStarted } from './first-run/machine.ts';
import { importModel, removeModel, selectModel, verifyModel } from './models/commands.ts';

/**
 * Every command of the extension, as named in package.json, with what VS Code hands it: the line of a tree or the thread
 * of comments that it is for.
 */
export const commands = {
  'repowave.ask': (ctx) => ctx.chat.ask(),
  'repowave.read': (ctx) => ctx.session.read(),
  'repowave.cancel': (ctx) => ctx.session.cancel(),
  'repowave.clear': (ctx) => ctx.chat.clear(),
  'repowave.restart': (ctx) => ctx.session.restart(),
  'repowave.enterToken': async (ctx) => (await enterToken(ctx.extension)) && ctx.session.restart(),
  'repowave.showLog': (ctx) => ctx.log.show(),
  'repowave.insights.open': (ctx) => ctx.insights.open(),
  'repowave.insights.export': (ctx) => ctx.insights.export(),
  'repowave.budget.show': (ctx) => ctx.budget.show(),
  'repowave.budget.refresh': (ctx) => ctx.budget.refresh(),
  'repowave.budget.apply': (ctx, node?: BudgetNode) => ctx.budget.apply(node),
  'repowave.budget.pin': (ctx, node?: BudgetNode) => ctx.budget.pin(node),
  'repowave.budget.unpin': (ctx, node?: BudgetNode) => ctx.budget.unpin(node),
  'repowave.budget.openRules': (ctx) => ctx.budget.openRules(),
  'repowave.inline.ask': (ctx) => ctx.inline.start(),
  'repowave.inline.reply': (ctx, reply?: CommentReply) => reply && ctx.inline.reply(reply),
  'repowave.inline.resolve': (ctx, thread?: CommentThread) => thread && ctx.inline.resolve(thread, true),
  'repowave.inline.reopen': (ctx, thread?: CommentThread) => thread && ctx.inline.resolve(thread, false),
  'repowave.inline.delete': (ctx, thread?: CommentThread) => thread && ctx.inline.delete(thread),
  'repowave.evidence.open': (ctx, node?: EvidenceNode) => ctx.evidence.open(node),
  'repowave.evidence.copy': (ctx, node?: EvidenceNode) => ctx.evidence.copy(node),
  'repowave.evidence.verify': (ctx, node?: EvidenceNode) => ctx.evidence.verify(ctx, node),
  'repowave.evidence.next': (ctx) => ctx.evidence.step(1),
  'repowave.evidence.previous': (ctx) => ctx.evidence.step(-1),
  'repowave.evidence.toggleHeatMap': (ctx) => ctx.evidence.toggleHeatMap(),
  'repowave.getStarted': getStarted,
  'repowave.checkMachine': checkMachine,
  'repowave.selectModel': selectModel,
  'repowave.importModel': importModel,
  'repowave.verifyModel': verifyModel,
  'repowave.removeModel': removeModel,
  'repowave.copyDiagnostics': copyDiagnostics,
  'repowave.exportAnswer': exportAnswer,
} satisfies Record<string, (ctx: Ctx, argument?: never) => unknown>;

export type Command = keyof typeof commands;
