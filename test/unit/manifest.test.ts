import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { HEAT_LEVELS, HEAT_MAP } from '../../extension/evidence/model.ts';
import { readSettings } from '../../extension/settings.ts';
import { COMMANDS } from '../../extension/vscode-chat/prompts.ts';

interface Setting {
  default: unknown;
  scope: string;
  markdownDescription: string;
}

interface Manifest {
  icon: string;
  enabledApiProposals?: string[];
  engines: { vscode: string };
  devDependencies: Record<string, string>;
  capabilities: { untrustedWorkspaces: { supported: string; restrictedConfigurations: string[] } };
  contributes: {
    commands: { command: string; title: string; category: string }[];
    keybindings: { command: string }[];
    menus: Record<string, { command: string; when?: string }[]>;
    chatParticipants: { id: string; commands: { name: string }[] }[];
    languageModelTools: { name: string }[];
    languageModelChatProviders: { vendor: string }[];
    viewsContainers: Record<string, { icon: string }[]>;
    colors: { id: string }[];
    views: Record<string, { id: string }[]>;
    viewsWelcome: { view: string }[];
    configuration: { title: string; properties: Record<string, Setting> }[];
  };
}

const root = new URL('../../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Manifest;
const { contributes } = manifest;
const groups = contributes.configuration;
const settings = Object.assign({}, ...groups.map(({ properties }) => properties)) as Record<string, Setting>;
/** Read from the source: what commands do needs VS Code. */
const commands = Array.from(
  readFileSync(new URL('extension/commands.ts', root), 'utf8').matchAll(/^ {2}'(repowave\.[\w.]+)':/gm),
  ([, name = '']) => name,
);

test('every command of the manifest is handled, and the other way round', () => {
  const contributed = contributes.commands.map(({ command }) => command);
  assert.deepEqual(contributed.sort(), [...commands].sort());
});

test('every command has a title and the product as its category', () => {
  for (const { command, title, category } of contributes.commands) {
    assert.ok(title.length > 2, command);
    assert.equal(category, 'RepoWave', command);
  }
});

test('key bindings and menus name commands that exist', () => {
  for (const { command } of [...contributes.keybindings, ...Object.values(contributes.menus).flat()]) {
    assert.ok(commands.includes(command), command);
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
  // The editors' heat map asks for its setting by itself.
  read.push(`repowave.${HEAT_MAP}`);
  // Which backend is asked is no matter of a repository.
  read.push('repowave.backend.url');
  assert.deepEqual(read.sort(), Object.keys(settings).sort());
  for (const [name, { scope, markdownDescription }] of Object.entries(settings)) {
    assert.ok(scope && markdownDescription, name);
  }
});

test('the settings are few, in five groups', () => {
  assert.equal(groups.length, 5);
  assert.ok(Object.keys(settings).length <= 20);
});

test('a folder that is not trusted cannot choose the model file, nor where questions go', () => {
  const { supported, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
  assert.equal(supported, 'limited');
  assert.deepEqual(restrictedConfigurations, ['repowave.model', 'repowave.backend.url']);
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

test('the heat map has a colour for each of its levels, for its bar and for what was edited', () => {
  const levels = Array.from({ length: HEAT_LEVELS }, (_, level) => `repowave.heat${level}`);
  const colours = contributes.colors.map(({ id }) => id).filter((id) => id.startsWith('repowave.heat'));
  assert.deepEqual(colours.sort(), [...levels, 'repowave.heatBorder', 'repowave.heatEdited'].sort());
});

test('a welcome is for a view that there is', () => {
  const views = Object.values(contributes.views).flatMap((list) => list.map(({ id }) => id));
  for (const { view } of contributes.viewsWelcome) assert.ok(views.includes(view), view);
});

/** The menus of ours, all of them stable. https://code.visualstudio.com/api/references/contribution-points#contributes.menus */
const STABLE_MENUS = [
  ...[
    'commandPalette',
    'comments/comment/context',
    'comments/comment/title',
    'comments/commentThread/context',
  ],
  ...[
    'comments/commentThread/title',
    'editor/context',
    'editor/title',
    'explorer/context',
    'view/item/context',
  ],
  ...['view/title'],
];

test('no menu is a proposed one', () => {
  const proposed = Object.keys(contributes.menus).filter((menu) => !STABLE_MENUS.includes(menu));
  assert.deepEqual(proposed, []);
});

test('every command can be reached: nothing hides one from the palette that no menu offers', () => {
  const hidden = (contributes.menus.commandPalette ?? [])
    .filter(({ when }) => when === 'false')
    .map(({ command }) => command);
  const offered = Object.entries(contributes.menus)
    .filter(([menu]) => menu !== 'commandPalette')
    .flatMap(([, items]) => items.map(({ command }) => command));
  assert.deepEqual(
    hidden.filter((command) => !offered.includes(command)),
    [],
  );
});

test('participant, tools and model of the manifest are those that the code registers', () => {
  const code = (file: string) => readFileSync(new URL(`extension/vscode-chat/${file}`, root), 'utf8');
  const [participant] = contributes.chatParticipants;
  assert.match(code('participant.ts'), new RegExp(`'${participant?.id}'`));
  assert.deepEqual(
    participant?.commands.map(({ name }) => name),
    [...COMMANDS],
  );
  for (const { name } of contributes.languageModelTools)
    assert.match(code('tools.ts'), new RegExp(`'${name}'`));
  const vendors = contributes.languageModelChatProviders.map(({ vendor }) => vendor);
  assert.match(code('provider.ts'), new RegExp(`VENDOR = '${vendors.join()}'`));
});

test('a page of ours is small: chart library and all, below 150 kB', async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('extension/insights/web/main.ts', root))],
    ...{ bundle: true, minify: true, write: false, format: 'iife', outdir: 'out' },
  });
  const bytes = outputFiles.reduce((sum, { contents }) => sum + contents.length, 0);
  assert.ok(bytes < 150_000, `${bytes} bytes`);
});
