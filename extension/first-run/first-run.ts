import * as vscode from 'vscode';
import type { ModelInfo } from '../../backend/protocol.ts';
import type { Chat } from '../chat/view.ts';
import type { BackendState, SessionEvent } from '../events.ts';
import { localFolders } from '../folders.ts';
import { chosenModel, isFile } from '../models/choice.ts';
import { modelSetting } from '../models/setting.ts';
import type { Session } from '../session.ts';
import { withRate } from './prediction.ts';
import type { Rates } from './prediction.ts';
import { welcomeOf } from './welcome.ts';
import type { WelcomeFacts } from './welcome.ts';

/** What is remembered on this machine, over all windows: for which setting the model was there, and the speeds. */
const MODEL_KEY = 'repowave.model';
const RATES_KEY = 'repowave.rates';

type ModelState = WelcomeFacts['model'];

export function registerFirstRun(extension: vscode.ExtensionContext, session: Session, chat: Chat): FirstRun {
  const firstRun = new FirstRun(extension.globalState, chat);
  extension.subscriptions.push(
    session.onEvent((event) => firstRun.update(event)),
    vscode.workspace.onDidChangeWorkspaceFolders(() => firstRun.show()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => firstRun.show()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('repowave.model')) firstRun.show();
    }),
  );
  firstRun.show();
  return firstRun;
}

/** What stands in the way of a first answer, for the welcome in the chat and for the steps of the walkthrough. */
export class FirstRun {
  readonly #changes = new vscode.EventEmitter<void>();
  readonly onChange = this.#changes.event;
  #backend: BackendState = 'stopped';

  constructor(
    private readonly memory: vscode.Memento,
    private readonly chat: Chat,
  ) {}

  get rates(): Rates {
    return this.memory.get<Rates>(RATES_KEY) ?? {};
  }

  /** Whether the model is known not to be on this machine. */
  get needsModel(): boolean {
    return this.#model() === 'absent';
  }

  update(event: SessionEvent): void {
    if (event.type === 'backend') {
      this.#backend = event.state;
      this.show();
    } else if (event.type === 'answered' || event.type === 'read') {
      void this.memory.update(RATES_KEY, withRate(this.rates, modelSetting(), event.result.timing));
      this.modelIs('ready');
      if (event.type === 'answered') this.reached('answered');
    }
  }

  modelsAre(models: readonly ModelInfo[]): void {
    if (!isFile(modelSetting())) this.modelIs(chosenModel(models, modelSetting())?.path ? 'ready' : 'absent');
  }

  modelIs(state: ModelState): void {
    if (this.#model() !== state) void this.memory.update(MODEL_KEY, { setting: modelSetting(), state });
    this.show();
  }

  /** Ticks off a step of the walkthrough. */
  reached(step: 'machineChecked' | 'modelReady' | 'answered'): void {
    void vscode.commands.executeCommand('setContext', `repowave.${step}`, true);
  }

  show(): void {
    const model = this.#model();
    if (model === 'ready') this.reached('modelReady');
    const facts = { folder: folderOf(), trusted: vscode.workspace.isTrusted, model, backend: this.#backend };
    this.chat.update({ type: 'welcome', welcome: welcomeOf(facts) });
    this.#changes.fire();
  }

  #model(): ModelState {
    const setting = modelSetting();
    const known = this.memory.get<{ setting: string; state: ModelState }>(MODEL_KEY);
    if (isFile(setting)) return 'ready';
    return known?.setting === setting ? known.state : 'unknown';
  }
}

function folderOf(): WelcomeFacts['folder'] {
  if (localFolders().length > 0) return 'local';
  return vscode.workspace.workspaceFolders?.length ? 'virtual' : 'none';
}
