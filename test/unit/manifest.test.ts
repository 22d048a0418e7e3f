import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '../../extension/commands.ts';
import { readSettings } from '../../extension/settings.ts';

interface Manifest {
  icon: string;
  enabledApiProposals?: string[];
  engines: { vscode: string };
  devDependencies: Record<string, string>;
  capabilities: { untrustedWorkspaces: { supported: string; restrictedConfigurations: string[] } };
  contributes: {
    commands: { command: string; title: string; category: string }[];
    keybindings: { command: string }[];
    menus: Record<string, { command: string }[]>;
    viewsContainers: Record<string, { icon: string }[]>;
    configuration: {
      properties: Record<string, { default: unknown; scope: string; markdownDescription: string }>;
    };
  };
}

const root = new URL('../../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Manifest;
const { contributes } = manifest;
const settings = contributes.configuration.properties;

test('every command of the manifest is handled, and the other way round', () => {
  const contributed = contributes.commands.map(({ command }) => command);
  assert.deepEqual(contributed.sort(), Object.keys(commands).sort());
});

test('every command has a title and the product as its category', () => {
  for (const { command, title, category } of contributes.commands) {
    assert.ok(title.length > 2, command);
    assert.equal(category, 'RepoWave', command);
  }
});

test('key bindings and menus name commands that exist', () => {
  for (const { command } of [...contributes.keybindings, ...Object.values(contributes.menus).flat()]) {
    assert.ok(command in commands, command);
  }
});

test('the settings of the manifest are those that the code reads, with an explanation and a scope', () => {
  const read: string[] = [];
  readSettings({
    get: (name: string) => {
      read.push(`repowave.${name}`);
      return undefined;
    },
  });
  assert.deepEqual(read.sort(), Object.keys(settings).sort());
  for (const [name, { scope, markdownDescription }] of Object.entries(settings)) {
    assert.ok(scope && markdownDescription, name);
  }
});

test('a folder that is not trusted cannot choose the model file', () => {
  const { supported, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
  assert.equal(supported, 'limited');
  assert.deepEqual(restrictedConfigurations, ['repowave.model']);
});

test('no proposed API: none is enabled, and the types are those of the oldest VS Code that is supported', () => {
  assert.equal(manifest.enabledApiProposals, undefined);
  assert.equal(manifest.engines.vscode, `^${manifest.devDependencies['@types/vscode']}`);
});

test('the pictures that the manifest names exist', () => {
  const icons = Object.values(contributes.viewsContainers)
    .flat()
    .map(({ icon }) => icon);
  for (const file of [manifest.icon, ...icons]) assert.ok(existsSync(new URL(file, root)), file);
});
