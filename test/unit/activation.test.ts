import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import Module from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bundle = path.join(root, 'dist/extension.cjs');
const require = createRequire(import.meta.url);
const { contributes } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  contributes: { commands: { command: string }[] };
};

/** Something that can be called, made and looked into, and does nothing. */
function anything(known: Record<string, unknown> = {}): object {
  const made = () => anything();
  return new Proxy(function () {}, {
    get: (_, key) => (key in known ? known[key as string] : key === 'then' ? undefined : made()),
    set: () => true,
    apply: made,
    construct: made,
  });
}

test('activation loads nothing that speaks to the backend, and does without the chat of VS Code', () => {
  const commands: string[] = [];
  const vscode = anything({
    // What some relatives of VS Code lack.
    ...{ chat: undefined, lm: undefined },
    commands: anything({ registerCommand: (name: string) => commands.push(name) }),
    workspace: anything({
      ...{ workspaceFolders: undefined, textDocuments: [], isTrusted: true },
      getConfiguration: () => ({ get: () => undefined }),
    }),
    l10n: { bundle: undefined },
  });
  // The bundle copies what the module itself has, and inherits the rest.
  const found = Object.create(vscode) as object;
  const loader = Module as unknown as { _load: (name: string, ...rest: unknown[]) => unknown };
  const load = loader._load;
  const loaded: string[] = [];
  loader._load = (name, ...rest) => {
    loaded.push(name);
    return name === 'vscode' ? found : load.call(Module, name, ...rest);
  };
  try {
    const memory = { get: () => undefined, update: () => Promise.resolve() };
    const context = { subscriptions: [], workspaceState: memory, globalState: memory };
    const { activate } = require(bundle) as { activate: (context: object) => void };
    activate({ ...context, extensionUri: {}, extension: { packageJSON: { version: '0' } } });
  } finally {
    loader._load = load;
  }
  assert.deepEqual(commands.sort(), contributes.commands.map(({ command }) => command).sort());
  assert.doesNotMatch(readFileSync(bundle, 'utf8'), /node_modules\/(ws|vscode-languageclient)\//);
  assert.deepEqual(
    loaded.filter((name) => name.startsWith('.')),
    [],
  );
});
