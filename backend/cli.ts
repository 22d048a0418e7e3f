/** The command line. It speaks to the same backend process, over the same protocol, as the extension does. */
import { once } from 'node:events';
import path from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { Client, startBackend, type BackendProcess } from './client.ts';
import { UserError } from './errors.ts';
import {
  DoctorRequest,
  DownloadRequest,
  ErrorCode,
  LISTEN_VARIABLE,
  ModelsRequest,
  PruneRequest,
  StoreRequest,
  TOKEN_VARIABLE,
  type GpuMode,
  type KvForm,
  type Mode,
  type RepositoryParams,
} from './protocol.ts';
import { parseAddress } from './server/listen.ts';
import { readQuestions, requireFiles, runAsk, runIndex } from './terminal/ask.ts';
import { PhaseDisplay } from './terminal/phases.ts';
import { doctorReport, modelsReport } from './terminal/report.ts';
import { gateParams, type GateOptions } from './terminal/gate.ts';
import { parseSize } from './terminal/sizes.ts';
import { pruneReport, runVerify, sizeReport, storeReport } from './terminal/store.ts';
import { painter, printable } from './terminal/text.ts';

interface JsonOption {
  json?: true;
}

interface RepositoryOptions extends JsonOption {
  repo?: string;
  model?: string;
  mode?: Mode;
  kv?: KvForm;
  ram?: string;
  gpu?: GpuMode;
  gpuMemory?: string;
  disk?: string;
  focus: string[];
  include: string[];
  exclude: string[];
}

/** Ctrl+C. */
const interrupted = new AbortController();
let backend: BackendProcess | undefined;

function program(): Command {
  const root = new Command('repowave')
    .description('Ask a whole repository, and get answers with evidence. Local and private.')
    .version(manifest.version)
    .exitOverride();
  gateOptions(repositoryOptions(root.command('ask').argument('[question]')))
    .description('answer a question about a repository')
    .option('--questions <file>', 'a file of {"id","question"} lines, answered one by one')
    .action(ask);
  repositoryOptions(root.command('index'))
    .description('read a repository into the store, so that questions start at once')
    .option('--verbose', 'name every file that is left out')
    .action(index);
  root
    .command('serve')
    .description('run the backend for other clients, until Ctrl+C')
    .option('--listen <host:port>', 'where to listen; by default on this machine only, on a free port')
    .action(serve);
  jsonOption(root.command('models'))
    .description('list the models')
    .option('--download <id>', 'fetch this one first')
    .option('--accept-licence', 'fetch it though its licence is not open source: you have read and accept it')
    .action(models);
  storeCommands(root.command('store'));
  jsonOption(root.command('doctor')).description('check that everything needed is there').action(doctor);
  return root;
}

function jsonOption(command: Command): Command {
  return command.option('--json', 'nothing but JSON on stdout');
}

const collect = (value: string, all: string[]) => [...all, value];

function repositoryOptions(command: Command): Command {
  return jsonOption(command)
    .option('--repo <dir>', 'the repository (default: this folder)')
    .option('--model <id|path>', 'a model of `repowave models`, or a GGUF file')
    .addOption(new Option('--mode <mode>', 'how to attend').choices(['auto', 'exact', 'wave']))
    .addOption(
      new Option(
        '--kv <form>',
        'how what was read is stored: as computed (f16, default), or in little more than half of the bytes (q8)',
      ).choices(['f16', 'q8']),
    )
    .option('--ram <size>', 'the most memory for the repository, like 8GB')
    .addOption(
      new Option('--gpu <how>', 'let a GPU compute what it can: auto, or off (default)').choices([
        'auto',
        'off',
      ]),
    )
    .option('--gpu-memory <size>', "the most of the GPU's memory for the repository")
    .option(
      '--disk <size>',
      'the most that the store may take (default: half of what it has and what is free)',
    )
    .option(
      '--focus <path>',
      'a file that you work on: it and its imports are read early (repeatable)',
      collect,
      [],
    )
    .option('--include <glob>', 'read only these files (.gitignore syntax, repeatable)', collect, [])
    .option('--exclude <glob>', 'leave these files out (.gitignore syntax, repeatable)', collect, []);
}

function gateOptions(command: Command): Command {
  return command
    .option('--gate <auto|off|K>', 'how many segments get full attention: as the question needs, all, or K')
    .addOption(
      new Option('--others <how>', 'what becomes of the other segments').choices(['estimate', 'mask']),
    )
    .option('--pin <path>', 'a file or folder to look at closely in any case (repeatable)', collect, [])
    .option('--drop <path>', 'a file or folder not to look at (repeatable)', collect, [])
    .option('--budget <percent>', 'how much of long text is attended exactly (default: 2)')
    .option('--no-estimate', 'leave out what is not attended exactly, instead of estimating it')
    .addOption(
      new Option(
        '--late <how>',
        'what becomes of text that is still on the disk when it is needed: wait for it (default), or estimate it',
      ).choices(['wait', 'estimate']),
    )
    .addOption(
      new Option(
        '--wait <how>',
        'what to read before the answer: what it needs, everything, or nothing',
      ).choices(['auto', 'all', 'none']),
    );
}

/** A path as the user meant it: `npm start` runs in the package's folder and hands over the user's own. */
function fromCaller(file: string): string {
  return path.resolve(process.env.REPOWAVE_CWD ?? '.', file);
}

function repositoryParams(options: RepositoryOptions): RepositoryParams {
  const { repo, model, mode, kv, ram, gpu, gpuMemory, disk, focus, include, exclude } = options;
  const isPath = model !== undefined && (/[/\\]/.test(model) || model.endsWith('.gguf'));
  const root = repo === undefined ? process.cwd() : fromCaller(repo);
  requireFiles(focus, root);
  return {
    root,
    model: isPath ? fromCaller(model) : model,
    mode,
    kv,
    include,
    exclude,
    ramBytes: ram === undefined ? undefined : parseSize(ram),
    gpu,
    gpuBytes: gpuMemory === undefined ? undefined : parseSize(gpuMemory),
    diskBytes: disk === undefined ? undefined : parseSize(disk),
    focus,
  };
}

async function ask(
  question: string | undefined,
  options: RepositoryOptions & GateOptions & { questions?: string },
): Promise<void> {
  if ((question === undefined) === (options.questions === undefined)) {
    throw new UserError(
      'usage',
      'Nothing to ask, or too much: give either a question in quotes or --questions FILE.',
    );
  }
  const questions = options.questions
    ? await readQuestions(fromCaller(options.questions))
    : [{ id: '1', question: question ?? '' }];
  const params = { ...repositoryParams(options), ...gateParams(options) };
  const how = { json: options.json ?? false, signal: interrupted.signal };
  await withClient(async (client) => {
    process.exitCode = await runAsk(client, questions, params, how);
  });
}

async function index(options: RepositoryOptions & { verbose?: true }): Promise<void> {
  const params = repositoryParams(options);
  const how = { json: options.json ?? false, verbose: options.verbose ?? false, signal: interrupted.signal };
  await withClient((client) => runIndex(client, params, how));
}

async function serve({ listen }: { listen?: string }): Promise<void> {
  const token = process.env[TOKEN_VARIABLE];
  if (listen !== undefined) parseAddress(listen);
  backend = await startBackend({ token, env: listen === undefined ? {} : { [LISTEN_VARIABLE]: listen } });
  if (!token) process.stderr.write(`The token of its clients: ${backend.token}\n`);
  process.stdout.write(`${JSON.stringify(backend.handshake)}\n`);
  interrupted.signal.addEventListener('abort', () => backend?.child.kill('SIGTERM'));
  const [code] = (await once(backend.child, 'exit')) as [number | null];
  if (!interrupted.signal.aborted) process.exitCode = code ?? ErrorCode.internal;
}

async function models(options: JsonOption & { download?: string; acceptLicence?: true }): Promise<void> {
  const { download, acceptLicence, json } = options;
  await withClient(async (client) => {
    const display = new PhaseDisplay();
    if (download !== undefined) {
      await client
        .request(
          DownloadRequest,
          { id: download, acceptLicence },
          {
            signal: interrupted.signal,
            onProgress: (value) => value.kind === 'phase' && display.show(value),
          },
        )
        .finally(() => display.clear());
    }
    const all = await client.request0(ModelsRequest, { signal: interrupted.signal });
    print(json, all, modelsReport(all, painter(process.stdout)));
  });
}

function storeCommands(store: Command): void {
  const { signal } = interrupted;
  store.description('look after what is stored');
  jsonOption(store.command('list', { isDefault: true }))
    .description('say what the store holds, by repository')
    .action(({ json }: JsonOption) =>
      withClient(async (client) => {
        const report = await client.request0(StoreRequest, { signal });
        print(json, report, storeReport(report, painter(process.stdout)));
      }),
    );
  jsonOption(store.command('size'))
    .description('say how much it takes, and how much it may take')
    .action(({ json }: JsonOption) =>
      withClient(async (client) => {
        const { bytes, limitBytes, unneededBytes } = await client.request0(StoreRequest, { signal });
        const sizes = { bytes, limitBytes, unneededBytes };
        print(json, sizes, sizeReport(sizes));
      }),
    );
  jsonOption(store.command('verify'))
    .description('check that all files are whole')
    .option('--deep', 'check every byte')
    .action(({ json, deep }: JsonOption & { deep?: true }) =>
      withClient(async (client) => {
        process.exitCode = await runVerify(client, { deep }, { json: json ?? false, signal });
      }),
    );
  jsonOption(store.command('prune'))
    .description('clear away what no repository needs')
    .option('--disk <size>', 'and what was not in use for longest, until the store takes no more than this')
    .option('--dry-run', 'only say what would go')
    .action(({ json, disk, dryRun }: JsonOption & { disk?: string; dryRun?: true }) => {
      const params = { dryRun, diskBytes: disk === undefined ? undefined : parseSize(disk) };
      return withClient(async (client) => {
        const report = await client.request(PruneRequest, params, { signal });
        print(json, report, pruneReport(report, dryRun ?? false));
      });
    });
}

async function doctor({ json }: JsonOption): Promise<void> {
  await withClient(async (client) => {
    const checks = await client.request0(DoctorRequest, { signal: interrupted.signal });
    print(json, checks, doctorReport(checks));
    if (checks.some((check) => !check.ok)) process.exitCode = ErrorCode.environment;
  });
}

function print(json: true | undefined, value: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : text);
}

async function withClient(work: (client: Client) => Promise<void>): Promise<void> {
  backend = await startBackend();
  let client: Client | undefined;
  try {
    client = await Client.connect(backend.handshake.port, backend.token);
    await work(client);
  } finally {
    client?.close();
    // The end of its stdin is the backend's signal to go.
    backend.child.stdin?.end();
  }
}

/** Under npm one Ctrl+C arrives twice: from the terminal and from npm. */
const sameInterruptMs = 300;
let interruptedAt = 0;

/** The first Ctrl+C cancels in an orderly way, the second ends everything. */
function onInterrupt(): void {
  if (!interrupted.signal.aborted) {
    interruptedAt = performance.now();
    interrupted.abort();
  } else if (performance.now() - interruptedAt > sameInterruptMs) {
    backend?.child.kill('SIGKILL');
    process.exit(ErrorCode.cancelled);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ErrorCode.usage;
  const known = error instanceof UserError;
  const reason = error instanceof Error ? error.message : String(error);
  const text = known ? reason : `Something went wrong that should not: ${reason}. Please report it.`;
  process.stderr.write(`${printable(text)}\n`);
  return known ? ErrorCode[error.code] : ErrorCode.internal;
}

process.on('SIGINT', onInterrupt);
// The reader of a pipe may have seen enough.
process.stdout.on('error', () => process.exit());
const repowave = program();
// Commander takes a missing command for an error.
if (process.argv.length <= 2) repowave.outputHelp();
else
  repowave.parseAsync().catch((error: unknown) => {
    process.exitCode = exitCodeOf(error);
  });
