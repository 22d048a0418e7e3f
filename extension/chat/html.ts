import type * as vscode from 'vscode';
import { t } from '../l10n.ts';
import { webviewHtml } from '../webview.ts';

/** The chat's page. */
export function chatHtml(webview: vscode.Webview, extensionUri: vscode.Uri): string {
  const body = `<main id="transcript" role="log" aria-live="polite" aria-label="${t('Questions and answers')}" tabindex="-1"></main>
    <form id="composer">
      <div id="box">
        <textarea id="question" rows="1" aria-label="${t('Question about the repository')}"
          placeholder="${t('Ask the repository')}"></textarea>
        <button id="send" type="submit"></button>
      </div>
      <details id="scope" hidden><summary></summary><ul></ul></details>
    </form>`;
  return webviewHtml(webview, extensionUri, { name: 'chat', body });
}
