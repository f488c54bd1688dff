// Creates elements. Text is always inserted as text: no string is ever parsed as HTML.

/**
 * Creates an element. In `props`, functions named `on…` are listeners, `true` sets an empty attribute, `null` and `false`
 * set none.
 * @param {string} tag @param {object} [props] @param {...(Node|string|null|false|Array)} children
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Makes `nodes` the children of `parent`, and moves only those whose position changed. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

const SVG = 'http://www.w3.org/2000/svg';

// Paths in a 20 x 20 box, drawn as strokes.
const ICONS = {
  attach: 'M14.5 8.5 9 14a2.6 2.6 0 0 1-3.7-3.7l6-6a3.6 3.6 0 0 1 5.1 5.1l-6 6',
  back: 'm12 4-6 6 6 6',
  close: 'm5 5 10 10M15 5 5 15',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  down: 'm5 8 5 5 5-5',
  edit: 'M4 16v-3l9-9 3 3-9 9zM11.5 5.5l3 3',
  hash: 'M8 3 6.5 17M13.5 3 12 17M3.5 7.5h13M3 12.5h13',
  invite: 'M8 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 17c0-3 2.4-5 5.5-5s5.5 2 5.5 5M15.5 6v5M13 8.5h5',
  leave: 'M8 4H4v12h4M8 10h9m-3-3 3 3-3 3',
  lock: 'M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9',
  menu: 'M3 5.5h14M3 10h14M3 14.5h14',
  plus: 'M10 4v12M4 10h12',
  reply: 'M4 5.5A1.5 1.5 0 0 1 5.5 4h9A1.5 1.5 0 0 1 16 5.5v6a1.5 1.5 0 0 1-1.5 1.5H10l-4 3.5V13h-.5A1.5 1.5 0 0 1 4 11.5z',
  search: 'M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13 13l4 4',
  send: 'M3.5 4 17 10 3.5 16l2-6zM5.5 10H11',
  smile: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM7 11.5c.6 1.3 1.7 2 3 2s2.4-.7 3-2M7.5 8v.1M12.5 8v.1',
  theme: 'M10 3a7 7 0 1 0 7 7 5.5 5.5 0 0 1-7-7z',
  trash: 'M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6',
};

/** A decorative icon. The control around it has the accessible name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows only an icon. `label` is its accessible name and its tooltip. */
export function iconButton(name, label, props) {
  return h('button', { type: 'button', class: 'icon-button', title: label, 'aria-label': label, ...props }, icon(name));
}
