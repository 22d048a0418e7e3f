/** A backend on another machine, or started by hand: `npm start -- serve`. */
import { t } from '../l10n.ts';
import type { BackendProcess } from './process.ts';
import { openStream, Refused } from './stream.ts';

/** Why a backend elsewhere cannot be asked, with a sentence for the user. */
export class RemoteRefused extends Error {}

/**
 * Connects to the backend at an address like `ws://gpu-box:7777`.
 * @throws RemoteRefused
 */
export async function attachTo(url: string, token: string | undefined): Promise<BackendProcess> {
  if (!/^wss?:\/\/./.test(url)) {
    throw new RemoteRefused(
      t('The setting repowave.backend.url is no address like ws://machine:7777: please correct it.'),
    );
  }
  if (!token) {
    throw new RemoteRefused(
      t('The backend at {0} wants a token: enter the one that it printed when it was started.', url),
    );
  }
  try {
    const { stream, closed } = await openStream(url, token);
    const release = () => void stream.destroy();
    // It is not ours to end.
    return {
      name: url,
      stream,
      ended: closed.then(() => t('the connection was closed')),
      release,
      kill: release,
    };
  } catch (error) {
    throw new RemoteRefused(refusal(url, error), { cause: error });
  }
}

function refusal(url: string, error: unknown): string {
  if (error instanceof Refused) {
    return error.status === 401
      ? t('The backend at {0} refuses the token: enter the one that it printed when it was started.', url)
      : t(
          'What answers at {0} is no RepoWave backend ({1}): check the setting repowave.backend.url.',
          url,
          error.message,
        );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return t(
    'Nobody answers at {0} ({1}): run `repowave serve` there, or clear the setting repowave.backend.url.',
    url,
    reason,
  );
}
