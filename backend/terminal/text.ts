/** Text for a terminal: nothing in a repository or an answer may steer it. */
import { styleText } from 'node:util';
import prettyBytes from 'pretty-bytes';

/** Without control characters, which could move the cursor or change the title; line ends and tabs stay. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

/** A path or a reason, all in one line: what could steer the terminal or turn text around is shown as an escape. */
export function printableName(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export type Style = 'bold' | 'dim';
export type Paint = (style: Style, text: string) => string;

/** Colours for a terminal that wants them (https://no-color.org), else plain text. */
export function painter(stream: { isTTY?: boolean }): Paint {
  return stream.isTTY && !process.env.NO_COLOR ? styleText : (_style, text) => text;
}

export const count = (value: number): string => value.toLocaleString('en');
export const bytes = (value: number): string => prettyBytes(value);
export const files = (value: number): string => `${count(value)} ${value === 1 ? 'file' : 'files'}`;

/** `0.8 s`, `2 min 05 s` */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}
