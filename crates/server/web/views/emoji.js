// Choosing an emoji: a small menu with the usual ones, and a dialog with all of them.

import { h } from '../dom.js';
import { USUAL, groups } from '../emoji.js';
import { open } from './dialogs.js';

const button = (character, name, props) => h('button', { type: 'button', class: 'emoji', title: `:${name}:`, 'aria-label': name.replaceAll('_', ' '), ...props }, character);

/** Opens the menu at `anchor`, and calls `then(name, character)` with the chosen emoji. */
export function emojiMenu(anchor, then) {
  const choose = (name, character) => {
    menu.hidePopover();
    then(name, character);
  };
  const more = () => {
    menu.hidePopover();
    allEmoji(then);
  };
  const menu = h('div', { popover: true, class: 'menu menu--emoji', role: 'group', 'aria-label': 'Emoji', ontoggle: (event) => event.newState === 'closed' && menu.remove() },
    Object.entries(USUAL).map(([name, character]) => button(character, name, { onclick: () => choose(name, character) })),
    h('button', { type: 'button', class: 'menu__entry', onclick: more }, 'All emoji…'));
  document.body.append(menu);
  menu.showPopover();
  const { right, bottom, top } = anchor.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, right - width)}px`;
  menu.style.top = `${bottom + height > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
  menu.querySelector('button').focus();
}

function allEmoji(then) {
  const list = h('div', { class: 'emoji-groups' }, h('p', { class: 'quiet' }, 'Loading…'));
  const search = h('input', { class: 'search', placeholder: 'Search by name', 'aria-label': 'Search by name', 'data-autofocus': true, autocomplete: 'off', oninput: () => paint() });
  const dialog = open('Choose an emoji', search, list);
  let all = [];

  function paint() {
    const text = search.value.trim().toLowerCase().replaceAll(' ', '_');
    const shown = all.map(({ title, emoji }) => ({ title, emoji: emoji.filter(([, names]) => names.some((name) => name.includes(text))) }))
      .filter(({ emoji }) => emoji.length);
    list.replaceChildren(...(shown.length ? shown.map(({ title, emoji }) => h('section', { class: 'emoji-group', 'aria-label': title }, h('h3', null, title),
      h('div', { class: 'emoji-grid' }, emoji.map(([character, names]) => button(character, names[0], { onclick: () => { dialog.close(); then(names[0], character); } })))))
      : [h('p', { class: 'quiet' }, 'No emoji has a name like that.')]));
  }

  groups().then((loaded) => { all = loaded; paint(); })
    .catch((error) => list.replaceChildren(h('p', { class: 'problem', role: 'alert' }, error.message)));
}
