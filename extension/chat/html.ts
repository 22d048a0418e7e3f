import { t } from '../l10n.ts';

/** The chat's page. */
export const chatBody =
  (): string => `<main id="transcript" role="log" aria-live="polite" aria-label="${t('Questions and answers')}" tabindex="-1"></main>
    <form id="composer">
      <div id="box">
        <textarea id="question" rows="1" aria-label="${t('Question about the repository')}"
          placeholder="${t('Ask the repository')}"></textarea>
        <button id="send" type="submit"></button>
      </div>
      <details id="scope" hidden><summary></summary><ul></ul></details>
    </form>`;
