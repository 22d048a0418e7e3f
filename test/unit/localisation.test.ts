/** Every string that users see has its German one: contributed by package.json, in the code, in the walkthrough. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const texts = (file: string) => JSON.parse(read(file)) as Record<string, string>;

const manifest = JSON.parse(read('package.json')) as { contributes: { walkthroughs: Walkthrough[] } };
const english = texts('package.nls.json');
const german = texts('package.nls.de.json');
const bundle = texts('l10n/bundle.l10n.de.json');

interface Walkthrough {
  steps: {
    id: string;
    description: string;
    media: { markdown?: string; svg?: string };
    completionEvents: string[];
  }[];
}

/** Keys of package.json whose values are shown to users. */
const SHOWN =
  /^(title|name|description|markdownDescription|altText|displayName|shortTitle|contents)$|escriptions$/;
/** A name, also one that users type, is the same in every language. */
const NAME = /^(RepoWave|repowave|repo|explain|where|impact|trace|repowave_(ask|evidence))$/;

function* shown(value: unknown, key = ''): Generator<string> {
  if (typeof value === 'string' && SHOWN.test(key)) yield value;
  else if (Array.isArray(value)) for (const each of value as unknown[]) yield* shown(each, key);
  else if (value && typeof value === 'object')
    // What an input of a tool means is said to models, not to users.
    for (const [name, each] of Object.entries(value)) if (name !== 'inputSchema') yield* shown(each, name);
}

const placeholders = (text: string) => (text.match(/\{\d+\}/g) ?? []).sort();
const links = (text: string) => (text.match(/\(command:[^)]*\)/g) ?? []).sort();

test('every string of the manifest stands in the language files, in English and in German', () => {
  const raw = [...shown(manifest)].filter((text) => !/^%[\w.]+%$/.test(text) && !NAME.test(text));
  assert.deepEqual(raw, []);
  const used = [...new Set(read('package.json').match(/(?<="%)[\w.]+(?=%")/g))].sort();
  assert.deepEqual(Object.keys(english).sort(), used);
  assert.deepEqual(Object.keys(german).sort(), used);
});

test('a German string of the manifest is not empty and has the same links', () => {
  for (const [key, text] of Object.entries(german)) {
    assert.ok(text.trim(), key);
    assert.deepEqual(links(text), links(english[key] ?? ''), key);
  }
});

/** The first arguments of all `t(…)` and `l10n.t(…)` in a file. */
function translated(file: string): string[] {
  const found: string[] = [];
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!ts.isCallExpression(node) || !/(^|\bl10n\.)t$/.test(node.expression.getText(source))) return;
    const [text] = node.arguments;
    assert.ok(text && ts.isStringLiteralLike(text), `${file}: ${node.getText(source)} has no literal text`);
    found.push(text.text);
  };
  visit(source);
  return found;
}

const sources = readdirSync(path.join(root, 'extension'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && name !== 'l10n.ts')
  .map((name) => path.join(root, 'extension', name));

test('every string of the code has its German one, and no German one is without its string', () => {
  const used = new Set(sources.flatMap(translated));
  assert.ok(used.size > 50);
  assert.deepEqual(
    [...used].filter((text) => !(text in bundle)),
    [],
  );
  assert.deepEqual(
    Object.keys(bundle).filter((text) => !used.has(text)),
    [],
  );
});

test('a German string of the code has the same places for values', () => {
  for (const [key, text] of Object.entries(bundle)) {
    assert.ok(text.trim(), key);
    assert.deepEqual(placeholders(text), placeholders(key), key);
  }
});

test('the pictures and pages of the walkthrough exist, the pages in German as well', () => {
  for (const { steps } of manifest.contributes.walkthroughs) {
    for (const { media } of steps) {
      const file = media.markdown ?? media.svg ?? '';
      assert.ok(existsSync(path.join(root, file)), file);
      if (media.markdown) assert.ok(existsSync(path.join(root, file.replace(/md$/, 'nls.de.md'))), file);
    }
  }
});

test('every step of the walkthrough can be done: what ticks it off is in the code or among the commands', () => {
  const code = sources.map((file) => readFileSync(file, 'utf8')).join('\n');
  for (const { id, completionEvents } of manifest.contributes.walkthroughs.flatMap(({ steps }) => steps)) {
    assert.ok(completionEvents.length > 0, id);
    for (const event of completionEvents) {
      const [kind, name = ''] = event.split(':');
      const known = kind === 'onContext' ? name.replace('repowave.', '') : name;
      const place = kind === 'onContext' ? code : read('package.json');
      assert.ok(place.includes(known), event);
    }
  }
});
