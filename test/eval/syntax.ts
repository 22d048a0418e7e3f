/** What a source file defines, calls and imports, by parsing it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as TreeSitter from '@vscode/tree-sitter-wasm';

export interface Definition {
  kind: 'function' | 'class';
  name: string;
  /** Of the whole definition in the text, and the end of its name. */
  start: number;
  nameEnd: number;
  end: number;
}

export interface Constant {
  name: string;
  /** Source of its value, which is a literal or made of some; and where it starts. */
  value: string;
  start: number;
}

export interface Facts {
  definitions: Definition[];
  constants: Constant[];
  /** Names called, and the function in which that happens. */
  calls: { name: string; inside: string }[];
  /** Names that import statements bring in. */
  imports: Set<string>;
}

/** Names of node types; the fields are tree-sitter's own: `name`, `function`, `value`. */
interface Grammar {
  wasm: string;
  /** In a Markdown fence. */
  fence: string;
  functions: string[];
  classes: string[];
  /** What sets a name to a value, and the fields of both. */
  constants: Record<string, [name: string, value: string]>;
  calls: string[];
  imports: string[];
}

const script: Grammar = {
  ...{ wasm: 'typescript', fence: 'ts' },
  functions: ['function_declaration', 'generator_function_declaration'],
  classes: ['class_declaration', 'abstract_class_declaration'],
  constants: { variable_declarator: ['name', 'value'] },
  calls: ['call_expression', 'new_expression'],
  imports: ['import_statement'],
};
const python: Grammar = {
  ...{ wasm: 'python', fence: 'python' },
  functions: ['function_definition'],
  classes: ['class_definition'],
  constants: { assignment: ['left', 'right'] },
  calls: ['call'],
  imports: ['import_from_statement'],
};
const go: Grammar = {
  ...{ wasm: 'go', fence: 'go' },
  functions: ['function_declaration', 'method_declaration'],
  classes: ['type_spec'],
  constants: { const_spec: ['name', 'value'] },
  calls: ['call_expression'],
  imports: ['import_spec'],
};
const rust: Grammar = {
  ...{ wasm: 'rust', fence: 'rust' },
  functions: ['function_item'],
  classes: ['struct_item', 'enum_item', 'trait_item'],
  constants: { const_item: ['name', 'value'] },
  calls: ['call_expression'],
  imports: ['use_declaration'],
};
const javascript: Grammar = { ...script, wasm: 'javascript', fence: 'js' };
const grammars: Record<string, Grammar> = {
  ...{ '.ts': script, '.mts': script, '.tsx': { ...script, wasm: 'tsx', fence: 'tsx' } },
  ...{ '.js': javascript, '.mjs': javascript, '.cjs': javascript, '.jsx': javascript },
  ...{ '.py': python, '.go': go, '.rs': rust },
};

/** Declarations alone hold no code to ask about. */
export function grammarOf(file: string): Grammar | undefined {
  return file.endsWith('.d.ts') ? undefined : grammars[path.extname(file)];
}

const require = createRequire(import.meta.url);
let runtime: Promise<typeof TreeSitter> | undefined;
const languages = new Map<string, Promise<TreeSitter.Language>>();

async function parserFor(wasm: string): Promise<TreeSitter.Parser> {
  runtime ??= (async () => {
    const loaded = require('@vscode/tree-sitter-wasm') as typeof TreeSitter;
    await loaded.Parser.init();
    return loaded;
  })();
  const { Parser, Language } = await runtime;
  const language =
    languages.get(wasm) ??
    Language.load(readFileSync(require.resolve(`@vscode/tree-sitter-wasm/wasm/tree-sitter-${wasm}.wasm`)));
  languages.set(wasm, language);
  const parser = new Parser();
  parser.setLanguage(await language);
  return parser;
}

/** @returns undefined for a file in none of the languages, or one that does not parse */
export async function factsOf(file: string, text: string): Promise<Facts | undefined> {
  const grammar = grammarOf(file);
  if (!grammar) return undefined;
  const parser = await parserFor(grammar.wasm);
  const tree = parser.parse(text);
  const facts: Facts = { definitions: [], constants: [], calls: [], imports: new Set() };
  if (tree && !tree.rootNode.hasError) visit(tree.rootNode, { grammar, facts, inside: undefined, depth: 0 });
  tree?.delete();
  parser.delete();
  return facts;
}

interface Visit {
  grammar: Grammar;
  facts: Facts;
  /** The innermost function with a name. */
  inside: string | undefined;
  /** Functions and classes around. */
  depth: number;
}

const identifier = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;
const nested = new Set(['class_body', 'statement_block', 'block', 'declaration_list']);

function visit(node: TreeSitter.Node, state: Visit): void {
  const { grammar, facts, inside, depth } = state;
  const name = node.childForFieldName('name');
  const kind = grammar.functions.includes(node.type)
    ? 'function'
    : grammar.classes.includes(node.type)
      ? 'class'
      : undefined;
  let within = inside;
  if (kind && name) {
    facts.definitions.push({
      ...{ kind, name: name.text, start: node.startIndex, nameEnd: name.endIndex, end: node.endIndex },
    });
    if (kind === 'function') within = name.text;
  }
  const constant = grammar.constants[node.type];
  if (constant && depth === 0) addConstant(node, constant, facts);
  if (grammar.calls.includes(node.type) && inside !== undefined) {
    const called = (node.childForFieldName('function') ?? node.childForFieldName('constructor'))?.text;
    if (called !== undefined && identifier.test(called)) facts.calls.push({ name: called, inside });
  }
  if (grammar.imports.includes(node.type)) {
    for (const [word] of node.text.matchAll(/[\p{L}_$][\p{L}\p{N}_$]*/gu)) facts.imports.add(word);
  }
  const next = { grammar, facts, inside: within, depth: depth + (nested.has(node.type) ? 1 : 0) };
  for (const child of node.namedChildren) if (child) visit(child, next);
}

/** Names that are declared constant or written in capitals: others may be set to something else later. */
function addConstant(node: TreeSitter.Node, [nameField, valueField]: [string, string], facts: Facts): void {
  const name = node.childForFieldName(nameField);
  const value = node.childForFieldName(valueField);
  if (!name || !value || name.text.length < 4) return;
  if (!/^_?[A-Z][A-Z0-9_]+$/.test(name.text) && !/^const\b/.test(node.parent?.text ?? '')) return;
  if (
    /^[\w"'.:/ <>|()+*%-]{1,60}$/.test(value.text) &&
    /[0-9"']/.test(value.text) &&
    !/\(\)/.test(value.text)
  )
    facts.constants.push({ name: name.text, value: value.text, start: value.startIndex });
}
