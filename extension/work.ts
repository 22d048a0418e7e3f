import * as vscode from 'vscode';
import type { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { Ctx } from './ctx.ts';
import { percent, progressFigures } from './format.ts';

type Request<P, R, E> = RequestType<P, R, E> | RequestType0<R, E>;

/**
 * Has the backend do something for a command, with a notification that shows how far it is and can cancel it; `quiet`,
 * for what takes a moment only, the status bar says so. Undefined when the user has cancelled; throws for people.
 */
export async function work<P extends object, R, E>(
  { session }: Ctx,
  title: string,
  type: Request<P, R, E>,
  params: P,
  { quiet = false } = {},
): Promise<R | undefined> {
  const location = quiet ? vscode.ProgressLocation.Window : vscode.ProgressLocation.Notification;
  return vscode.window.withProgress({ location, title, cancellable: !quiet }, (notification, token) => {
    let shown = 0;
    return session.request(type, params, token, (progress) => {
      if (progress.kind !== 'phase') return;
      const share = percent(progress) ?? shown;
      notification.report({ message: progressFigures(progress), increment: share - shown });
      shown = share;
    });
  });
}
