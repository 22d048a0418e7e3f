/**
 * Lists of strings in an object of JSON with comments, changed in its text: what is not changed stays as it is written.
 * jsonc-parser's own `modify` lays out anew whatever stands on the line of a change, and takes the quotation mark in
 * front of the last entry with that entry where both stand on one line. Pure.
 */
import { createScanner, findNodeAtLocation, parseTree } from 'jsonc-parser';
import type { Node } from 'jsonc-parser';

/** The text of an object with one more entry at the beginning of a list, which is made if need be. */
export function withEntry(text: string, list: string, entry: string): string {
  const object = objectOf(text);
  const node = findNodeAtLocation(object, [list]);
  const value = JSON.stringify(entry);
  const first = node?.type === 'array' ? node.children?.[0] : undefined;
  // At the beginning: behind the last entry it would come between that and a comment on its line.
  if (first) return put(text, first.offset, 0, `${value},${gapBefore(text, first)}`);
  const [property] = object.children?.slice(-1) ?? [];
  const gap = property ? gapBefore(text, property) : eolOf(text) + unitOf(text);
  const array = gap.includes('\n') ? `[${gap}${unitOf(text)}${value}${gap}]` : `[${value}]`;
  if (node?.type === 'array' && text.slice(node.offset + 1, endOf(node) - 1).trim() !== '')
    return put(text, node.offset + 1, 0, `${gap}${unitOf(text)}${value}`); // nothing but comments is in it
  if (node) return put(text, node.offset, node.length, array);
  const made = `${JSON.stringify(list)}: ${array}`;
  if (property) return put(text, endOf(property), 0, `,${gap}${made}`);
  const inside = text.slice(object.offset + 1, endOf(object) - 1);
  const isBlank = inside.trim() === '';
  return put(
    text,
    object.offset + 1,
    isBlank ? inside.length : 0,
    `${gap}${made}${isBlank ? eolOf(text) : ''}`,
  );
}

/** The text of an object without the entries of a list that are gone. Comments stay, also those about an entry. */
export function withoutEntries(text: string, list: string, isGone: (entry: unknown) => boolean): string {
  const entries = findNodeAtLocation(objectOf(text), [list])?.children ?? [];
  const index = entries.findLastIndex(({ value }) => isGone(value));
  const [before, entry] = [entries[index - 1], entries[index]];
  if (!entry) return text;
  const behind = commaAt(text, endOf(entry));
  const comma = behind ?? (before && commaAt(text, endOf(before)));
  const cuts = [[entry.offset, entry.length] as const, ...(comma === undefined ? [] : [[comma, 1] as const])];
  const rest = cuts.sort(([x], [y]) => y - x).reduce((cut, [at, length]) => put(cut, at, length, ''), text);
  const at = comma !== undefined && comma < entry.offset ? entry.offset - 1 : entry.offset;
  return withoutEntries(closed(rest, at), list, isGone);
}

/** Where the comma is that follows a place, comments between them left aside. */
function commaAt(text: string, place: number): number | undefined {
  const scanner = createScanner(text, true);
  scanner.setPosition(place);
  scanner.scan();
  return text[scanner.getTokenOffset()] === ',' ? scanner.getTokenOffset() : undefined;
}

/** The text without the gap at a place where something was taken out: an empty line, or blanks in one. */
function closed(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at - 1) + 1;
  const newline = text.indexOf('\n', at);
  const end = newline < 0 ? text.length : newline + 1;
  if (start > 0 && newline >= 0 && text.slice(start, end).trim() === '')
    return put(text, start, end - start, '');
  const before = /[ \t]*$/.exec(text.slice(start, at))?.[0].length ?? 0;
  const after = /^[ \t]*/.exec(text.slice(at))?.[0].length ?? 0;
  const isLast = text[at + after] === ']';
  return isLast ? put(text, at - before, before + after, '') : put(text, at, after, '');
}

function objectOf(text: string): Node {
  const root = parseTree(text, [], { allowTrailingComma: true });
  if (root?.type !== 'object') throw new TypeError('not the text of an object');
  return root;
}

const endOf = ({ offset, length }: Node): number => offset + length;

const put = (text: string, offset: number, length: number, content: string): string =>
  text.slice(0, offset) + content + text.slice(offset + length);

/** What stands before a node, so that another beside it looks alike: a new line with its indent, or a space. */
const gapBefore = (text: string, { offset }: Node): string =>
  /\r?\n[ \t]*$/.exec(text.slice(0, offset))?.[0] ?? ' ';

const eolOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n');

/** One step of the text's indent. */
const unitOf = (text: string): string => /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
