/**
 * The progress line of set-up and command line. Plain JavaScript on Node's own modules: set-up uses it before
 * any package is there.
 */

/**
 * @typedef {object} State
 * @property {string} label what is being done
 * @property {number} done
 * @property {number} [total] absent while unknown
 * @property {string} unit `bytes`, or the plural of what is counted; `''` counts without a word
 * @property {number} [rate] units per second
 * @property {number} [etaSeconds] remaining time
 */

const BAR_CELLS = 10;
/** Some terminals say that they have no columns. */
const DEFAULT_COLUMNS = 80;
const SHOW_AFTER_MS = 1000;
const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5000;
const RATE_WINDOW_MS = 10_000;

/** @param {number} seconds @returns {string} `0:07`, `12:30`, `1:02:03` */
export function formatDuration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** @param {number} amount @param {string} unit @returns {string} `3.1 MB`, `12`, `1,234 tokens` */
export function formatAmount(amount, unit) {
  if (unit !== 'bytes') {
    const text = amount < 10 && !Number.isInteger(amount) ? amount.toFixed(1) : grouped(amount);
    return unit === '' ? text : `${text} ${unit}`;
  }
  const power = Math.min(3, Math.max(0, Math.floor(Math.log10(Math.max(1, amount)) / 3)));
  const value = amount / 1000 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** @param {number} value @returns {string} */
function grouped(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/**
 * One line, cut to `width` columns: `label  42% ████░░░░░░ 12/29 3.1 MB/s 0:12 left`.
 * @param {State} state @param {number} [width]
 * @returns {string}
 */
export function formatProgress({ label, done, total, unit, rate, etaSeconds }, width = Infinity) {
  const parts = [];
  if (total !== undefined && total > 0) {
    const share = Math.min(1, done / total);
    const full = Math.floor(share * BAR_CELLS);
    parts.push(`${Math.floor(share * 100)}%`.padStart(4), '█'.repeat(full) + '░'.repeat(BAR_CELLS - full));
    const ofUnit = unit === 'bytes' ? `${formatAmount(done, unit)}/${formatAmount(total, unit)}` : '';
    parts.push(ofUnit || `${grouped(done)}/${formatAmount(total, unit)}`);
  } else {
    parts.push('', formatAmount(done, unit));
  }
  if (rate !== undefined && rate > 0) parts.push(`${formatAmount(rate, unit === 'bytes' ? unit : '')}/s`);
  if (etaSeconds !== undefined) parts.push(`${formatDuration(etaSeconds)} left`);
  const tail = parts.join(' ');
  const room = Math.max(8, width - tail.length - 1);
  const head = label.length > room ? `${label.slice(0, room - 1)}…` : label;
  return `${head} ${tail}`.slice(0, width);
}

/**
 * Rate and remaining time from samples of the last seconds, so that a stall shows and a cached start is forgotten.
 * @param {readonly { ms: number, done: number }[]} samples the oldest first
 * @param {number} [total]
 * @returns {{ rate?: number, etaSeconds?: number }} empty while there is nothing to tell
 */
export function estimate(samples, total) {
  const [first, last] = [samples.at(0), samples.at(-1)];
  if (!first || !last || last.ms <= first.ms || last.done <= first.done) return {};
  const rate = ((last.done - first.done) * 1000) / (last.ms - first.ms);
  return total === undefined ? { rate } : { rate, etaSeconds: Math.max(0, total - last.done) / rate };
}

/**
 * Shows how one piece of work goes, from its second second on: on a terminal one line, redrawn in place; elsewhere a
 * plain line every few seconds. Where `rate` and `etaSeconds` are not given they are worked out.
 */
export class ProgressLine {
  /** @type {{ ms: number, done: number }[]} */
  #samples = [];
  #started;
  #lastShown = -Infinity;
  #drawn = false;

  /** @param {{ write(text: string): unknown, isTTY?: boolean, columns?: number }} [stream] @param {() => number} [now] milliseconds */
  constructor(stream = process.stderr, now = () => performance.now()) {
    this.stream = stream;
    this.now = now;
    this.#started = now();
  }

  /** @param {State} state */
  update(state) {
    const ms = this.now();
    this.#samples.push({ ms, done: state.done });
    while (this.#samples.length > 2 && ms - (this.#samples[0]?.ms ?? ms) > RATE_WINDOW_MS)
      this.#samples.shift();
    if (ms - this.#started < SHOW_AFTER_MS) return;
    if (ms - this.#lastShown < (this.stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS)) return;
    this.#lastShown = ms;
    const line = { ...estimate(this.#samples, state.total), ...withoutUndefined(state) };
    if (this.stream.isTTY) {
      this.stream.write(`\r\x1b[K${formatProgress(line, (this.stream.columns || DEFAULT_COLUMNS) - 1)}`);
      this.#drawn = true;
    } else {
      this.stream.write(`${formatProgress(line)}\n`);
    }
  }

  /** Takes the line away, for other output to follow. */
  clear() {
    if (this.#drawn) this.stream.write('\r\x1b[K');
    this.#drawn = false;
  }
}

/** @param {State} state @returns {State} */
function withoutUndefined(state) {
  return /** @type {State} */ (
    Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined))
  );
}
