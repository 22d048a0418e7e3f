/** What attention looks at, and how closely. */
import type { Budget, Detail, NativeSegment, View } from '../engine/native.ts';
import type { AskParams, GateReport } from '../protocol.ts';

/** Up to so many visible tokens the mode `auto` attends exactly. */
export const exactTokens = 8_192;
/** What is attended exactly under tripartite attention; docs/method.md has what other budgets cost and bring. */
export const usualBudget: Budget = { share: 0.02, tokens: 1_024, passTokens: 16_384, estimate: true };
/** Added to the attention logits of what the gate did not choose: heard, but not over the chosen. */
export const backgroundBias = -4;

export interface ViewOptions {
  mode: NonNullable<AskParams['mode']>;
  others: NonNullable<AskParams['others']>;
}

/** One view per entry: the frame, then the segments of these indexes in the order of the repository. */
export interface Assembled {
  views: View[];
  /** Which segment each view behind the frame is of. */
  segments: number[];
  mode: 'exact' | 'wave';
}

export function frameView(frame: NativeSegment): View {
  return { segment: frame, detail: 'exact', bias: 0, position: 0 };
}

/**
 * The views of a question. `visible` get full attention, those in neither set are there in outline or left out, and
 * `dropped` ones are not seen at all. All start right behind the frame (positions overlap).
 */
export function assembleViews(
  { frame, segments }: { frame: NativeSegment; segments: NativeSegment[] },
  visible: ReadonlySet<number>,
  dropped: ReadonlySet<number>,
  { mode, others }: ViewOptions,
): Assembled {
  const tokens = [...visible].reduce((sum, id) => sum + (segments[id]?.tokens ?? 0), 0);
  const answering = mode === 'auto' ? (tokens <= exactTokens ? 'exact' : 'wave') : mode;
  const outline: Detail = outlineOf({ mode, others }) === 'exact' ? 'exact' : 'coarse';
  const assembled: Assembled = { views: [frameView(frame)], segments: [], mode: answering };
  segments.forEach((segment, id) => {
    const isVisible = visible.has(id);
    if (dropped.has(id) || (!isVisible && others === 'mask')) return;
    assembled.segments.push(id);
    assembled.views.push({
      segment,
      detail: isVisible ? answering : outline,
      bias: isVisible ? 0 : backgroundBias,
      position: frame.tokens,
    });
  });
  return assembled;
}

/** How what is not chosen is attended to. */
export function outlineOf({ mode, others }: ViewOptions): GateReport['others'] {
  if (others === 'mask') return 'masked';
  return mode === 'exact' ? 'exact' : 'coarse';
}
