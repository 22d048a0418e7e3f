/** What an empty chat says: what is missing, and the way on. Pure. */
import type { Command } from '../commands.ts';
import type { BackendState } from '../events.ts';
import { t } from '../l10n.ts';

export interface WelcomeFacts {
  folder: 'local' | 'virtual' | 'none';
  trusted: boolean;
  /** Whether the chosen model is on this machine, as far as is known without starting the backend. */
  model: 'unknown' | 'ready' | 'absent';
  backend: BackendState;
}

export type WelcomeCommand = Command | 'workbench.action.files.openFolder' | 'workbench.trust.manage';

export interface Welcome {
  heading: string;
  text: string;
  /** Whether questions are suggested. */
  suggestions: boolean;
  /** Buttons, the one to press first. */
  actions: { label: string; command: WelcomeCommand }[];
}

export function welcomeOf({ folder, trusted, model, backend }: WelcomeFacts): Welcome {
  if (folder !== 'local') return noFolder(folder);
  if (backend === 'failed') return stopped();
  if (model === 'absent') return noModel();
  if (!trusted) return untrusted();
  return {
    heading: t('Ask the repository'),
    text: t(
      'It reads every file of this folder with a model on your own machine, and answers with the lines that the answer rests on.',
    ),
    suggestions: true,
    actions: model === 'unknown' ? [{ label: t('Get Started'), command: 'repowave.getStarted' }] : [],
  };
}

function noFolder(folder: 'virtual' | 'none'): Welcome {
  return {
    heading: t('Open a folder'),
    text:
      folder === 'none'
        ? t('RepoWave answers questions about a folder: please open one.')
        : t(
            'RepoWave reads the files of a folder on disk, and this folder is on none: please open one that is.',
          ),
    suggestions: false,
    actions: [
      { label: t('Open Folder'), command: 'workbench.action.files.openFolder' },
      { label: t('Get Started'), command: 'repowave.getStarted' },
    ],
  };
}

function stopped(): Welcome {
  return {
    heading: t('The backend has stopped'),
    text: t('It could not be started, or ended again and again. The log tells why.'),
    suggestions: false,
    actions: [
      { label: t('Restart Backend'), command: 'repowave.restart' },
      { label: t('Show Log'), command: 'repowave.showLog' },
      { label: t('Copy Diagnostics'), command: 'repowave.copyDiagnostics' },
    ],
  };
}

function noModel(): Welcome {
  return {
    heading: t('Choose a model'),
    text: t('A model reads and answers on your own machine, and it is not there yet.'),
    suggestions: false,
    actions: [
      { label: t('Select Model…'), command: 'repowave.selectModel' },
      { label: t('Get Started'), command: 'repowave.getStarted' },
    ],
  };
}

function untrusted(): Welcome {
  return {
    heading: t('Ask the repository'),
    text: t(
      'You do not trust this folder: RepoWave reads its files and answers, and ignores the model that its settings name.',
    ),
    suggestions: true,
    actions: [{ label: t('Manage Workspace Trust'), command: 'workbench.trust.manage' }],
  };
}
