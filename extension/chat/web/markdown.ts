import hljs from 'highlight.js/lib/common';
import MarkdownIt from 'markdown-it';
import type { Citation } from '../../../backend/protocol.ts';
import { linkMentions } from '../links.ts';
import type { Piece } from '../links.ts';

const markdown = new MarkdownIt({
  html: false,
  highlight: (code, language) =>
    hljs.getLanguage(language) ? hljs.highlight(code, { language, ignoreIllegals: true }).value : '',
});
/** Answers link to the web or, by way of their citations, to files: to nothing else. */
markdown.validateLink = (url) => /^https?:/i.test(url);
markdown.disable('image');

/** Shows Markdown in `target`. Blocks that stay the same stay in place, and with them the user's selection. */
export function showMarkdown(target: HTMLElement, text: string): void {
  const template = document.createElement('template');
  template.innerHTML = markdown.render(text);
  // A long line of code can be scrolled to by keyboard.
  for (const code of template.content.querySelectorAll('pre')) code.tabIndex = 0;
  const blocks = [...template.content.children];
  while (target.children.length > blocks.length) target.lastElementChild?.remove();
  blocks.forEach((block, i) => {
    const old = target.children[i];
    if (!old) target.append(block);
    else if (!old.isEqualNode(block)) old.replaceWith(block);
  });
}

/** Makes links of the cited files that the text in `target` names. */
export function linkCitations(
  target: HTMLElement,
  citations: readonly Citation[],
  link: (piece: Piece) => HTMLElement,
): void {
  const walker = document.createTreeWalker(target, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest('pre, a, button') ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const text of texts) {
    const pieces = linkMentions(text.data, citations);
    if (pieces.some((piece) => piece.link)) {
      text.replaceWith(...pieces.map((piece) => (piece.link ? link(piece) : piece.text)));
    }
  }
}
