/**
 * The extension's strings in the user's language: in the extension host, in pure modules and in webviews alike, while
 * `vscode.l10n` is there in the host only. Keys are the English texts, as for `vscode.l10n.t`; the others are in l10n/.
 */
let bundle: Readonly<Record<string, string>> = {};

/** `vscode.l10n.bundle`, which is undefined in English. */
export function useBundle(texts: Readonly<Record<string, string>> | undefined): void {
  bundle = texts ?? {};
}

/** The text in the user's language, with `{0}`, `{1}` … replaced by the values. */
export function t(message: string, ...values: (string | number)[]): string {
  return (bundle[message] ?? message).replace(/\{(\d+)\}/g, (place, index) =>
    String(values[Number(index)] ?? place),
  );
}
