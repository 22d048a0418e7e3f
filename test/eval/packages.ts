/** Third-party repositories that questions are made of: fetched once by name and version, and checked. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { UserError } from '../../backend/errors.ts';
import { capture } from '../../scripts/children.mjs';

interface Pinned {
  registry: 'npm' | 'pypi';
  name: string;
  version: string;
  /** Of the archive. */
  sha256: string;
  /** The sources in it. */
  folders: string[];
}

/** About 30,000, 150,000 and 1,000,000 tokens. */
export const packages = {
  small: {
    ...{ registry: 'npm', name: 'preact', version: '10.26.0' },
    sha256: 'c156182dee82fc8a57b79d6a9acbc77e4ac09e66d0102913080f403276aa105a',
    folders: ['src', 'hooks/src', 'compat/src', 'debug/src', 'jsx-runtime/src'],
  },
  medium: {
    ...{ registry: 'pypi', name: 'werkzeug', version: '3.1.3' },
    sha256: '54b78bf3716d19a65be4fceccc0d1d7b89e608834989dfae50ea87564639213e',
    folders: ['werkzeug'],
  },
  large: {
    ...{ registry: 'npm', name: 'three', version: '0.180.0' },
    sha256: 'ad66d724565ee29a2467277fa84daa5ed0211d6b8d446e9ef29f6bae0cd14144',
    folders: ['src'],
  },
} satisfies Record<string, Pinned>;

export type Size = keyof typeof packages;

/** @returns the folder of a repository; it is there as a whole or not at all @throws UserError */
export async function fetchPackage(cache: string, size: Size): Promise<string> {
  const { registry, name, version, sha256, folders }: Pinned = packages[size];
  const folder = path.join(cache, `${name}-${version}`);
  if (fs.existsSync(folder)) return folder;
  fs.mkdirSync(cache, { recursive: true });
  const temporary = fs.mkdtempSync(path.join(cache, 'tmp-'));
  try {
    await run(...download(registry, name, version, temporary));
    const [archive = ''] = fs.readdirSync(temporary);
    const bytes = fs.readFileSync(path.join(temporary, archive));
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== sha256) {
      throw new UserError(
        'environment',
        `${name} ${version} is not the archive that the questions are made for (sha256 ${found}): name a tree with --repo.`,
      );
    }
    const unpacked = path.join(temporary, 'unpacked');
    fs.mkdirSync(unpacked);
    await run(...unpack(registry, path.join(temporary, archive), unpacked));
    const root = registry === 'npm' ? path.join(unpacked, 'package') : unpacked;
    const kept = path.join(temporary, 'kept');
    // Of a package, declarations say once more what its sources say.
    const filter = (file: string) => !file.endsWith('.d.ts');
    for (const part of folders)
      fs.cpSync(path.join(root, part), path.join(kept, part), { recursive: true, filter });
    fs.renameSync(kept, folder);
    return folder;
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

type Command = [command: string, ...args: string[]];

function download(registry: Pinned['registry'], name: string, version: string, to: string): Command {
  return registry === 'npm'
    ? ['npm', 'pack', `${name}@${version}`, '--pack-destination', to, '--loglevel=error']
    : ['pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', '-d', to, `${name}==${version}`];
}

function unpack(registry: Pinned['registry'], archive: string, to: string): Command {
  return registry === 'npm'
    ? ['tar', '-xzf', archive, '-C', to]
    : ['python3', '-m', 'zipfile', '-e', archive, to];
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { code, output } = await capture(command, args);
  if (code === 0) return;
  throw new UserError(
    'environment',
    `${command} ${args[0]} failed (${output.trim().split('\n').at(-1)}): name a tree with --repo.`,
  );
}
