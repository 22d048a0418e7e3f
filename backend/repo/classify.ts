/** Which files are not worth a model's reading, by name and by content, and why. Pure. */

const LOCK_FILES = new Set([
  'package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml', 'bun.lock', 'bun.lockb', 'deno.lock',
  'composer.lock', 'Gemfile.lock', 'Cargo.lock', 'poetry.lock', 'Pipfile.lock', 'pdm.lock', 'uv.lock', 'pixi.lock',
  'conda-lock.yml', 'go.sum', 'go.work.sum', 'flake.lock', 'mix.lock', 'pubspec.lock', 'Podfile.lock',
  'Package.resolved', 'Cartfile.resolved', 'packages.lock.json', 'gradle.lockfile', 'buildscript-gradle.lockfile',
  'conan.lock', 'MODULE.bazel.lock', '.terraform.lock.hcl', 'Chart.lock', 'rebar.lock', 'stack.yaml.lock',
]); // prettier-ignore

const MINIFIED = /[.-]min\.(?:js|mjs|cjs|css|html|json)$/i;
const SOURCE_MAP = /\.(?:js|mjs|cjs|css|ts)\.map$/i;
const GENERATED =
  /(?:\.pb\.(?:go|cc|h|swift)|_pb2(?:_grpc)?\.pyi?|_pb\.(?:js|d\.ts|rb)|\.g\.(?:dart|cs)|\.freezed\.dart|\.designer\.(?:cs|vb)|\.generated\.\w+)$/i;

/** Why a file is left out for its name alone. */
export function excludedByName(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (LOCK_FILES.has(name)) return 'lock file';
  if (MINIFIED.test(name)) return 'minified';
  if (SOURCE_MAP.test(name)) return 'generated: source map';
  if (GENERATED.test(name)) return 'generated: by its name';
  return undefined;
}

/** Bytes of the first line of a Git LFS pointer, which stands for a file that is not here. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/';
/** Nobody writes such lines by hand: minified code, data, or an embedded picture. In UTF-16 units. */
const LONGEST_LINE = 5_000;
const LONGEST_MEAN_LINE = 500;

/** Why a file is left out for its text, secrets aside. */
export function excludedByText(text: string): string | undefined {
  if (text.trim() === '') return 'empty';
  if (text.startsWith(LFS_POINTER)) return 'Git LFS pointer, the content is not here';
  if (saysGenerated(text)) return 'generated: its header says so';
  if (hasAbsurdLines(text)) return 'minified or data: very long lines';
  return undefined;
}

const COMMENT =
  /^\s*(?:\/\/|\/\*|\*|#(?!\s*(?:include|import|define|undef|if|ifdef|ifndef|pragma)\b)|--|<!--|;|%|"""|'''|\(\*|\{-|REM\b)/;

/** Only a comment at the very top counts: code that merely mentions the marker is read. */
function saysGenerated(text: string): boolean {
  const head: string[] = [];
  for (const line of text.slice(0, 4_096).split('\n')) {
    if (!COMMENT.test(line) && line.trim() !== '' && !inBlockComment(head)) break;
    head.push(line);
  }
  const header = head.join('\n');
  if (/@generated\b|\bDO NOT EDIT\b/.test(header)) return true;
  return /generated/i.test(header) && /\bdo not (?:edit|modify)\b/i.test(header);
}

/** Whether these lines leave a C or HTML comment open. */
function inBlockComment(lines: string[]): boolean {
  const text = lines.join('\n');
  return (
    text.lastIndexOf('/*') > text.lastIndexOf('*/') || text.lastIndexOf('<!--') > text.lastIndexOf('-->')
  );
}

function hasAbsurdLines(text: string): boolean {
  let lines = 0;
  for (let start = 0; start < text.length; lines++) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    if (end - start > LONGEST_LINE) return true;
    start = end + 1;
  }
  return text.length > LONGEST_LINE && text.length / lines > LONGEST_MEAN_LINE;
}
