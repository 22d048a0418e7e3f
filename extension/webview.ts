import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { showError } from './show-error.ts';

/** What a view shows: `name` is that of its script and style in `dist`, `body` is HTML. */
export interface Page<Message> {
  name: string;
  body: string;
  receive(message: Message, webview: vscode.Webview): Promise<void>;
  /** The view is hidden or closed. A hidden page is lost: when the view comes back it is loaded again. */
  gone(): void;
}

/** What goes wrong with a message is shown and logged. */
export function openPage<Message>(
  view: vscode.WebviewView,
  extensionUri: vscode.Uri,
  log: vscode.LogOutputChannel,
  page: Page<Message>,
): void {
  const { webview } = view;
  const assets = vscode.Uri.joinPath(extensionUri, 'dist');
  webview.options = { enableScripts: true, localResourceRoots: [assets] };
  webview.onDidReceiveMessage((message: Message) =>
    page.receive(message, webview).catch((error: unknown) => showError(error, log)),
  );
  view.onDidChangeVisibility(() => view.visible || page.gone());
  view.onDidDispose(() => page.gone());
  webview.html = htmlOf(webview, extensionUri, page);
}

/** A page of ours: its script and style are `dist/NAME.js` and `.css`, nothing else may load or run. */
function htmlOf(
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
