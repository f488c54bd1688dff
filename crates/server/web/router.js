// Routing: every page has a path, links are real links, and back and forward work.

import { root } from './api.js';

const routes = [];
let current = null;

/** Registers `show(params, query, signal)` for a path pattern such as `:team/channels/:channel`. */
export function route(pattern, show) {
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => names.push(name) && '([^/]+)');
  routes.push({ expression: new RegExp(`^${source}/?$`), names, show });
}

/** Shows `path` (relative to the site's root). `replace` replaces the current page in the history. */
export function go(path, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', root + path.replace(/^\//, ''));
  return resolve();
}

/** Shows the page for the current address. Aborts the previous page's signal, so that its listeners are removed. */
export function resolve() {
  current?.abort();
  current = new AbortController();
  const path = location.pathname.slice(root.length);
  for (const { expression, names, show } of routes) {
    const match = expression.exec(path);
    if (!match) continue;
    const params = Object.fromEntries(names.map((name, index) => [name, decode(match[index + 1])]));
    return show(params, new URLSearchParams(location.search), current.signal);
  }
  return go('', { replace: true });
}

/** Handles back, forward, and plain clicks on links within the site. */
export function listen() {
  addEventListener('popstate', resolve);
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || link.target || link.hasAttribute('download') || event.defaultPrevented) return;
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || !link.pathname.startsWith(root)) return;
    if (/^(api|files|static|mainstay|oauth)\//.test(link.pathname.slice(root.length))) return;
    event.preventDefault();
    if (link.href !== location.href) go(link.pathname.slice(root.length) + link.search);
  });
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
