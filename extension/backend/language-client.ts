/**
 * The library that speaks to the backend: a megabyte of code, which is bundled into a file of its own and loaded with
 * the first request. Nothing of ours that has a state may be imported here: there would be two of it.
 */
import { LanguageClient } from 'vscode-languageclient/node';

export { CloseAction, ErrorAction, RevealOutputChannelOn } from 'vscode-languageclient/node';

/** The client's own error messages go to the log: what users see is ours. */
export class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}
