/** What goes into a bug report: no contents of files, and the home folder's name is left out. Pure. */
import type { Check } from '../../backend/protocol.ts';

export interface Diagnostics {
  versions: Record<string, string>;
  /** Why there are none instead of them, when the backend cannot be asked. */
  checks: readonly Check[] | string;
  /** Those that differ from their defaults. */
  settings: Record<string, unknown>;
  errors: readonly string[];
}

/** Markdown, in English in any case: it is for those who read the report. */
export function diagnosticsReport({ versions, checks, settings, errors }: Diagnostics, home: string): string {
  const list = (lines: string[]) => (lines.length > 0 ? lines.map((line) => `- ${line}`) : ['- none']);
  const found =
    typeof checks === 'string'
      ? [checks]
      : checks.map(({ name, ok, detail }) => `${ok ? 'ok' : 'NOT OK'} ${name}: ${detail}`);
  const set = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const report = [
    '## RepoWave diagnostics',
    '',
    ...list(Object.entries(versions).map(([name, version]) => `${name}: ${version}`)),
    '',
    '### Checks',
    '',
    ...list(found),
    '',
    '### Settings that differ from their defaults',
    '',
    ...list(set),
    '',
    '### Last errors',
    '',
    ...list([...errors]),
    '',
  ].join('\n');
  return redact(report, home);
}

/** Replaces the home folder by `~`, however it is written: plain, with forward slashes, in JSON, in an address. */
export function redact(text: string, home: string): string {
  if (home.length < 2) return text;
  const slashes = home.replaceAll('\\', '/');
  const forms = [home, home.replaceAll('\\', '\\\\'), slashes, encodeURI(slashes)];
  return forms.reduce((result, form) => result.replaceAll(form, '~'), text);
}

interface Inspected {
  defaultValue?: unknown;
}

/** The settings whose value is not their default. */
export function changedSettings(
  names: readonly string[],
  get: (name: string) => unknown,
  inspect: (name: string) => Inspected | undefined,
): Record<string, unknown> {
  const changed = names.filter(
    (name) => JSON.stringify(get(name)) !== JSON.stringify(inspect(name)?.defaultValue),
  );
  return Object.fromEntries(changed.map((name) => [name, get(name)]));
}
