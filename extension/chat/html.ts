import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { t } from '../l10n.ts';

/** The chat's page: our script and our style, nothing else may load or run. */
export function chatHtml(webview: vscode.Webview, extensionUri: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64');
  const asset = (name: string) =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', name)).toString();
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`;
  return `<!DOCTYPE html>
<html lang="${vscode.env.language}">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="stylesheet" href="${asset('chat.css')}">
    <title>RepoWave</title>
  </head>
  <body>
    <main id="transcript" role="log" aria-live="polite" aria-label="${t('Questions and answers')}" tabindex="-1"></main>
    <form id="composer">
      <div id="box">
        <textarea id="question" rows="1" aria-label="${t('Question about the repository')}"
          placeholder="${t('Ask the repository')}"></textarea>
        <button id="send" type="submit"></button>
      </div>
      <details id="scope" hidden><summary></summary><ul></ul></details>
    </form>
    <script type="application/json" id="l10n">${texts()}</script>
    <script nonce="${nonce}" src="${asset('chat.js')}"></script>
  </body>
</html>`;
}

/** The page's strings; no `<` may end the element that they stand in. */
const texts = (): string => JSON.stringify(vscode.l10n.bundle ?? {}).replaceAll('<', '\\u003c');
