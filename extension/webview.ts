import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** A page of ours: its script and style are `dist/NAME.js` and `.css`, nothing else may load or run. */
export function webviewHtml(
  webview: vscode.Webview,
  extensionUri: vscode.Uri,
  { name, body }: { name: string; body: string },
): string {
  const nonce = randomBytes(16).toString('base64');
  const asset = (file: string) =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', file)).toString();
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`;
  return `<!DOCTYPE html>
<html lang="${vscode.env.language}">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="stylesheet" href="${asset(`${name}.css`)}">
    <title>RepoWave</title>
  </head>
  <body>
    ${body}
    <script type="application/json" id="l10n">${texts()}</script>
    <script nonce="${nonce}" src="${asset(`${name}.js`)}"></script>
  </body>
</html>`;
}

/** The page's strings; no `<` may end the element that they stand in. */
const texts = (): string => JSON.stringify(vscode.l10n.bundle ?? {}).replaceAll('<', '\\u003c');
