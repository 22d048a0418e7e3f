/** What one question attends to: chosen before the answer, and looked over after each of its sentences. */
import { UserError } from '../errors.ts';
import type { NativeSession } from '../engine/native.ts';
import type { AskParams, GateReport, GateSegment, Look } from '../protocol.ts';
import type { Hints } from './assemble.ts';
import { segmentsOver } from './conversation.ts';
import { bestSegment, chooseSegments, headScores, type GateChoice } from './gate.ts';
import { leadsOf, type Lead } from './leads.ts';
import { segmentsAt } from './paths.ts';
import { asksForOneFile } from './names.ts';
import { probe, type ProbeContext } from './probe.ts';
import type { Snapshot } from './snapshot.ts';
import { assembleViews, outlineOf, type Assembled } from './views.ts';

/** Files named to the model before the question: with several, it takes any of them for the one that is asked for. */
const mostNamed = { usually: 4, whenOneIsAsked: 1 };
/** Segments that looks may add to those that the gate may choose. */
const mostAdded = 2;
const usualWidth = 4;

/** `heads` are the model's retrieval heads; none when they are not known. */
export interface SightContext extends ProbeContext {
  session: ProbeContext['session'] & Pick<NativeSession, 'look'>;
  snapshot: Pick<Snapshot, 'segments' | 'lexical' | 'imports'>;
}

type SightParams = Pick<
  AskParams,
  'root' | 'question' | 'place' | 'mode' | 'gate' | 'others' | 'pin' | 'drop'
>;

interface SightChange {
  also?: readonly number[];
  hidden?: readonly number[];
  mode?: NonNullable<AskParams['mode']>;
}

export class Sight {
  /** What the gate chose, best first; null when everything is seen. */
  readonly #first: GateChoice[] | null;
  /** Those that are visible now, the least recently useful first. */
  #visible: GateChoice[];
  readonly #looks: Look[] = [];

  private constructor(
    private readonly context: SightContext,
    private readonly params: SightParams,
    private readonly dropped: ReadonlySet<number>,
    private readonly leads: readonly Lead[],
    first: GateChoice[] | null,
  ) {
    this.#first = first;
    this.#visible = [...(first ?? [])].reverse();
  }

  /** The question, and what it turned out to be about as well. */
  get #query(): string {
    return [this.params.question, ...this.leads.map(({ name }) => name)].join(' ');
  }

  /**
   * Chooses, by the question alone. The session is left without a tail.
   * @throws UserError `usage`, `cancelled`
   */
  static async choose(context: SightContext, params: SightParams, signal: AbortSignal): Promise<Sight> {
    const { segments } = context.snapshot;
    const near = segmentsOver(params.place, params.root, segments);
    const pinned = [...new Set([...segmentsAt(params.pin ?? [], params.root, segments), ...near])];
    const dropped = new Set(segmentsAt(params.drop ?? [], params.root, segments));
    if (dropped.size === segments.length) {
      throw new UserError(
        'usage',
        'Nothing is left to look at: drop less, or leave small files out for good with --exclude.',
      );
    }
    const { gate = 'auto', question } = params;
    if (gate === 'off' || segments.length === 1) return new Sight(context, params, dropped, [], null);
    const leads = await leadsOf(question, params.root, context.snapshot, dropped);
    const first = chooseSegments({
      question,
      lexical: context.snapshot.lexical,
      heads: await scoresByProbe(context, question, dropped, signal),
      listing: listingOf(context),
      leads: leads.map(({ segment }) => segment),
      pinned,
      dropped,
      neighbours: (segment) => neighboursOf(context.snapshot, segment),
      width: gate,
    });
    return new Sight(context, params, dropped, leads, first);
  }

  /**
   * The views to reset the session to.
   * @param change segments to look at closely as well, or not at all, and how closely all are attended to
   */
  assemble({ also = [], hidden = [], mode = this.#mode }: SightChange = {}): Assembled {
    const { segments } = this.context;
    const { others = 'estimate' } = this.params;
    const visible = this.#first ? this.#visible.map(({ segment }) => segment) : segments.map((_, id) => id);
    const unseen = new Set([...this.dropped, ...hidden]);
    return assembleViews(this.context, new Set([...visible, ...also]), unseen, { mode, others });
  }

  get #mode(): NonNullable<AskParams['mode']> {
    const { mode = 'auto' } = this.params;
    return this.context.segments.length === 1 && mode === 'auto' ? 'exact' : mode;
  }

  /** What to say before the question. */
  hints(): Hints {
    const settings = this.leads.flatMap(({ name, target }) => (target ? [`${name} = ${target}`] : []));
    return { paths: this.#paths(), settings };
  }

  /** Those that are looked at closely. */
  #paths(): string[] {
    const { lexical, segments } = this.context.snapshot;
    const likely = lexical.rank(this.#query).paths;
    const most = asksForOneFile(this.params.question) ? mostNamed.whenOneIsAsked : mostNamed.usually;
    if (!this.#first) return likely.slice(0, most);
    const paths = this.#first.flatMap(({ segment }) => {
      const held = new Set(segments[segment]?.lines.sources.map(({ path }) => path));
      const matching = likely.filter((path) => held.has(path));
      return matching.length > 0 ? matching : [...held].slice(0, 1);
    });
    return [...new Set(paths)].slice(0, most);
  }

  /**
   * Ranks again, by the question with this sentence and by the queries since the last look. What comes first and is
   * not visible is added; when there are too many, what was useful least recently goes.
   * @param useful the segment that most attention went to since the last look
   * @returns what the session now looks at, if that has changed
   */
  async look(
    sentence: { text: string; end: number },
    useful: number | undefined,
  ): Promise<Assembled | undefined> {
    if (!this.#first) return undefined;
    this.#touch(useful);
    const { lexical } = this.context.snapshot;
    const words = lexical.rank(`${this.#query} ${sentence.text}`).segments;
    const hidden = new Set([...listingOf(this.context), ...this.dropped]);
    const best = bestSegment(words, await scoresByAnswer(this.context, hidden), hidden);
    if (!best || this.#touch(best.segment)) return undefined;

    this.#visible.push(best);
    const removed = this.#overflow();
    this.#looks.push({
      end: sentence.end,
      added: this.#describe(best),
      removed: removed ? this.#describe(removed) : null,
    });
    const assembled = this.assemble();
    this.context.session.look(assembled.views);
    return assembled;
  }

  report(): GateReport | null {
    if (!this.#first) return null;
    const { mode = 'auto', others = 'estimate' } = this.params;
    return {
      segments: this.#first.map((choice) => this.#describe(choice)),
      looks: this.#looks,
      others: outlineOf({ mode, others }),
    };
  }

  /** Makes a visible segment the most recently useful one; false when it is not visible. */
  #touch(segment: number | undefined): boolean {
    const at = this.#visible.findIndex((choice) => choice.segment === segment);
    if (at >= 0) this.#visible.push(...this.#visible.splice(at, 1));
    return at >= 0;
  }

  #overflow(): GateChoice | undefined {
    const { gate } = this.params;
    const limit = Math.max(usualWidth, typeof gate === 'number' ? gate : 0) + mostAdded;
    const movable = this.#visible.filter(({ reason }) => reason !== 'pinned');
    if (movable.length <= limit) return undefined;
    const [removed] = movable;
    this.#visible = this.#visible.filter((choice) => choice !== removed);
    return removed;
  }

  #describe({ segment, reason, score }: GateChoice): GateSegment {
    const { lines, tokens } = this.context.snapshot.segments[segment]!;
    const last = lines.sources.at(-1);
    return {
      paths: [...new Set(lines.sources.map(({ path }) => path))],
      startLine: lines.sources[0]?.startLine ?? 0,
      endLine: last ? last.startLine + Math.max(0, last.lines.length - 1) : 0,
      tokens,
      reason,
      score: Math.round(score * 1e4) / 1e4,
    };
  }
}

/** Scores of all segments by the question's own words in the model; undefined without heads. */
async function scoresByProbe(
  context: SightContext,
  question: string,
  dropped: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<Float64Array | undefined> {
  if (context.heads.length === 0) return undefined;
  const ids = competing(context, new Set([...listingOf(context), ...dropped]));
  return scoresOf(context, await probe(context, question, ids, signal), ids);
}

/** By the queries since the last look; undefined without heads. */
async function scoresByAnswer(
  context: SightContext,
  hidden: ReadonlySet<number>,
): Promise<Float64Array | undefined> {
  if (context.heads.length === 0) return undefined;
  const ids = competing(context, hidden);
  return scoresOf(context, await context.session.headMass(ids.map((id) => context.segments[id]!)), ids);
}

function competing({ segments }: SightContext, without: ReadonlySet<number>): number[] {
  return [...segments.keys()].filter((id) => !without.has(id));
}

/** One per segment of the snapshot, from a mass of [heads][ids]; 0 for those that did not compete. */
function scoresOf({ segments }: SightContext, mass: Float32Array, ids: readonly number[]): Float64Array {
  const scores = new Float64Array(segments.length);
  headScores(mass, ids.length).forEach((score, i) => (scores[ids[i]!] = score));
  return scores;
}

/** Segments that hold no file: the list of all paths. */
function listingOf({ snapshot }: SightContext): number[] {
  return [...snapshot.segments.keys()].filter((id) => snapshot.segments[id]?.lines.sources.length === 0);
}

/** The segments of the files that this segment's files import, and of those that import them. */
function neighboursOf({ segments, imports }: SightContext['snapshot'], segment: number): number[] {
  const own = new Set(segments[segment]?.lines.sources.map(({ path }) => path));
  const near = new Set([...own].flatMap((path) => imports[path] ?? []));
  for (const [path, targets] of Object.entries(imports)) {
    if (targets.some((target) => own.has(target))) near.add(path);
  }
  return [...segments.keys()].filter(
    (id) =>
      id !== segment && segments[id]?.lines.sources.some(({ path }) => near.has(path) && !own.has(path)),
  );
}
