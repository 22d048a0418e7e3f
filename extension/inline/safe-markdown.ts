/** A model's Markdown for a comment, where VS Code itself makes links and pictures of it. Pure. */

/** Code, which stays as it is, and what is escaped with a backslash already. */
const LEFT_ALONE = [
  // A fenced block, to its end or, while it is being written, to that of the text.
  /^[ \t>]*(?:[-*+]|\d+[.)])?[ \t]*(?<fence>`{3,}|~{3,})[^\n]*(?:\n[\s\S]*?)??(?:\n[ \t>]*\k<fence>[`~]*[ \t]*$|$(?![\s\S]))/,
  // A span of code, inside one paragraph.
  /(?<!`)(?<ticks>`+)(?!`)(?:(?!\n[ \t]*\n)[\s\S])+?(?<!`)\k<ticks>(?!`)/,
  /\\[\s\S]/,
];

/** The character before which a backslash makes text of what would lead somewhere else than into the web. */
const ESCAPED = [
  /(?<=\])\((?!\s*<?https?:)/, // [text](address)
  /\[(?=[^\]\n]*\]:(?!\s*<?https?:))/, // [name]: address
  /<(?!https?:)(?=[a-z][a-z0-9+.-]*:)/, // <address>
  /(?<=!)\[/, // a picture
];

const source = (patterns: readonly RegExp[]): string => patterns.map((pattern) => pattern.source).join('|');
const FOUND = new RegExp(`(?<kept>${source(LEFT_ALONE)})|${source(ESCAPED)}`, 'gim');

/** In what looks like code: the start of all that would be a picture if it were none. */
const PICTURE = /!(?=\[(?:(?!\n[ \t]*\n)[\s\S])*?\][([])/g;

/**
 * Links lead to the web only, as in the chat; others, and pictures, are text. Pictures even in what looks like code:
 * one that VS Code takes for a picture after all would be fetched, and what a repository says must reach no network.
 */
export function safeMarkdown(markdown: string): string {
  // With a definition of addresses `![name]` is a picture, too.
  const picture = markdown.includes(']:') ? /!(?=\[)/g : PICTURE;
  return markdown.replace(FOUND, (found, kept?: string) =>
    kept === undefined ? `\\${found}` : kept.replace(picture, '!\\'),
  );
}
