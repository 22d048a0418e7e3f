import { enterToken } from './backend/start.ts';
import type { Ctx } from './ctx.ts';
import { copyDiagnostics } from './diagnostics/command.ts';
import type { EvidenceNode } from './evidence/model.ts';
import { exportAnswer } from './export/command.ts';
import { checkMachine, getStarted } from './first-run/machine.ts';
import { importModel, removeModel, selectModel, verifyModel } from './models/commands.ts';

/** Every command of the extension, as named in package.json; `node` is the line of the tree that it is for. */
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
  'repowave.evidence.open': (ctx, node) => ctx.evidence.open(node),
  'repowave.evidence.copy': (ctx, node) => ctx.evidence.copy(node),
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
} satisfies Record<string, (ctx: Ctx, node?: EvidenceNode) => unknown>;

export type Command = keyof typeof commands;
