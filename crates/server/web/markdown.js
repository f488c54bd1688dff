// Shows message text. The server parses Markdown into trees (web/markdown.rs); this module creates elements from them,
// with tags from a fixed list. The plain text is shown first, so that a slow answer never hides a message.

import * as api from './api.js';
import { h } from './dom.js';
import { glyph } from './emoji.js';
import { state } from './store.js';

const FORMATTED = /[*_`~#>[\]|\\<&]|^\s*(?:[-+=]|\d+[.)])|\n\s*(?:[-+=]|\d+[.)])|\n\n| {2}\n/m;
const MOST_KEPT = 2_000;
const MOST_TEXTS = 50;

const trees = new Map();
const waiting = new Map();

/** An element that shows `text`, formatted as soon as its tree is loaded, with `after` at the end of its last line. */
export function message(text, props, after) {
  const element = h('div', { ...props, class: 'text', dir: 'auto' });
  const show = (nodes) => {
    element.replaceChildren(...nodes);
    if (after) (element.lastElementChild?.matches('p') ? element.lastElementChild : element).append(after);
  };
  const tree = trees.get(text);
  show(tree ? tree.flatMap(build) : inline(text));
  if (!tree && FORMATTED.test(text)) request(text, (answer) => show(answer.flatMap(build)));
  return element;
}

function request(text, show) {
  if (waiting.size === 0) setTimeout(fetchTrees);
  waiting.set(text, [...(waiting.get(text) ?? []), show]);
}

async function fetchTrees() {
  const batch = [...waiting].slice(0, MOST_TEXTS);
  for (const [text] of batch) waiting.delete(text);
  if (waiting.size) setTimeout(fetchTrees);
  try {
    const answers = await api.markdown(batch.map(([text]) => text));
    batch.forEach(([text, shows], index) => {
      if (trees.size >= MOST_KEPT) trees.delete(trees.keys().next().value);
      trees.set(text, answers[index]);
      for (const show of shows) show(answers[index]);
    });
  } catch (error) {
    console.warn(`Messages stay unformatted: ${error.message}`);
  }
}

const TAGS = new Set(['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'ul', 'ol', 'li', 'em', 'strong', 'del', 'code',
  'pre', 'table', 'tr', 'th', 'td', 'hr', 'br', 'a', 'input']);

// The DOM nodes for one node of a tree.
function build(node) {
  if (typeof node === 'string') return inline(node);
  const { tag, href, start, lang, checked, align, children = [] } = node;
  if (!TAGS.has(tag)) return [];
  if (tag === 'input') return [h('input', { type: 'checkbox', disabled: true, checked })];
  if (tag === 'a') return [link(href, children.flatMap((child) => (typeof child === 'string' ? [child] : build(child))))];
  const verbatim = tag === 'code' || tag === 'pre';
  const element = h(tag, { start, class: align && `align-${align}`, 'data-language': lang },
    verbatim ? children : children.flatMap(build));
  return [tag === 'table' ? h('div', { class: 'table' }, element) : element];
}

function link(href, children) {
  return /^(?:https?:|mailto:)/i.test(href)
    ? h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, children)
    : h('span', null, children);
}

const INLINE = /(https?:\/\/[^\s<>"]*[^\s<>"'.,:;!?)\]}*_~])|(^|[^\w@])@([a-z0-9][a-z0-9._-]*[a-z0-9]|[a-z0-9])|:([a-z0-9_+-]+):/gi;

// Bare links, mentions and emoji names inside plain text.
function inline(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, address, before, name, emoji] = match;
    parts.push(text.slice(from, match.index));
    if (address) parts.push(link(address, [address]));
    else if (name) parts.push(before, mention(name));
    else parts.push(glyph(emoji));
    from = match.index + whole.length;
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part !== '');
}

function mention(name) {
  const mine = ['all', 'channel', 'here', state.me?.username].includes(name.toLowerCase());
  return h('span', { class: mine ? 'mention mention--mine' : 'mention' }, `@${name}`);
}
