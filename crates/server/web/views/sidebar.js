// The sidebar: the team and its menu, channels, direct messages, and the current user.

import * as api from '../api.js';
import { arrange, h, icon, iconButton } from '../dom.js';
import * as data from '../store.js';
import { toggleTheme } from '../theme.js';
import { account } from './account.js';
import { avatar } from './avatar.js';
import { browseChannels, choosePerson, invite } from './dialogs.js';

const { state, store } = data;

export function sidebar({ team, leave, signal }) {
  const channels = h('ul', { class: 'places', 'aria-label': 'Channels' });
  const people = h('ul', { class: 'places', 'aria-label': 'Direct messages' });
  const elementOf = placeElements();
  const paint = () => {
    const all = [...state.channels.values()].filter((one) => !one.delete_at);
    arrange(channels, all.filter((one) => one.type === 'O' || one.type === 'P')
      .sort((a, b) => a.display_name.localeCompare(b.display_name)).map(elementOf));
    arrange(people, all.filter((one) => one.type === 'D' || one.type === 'G')
      .sort((a, b) => b.last_post_at - a.last_post_at).map(elementOf));
  };
  for (const topic of ['channels', 'users', 'statuses', 'open']) store.addEventListener(topic, paint, { signal });
  paint();

  const name = h('button', { type: 'button', class: 'sidebar__name', id: 'account', title: 'Your account', onclick: account });
  const paintName = () => { name.textContent = data.displayName(state.me.id); };
  store.addEventListener('users', paintName, { signal });
  paintName();

  return h('nav', { class: 'sidebar', 'aria-label': 'Team and channels' },
    teamMenu(team, leave),
    h('div', { class: 'sidebar__scroll' },
      section('Channels', 'Browse or create channels', browseChannels), channels,
      section('Direct messages', 'Write to a person', choosePerson), people),
    h('div', { class: 'sidebar__self' },
      avatar(state.me.id, { status: true, signal }), name,
      iconButton('theme', 'Light or dark', { onclick: toggleTheme }),
      iconButton('leave', 'Log out', { id: 'logout', onclick: leave })));
}

function section(title, action, onclick) {
  return h('div', { class: 'sidebar__section' }, h('h2', null, title), iconButton('plus', action, { onclick }));
}

function teamMenu(team, leave) {
  const entry = (name, label, onclick) => h('button', { type: 'button', class: 'menu__entry', onclick }, icon(name), label);
  const menu = h('div', { id: 'teamMenu', popover: true, class: 'menu' },
    team.invite_id && entry('invite', 'Invite people', () => { menu.hidePopover(); invite(team); }),
    h('a', { class: 'menu__entry', href: `${api.root}select_team` }, icon('hash'), 'Your teams'),
    h('a', { class: 'menu__entry', href: `${api.root}create_team` }, icon('plus'), 'Create a team'),
    entry('leave', 'Log out', leave));
  return h('div', { class: 'sidebar__team' },
    h('button', { type: 'button', class: 'sidebar__menu', popovertarget: 'teamMenu', id: 'sidebarTeamMenuButton' }, h('span', null, team.display_name), icon('down')),
    team.invite_id && iconButton('invite', 'Invite people', { onclick: () => invite(team) }), menu);
}

// Keeps one element for each channel and rebuilds it only when its data changed, so that it keeps the focus.
function placeElements() {
  const built = new Map();
  return (channel) => {
    const other = data.teammate(channel);
    const shown = { open: state.open.channel === channel.id, name: data.channelName(channel), href: data.channelPath(channel),
      status: other && state.statuses.get(other), ...data.unread(channel) };
    const key = JSON.stringify(shown);
    const known = built.get(channel.id);
    if (known?.key === key) return known.node;
    const node = place(channel, other, shown);
    built.set(channel.id, { key, node });
    if (known?.node.contains(document.activeElement)) queueMicrotask(() => node.firstChild.focus());
    return node;
  };
}

function place(channel, other, { open, name, href, messages, mentions, threads }) {
  const fresh = !open && (messages || threads);
  const symbol = other ? avatar(other, { small: true, status: true }) : icon(channel.type === 'P' ? 'lock' : channel.type === 'G' ? 'invite' : 'hash');
  const note = open ? '' : mentions ? `${mentions} mentions` : threads ? 'new replies in threads' : messages ? `${messages} unread` : '';
  return h('li', null, h('a', {
    id: `sidebarItem_${channel.name}`,
    class: `place${open ? ' place--open' : ''}${fresh ? ' place--unread' : ''}`,
    href,
    'aria-current': open && 'page',
  }, symbol, h('span', { class: 'place__name', dir: 'auto', title: name }, name),
  !open && (mentions > 0 ? h('span', { class: 'badge badge--mention', 'aria-hidden': 'true' }, mentions)
    : fresh ? h('span', { class: 'badge', 'aria-hidden': 'true' }, messages || '•') : null),
  note && h('span', { class: 'hidden-text' }, `, ${note}`)));
}
