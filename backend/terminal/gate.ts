import { widestGate } from '../context/gate.ts';
import { UserError } from '../errors.ts';
import type { AskParams } from '../protocol.ts';

/** The options of `ask` about what is read before the answer and what gets attention, as they were typed. */
export interface GateOptions {
  gate?: string;
  others?: AskParams['others'];
  pin: string[];
  drop: string[];
  budget?: string;
  /** False for `--no-estimate`. */
  estimate: boolean;
  late?: AskParams['late'];
  wait?: AskParams['wait'];
}

type GateParams = Pick<
  AskParams,
  'gate' | 'others' | 'pin' | 'drop' | 'budget' | 'estimate' | 'late' | 'wait'
>;

/** @throws UserError `usage` */
export function gateParams(options: GateOptions): GateParams {
  const { gate, others, pin, drop, budget, estimate, late, wait } = options;
  return {
    gate: gate === undefined ? undefined : parseGate(gate),
    others,
    pin,
    drop,
    budget: budget === undefined ? undefined : parsePercent(budget),
    estimate,
    late,
    wait,
  };
}

function parseGate(text: string): AskParams['gate'] {
  if (text === 'auto' || text === 'off') return text;
  const width = /^\d+$/.test(text) ? Number(text) : NaN;
  if (width >= 1 && width <= widestGate) return width;
  throw new UserError(
    'usage',
    `${JSON.stringify(text)} is no width of the gate: write auto, off, or a number from 1 to ${widestGate}.`,
  );
}

function parsePercent(text: string): number {
  const percent = Number(/^\s*(\d+(?:\.\d+)?)\s*%?\s*$/.exec(text)?.[1]);
  if (percent >= 0 && percent <= 100) return percent / 100;
  throw new UserError('usage', `${JSON.stringify(text)} is not a share: write a percentage like 2 or 5%.`);
}
