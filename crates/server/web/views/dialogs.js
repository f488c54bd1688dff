// Dialogs: invite, browse and create channels, choose a person, jump to a channel, confirm. The browser's <dialog> keeps
// the focus inside, closes on Escape and restores the focus.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';
import { go } from '../router.js';
import * as data from '../store.js';
import { avatar } from './avatar.js';
import { field, form } from './entry.js';

const { state } = data;
/** Entries of a list that are shown at once; the others are counted. */
const MOST_SHOWN = 200;

export function open(title, ...content) {
  const dialog = h('dialog', { class: 'dialog', 'aria-label': title, onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    h('header', null, h('h2', null, title), iconButton('close', 'Close', { onclick: () => dialog.close() })), content);
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-autofocus]')?.focus();
  return dialog;
}

/** A short message that disappears by itself. Screen readers read it immediately. */
export function notice(text) {
  const element = h('div', { class: 'notice', role: 'alert' }, text);
  document.body.append(element);
  setTimeout(() => element.remove(), 6_000);
}

export function confirmDialog(title, text, action) {
  return new Promise((resolve) => {
    const dialog = open(title, h('p', null, text), h('div', { class: 'dialog__actions' },
      h('button', { type: 'button', class: 'button button--quiet', onclick: () => dialog.close() }, 'Cancel'),
      h('button', { type: 'button', class: 'button button--danger', onclick: () => { resolve(true); dialog.close(); } }, action)));
    dialog.addEventListener('close', () => resolve(false));
  });
}

/** Copies a text, or shows it where the browser does not allow that. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice('The link is copied.');
  } catch {
    // The clipboard is not available over plain HTTP.
    const input = h('input', { class: 'search', readonly: true, value: text, 'aria-label': 'Link', 'data-autofocus': true });
    open('Copy this link', input, h('p', { class: 'hint' }, 'Press Ctrl+C'));
    input.select();
  }
}

export function invite(team) {
  const url = `${location.origin}${api.root}signup_user_complete/?id=${team.invite_id}`;
  const input = h('input', { id: 'inviteLink', readonly: true, value: url, 'aria-label': 'Invite link', onfocus: () => input.select() });
  open(`Invite people to ${team.display_name}`, h('p', { class: 'lead' }, 'Anyone with this link can create an account and join the team.'),
    h('div', { class: 'joined' }, input, h('button', { type: 'button', class: 'button', onclick: () => copyText(url) }, 'Copy link')),
    state.config.EnableEmailInvitations === 'true' && inviteByMail(team));
}

function inviteByMail(team) {
  const said = h('p', { class: 'quiet', role: 'status' });
  return h('section', { 'aria-label': 'By mail' }, form({
    fields: [field({ id: 'inviteAddresses', label: 'Email addresses', hint: 'Separated by commas or spaces. Each person gets a link that works once.' })],
    action: 'Send invitations',
    actionId: 'inviteByMailButton',
    async submit(value) {
      const addresses = value('inviteAddresses').split(/[\s,;]+/).filter(Boolean);
      if (!addresses.length) throw new Error('Enter an email address.');
      const answer = await api.inviteByMail(team.id, addresses);
      const refused = answer.filter(({ error }) => error);
      said.textContent = `${answer.length - refused.length} invited.`;
      if (refused.length) throw new Error(`Not invited: ${refused.map(({ email, error }) => `${email} (${error.message})`).join(' ')}`);
    },
  }), said);
}

// ---- lists to choose from

/** A filtered list. `find(text)` returns [{ key, symbol, label, note, choose }]. Arrow keys move, Enter chooses. */
export function chooser(title, placeholder, find, ...after) {
  let entries = [];
  let at = 0;
  const list = h('ul', { class: 'choices', role: 'listbox', id: 'choices' });
  const input = h('input', { class: 'search', placeholder, 'aria-label': placeholder, 'data-autofocus': true, role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'choices', autocomplete: 'off',
    oninput: () => { at = 0; paint(); },
    onkeydown(event) {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        at = (at + (event.key === 'ArrowDown' ? 1 : -1) + entries.length) % (entries.length || 1);
        mark();
      } else if (event.key === 'Enter' && entries[at]) {
        event.preventDefault();
        choose(entries[at]);
      }
    } });
  const note = h('p', { class: 'quiet', role: 'status' });
  const dialog = open(title, input, list, note, after);

  async function choose(entry) {
    dialog.close();
    try {
      await entry.choose();
    } catch (error) {
      notice(error.message);
    }
  }

  function mark() {
    [...list.children].forEach((item, index) => item.firstChild.setAttribute('aria-selected', String(index === at)));
    input.setAttribute('aria-activedescendant', entries.length ? `choice-${at}` : '');
    list.children[at]?.scrollIntoView({ block: 'nearest' });
  }

  function paint() {
    const found = find(input.value.trim().toLowerCase());
    entries = found.slice(0, MOST_SHOWN);
    const rest = found.length - entries.length;
    list.hidden = !entries.length;
    list.replaceChildren(...entries.map((entry, index) => h('li', { role: 'presentation' },
      h('button', { type: 'button', class: 'choice', role: 'option', tabindex: -1, id: `choice-${index}`, onclick: () => choose(entry) },
        entry.symbol, h('span', { class: 'place__name', dir: 'auto', title: entry.label }, entry.label), entry.note && h('span', { class: 'choice__note' }, entry.note)))));
    note.textContent = !entries.length ? 'Nothing found.' : rest ? `${rest} more. Type more of the name to see them.` : '';
    if (entries.length) mark();
  }

  paint();
  return { dialog, paint };
}

const has = (text, ...fields) => fields.some((one) => one?.toLowerCase().includes(text));

export function personEntry(one) {
  const full = [one.first_name, one.last_name].filter(Boolean).join(' ');
  return { symbol: avatar(one.id, { small: true }), label: one.username, note: full, choose: () => go(`${state.team.name}/messages/@${one.username}`) };
}

/** The people of the team: those of the first page and of each search so far. `find(text)` gives those with such a name; when the
 * server has sent more, `changed` is called. */
export function peopleSource(changed) {
  const ids = new Set();
  let searched = '';
  const take = (people) => {
    data.setUsers(people);
    for (const one of people) if (!one.delete_at) ids.add(one.id);
    changed();
  };
  const whole = api.teamUsers(state.team.id, 0).then((people) => {
    take(people);
    return people.length < 200;
  }).catch((error) => notice(error.message));
  return {
    find(text) {
      if (text && text !== searched) {
        searched = text;
        // With few people, all are here already.
        whole.then((all) => all || text !== searched || api.findUsers(state.team.id, text).then((found) => take(found.users)))
          .catch((error) => notice(error.message));
      }
      return [...ids].map((id) => state.users.get(id)).filter((one) => data.isLike(one, text));
    },
  };
}

export function choosePerson() {
  const people = peopleSource(() => paint());
  const { paint } = chooser('Write to a person', 'Search people', (text) => people.find(text).map(personEntry));
}

/** Ctrl+K: go to any channel or person. */
export function switcher() {
  if (document.querySelector('dialog[open]')) return;
  const people = peopleSource(() => paint());
  const { paint } = chooser('Jump to', 'Channel or person', (text) => [
    ...[...state.channels.values()].filter((one) => has(text, data.channelName(one), one.name))
      .sort((a, b) => b.last_post_at - a.last_post_at)
      .map((one) => ({
        symbol: data.teammate(one) ? avatar(data.teammate(one), { small: true }) : icon(one.type === 'P' ? 'lock' : 'hash'),
        label: data.channelName(one), choose: () => go(data.channelPath(one).slice(api.root.length)),
      })),
    ...people.find(text).filter((one) => ![...state.channels.values()].some((channel) => data.teammate(channel) === one.id)).map(personEntry),
  ]);
}

export function browseChannels() {
  let channels = [];
  const create = h('button', { type: 'button', class: 'button', id: 'createChannel', onclick: () => { dialog.close(); createChannel(); } }, 'Create a channel');
  const { dialog, paint } = chooser('Channels', 'Search public channels', (text) => channels
    .filter((one) => has(text, one.display_name, one.name, one.purpose))
    .map((one) => ({ symbol: icon('hash'), label: one.display_name, note: state.members.has(one.id) ? 'Joined' : 'Join', choose: () => go(`${state.team.name}/channels/${one.name}`) })),
  h('div', { class: 'dialog__actions' }, create));
  api.every((page) => api.publicChannels(state.team.id, page)).then((found) => { channels = found; paint(); }).catch((error) => notice(error.message));
}

function createChannel() {
  const content = form({
    fields: [
      field({ id: 'channelName', label: 'Name', most: 64, 'data-autofocus': true }),
      field({ id: 'channelPurpose', label: 'Purpose (optional)', most: 250 }),
      h('label', { class: 'check' }, h('input', { type: 'checkbox', id: 'channelPrivate' }), 'Private: only people who are added see it'),
    ],
    action: 'Create channel',
    actionId: 'createChannelButton',
    async submit(value) {
      const display_name = value('channelName').trim();
      if (!display_name) throw new Error('Enter a name for the channel.');
      const name = display_name.normalize('NFD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60) || `channel-${Date.now().toString(36)}`;
      const type = dialog.querySelector('#channelPrivate').checked ? 'P' : 'O';
      const channel = await api.createChannel({ team_id: state.team.id, name, display_name, type, purpose: value('channelPurpose').trim() });
      await data.addChannel(channel);
      dialog.close();
      await go(`${state.team.name}/channels/${channel.name}`);
    },
  });
  const dialog = open('Create a channel', content);
}
