import type { Ctx } from './ctx.ts';

/** Every command of the extension, as named in package.json. */
export const commands = {
  'repowave.ask': (ctx) => ctx.chat.ask(),
  'repowave.read': (ctx) => ctx.session.read(),
  'repowave.cancel': (ctx) => ctx.session.cancel(),
  'repowave.clear': (ctx) => ctx.chat.clear(),
  'repowave.restart': (ctx) => ctx.session.restart(),
  'repowave.showLog': (ctx) => ctx.log.show(),
} satisfies Record<string, (ctx: Ctx) => unknown>;

export type Command = keyof typeof commands;
