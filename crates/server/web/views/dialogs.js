// Dialogs: invite, browse and create channels, choose a person, jump to a channel, confirm. The browser's <dialog> keeps
// the focus inside, closes on Escape and restores the focus.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';
import { go } from '../router.js';
import * as data from '../store.js';
import { avatar } from './avatar.js';
import { field } from './entry.js';

const { state } = data;

function open(title, ...content) {
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

export function invite(team) {
  const url = `${location.origin}${api.root}signup_user_complete/?id=${team.invite_id}`;
  const input = h('input', { id: 'inviteLink', readonly: true, value: url, 'aria-label': 'Invite link', onfocus: () => input.select() });
  const copy = h('button', { type: 'button', class: 'button', async onclick() {
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      // The clipboard is not available over plain HTTP: select the text, so that the user can copy it.
      input.select();
      copy.textContent = 'Press Ctrl+C';
      return;
    }
    copy.textContent = 'Copied';
  } }, 'Copy link');
  open(`Invite people to ${team.display_name}`, h('p', { class: 'lead' }, 'Anyone with this link can create an account and join the team.'), h('div', { class: 'joined' }, input, copy));
}

// ---- lists to choose from

/** A filtered list. `find(text)` returns [{ key, symbol, label, note, choose }]. Arrow keys move, Enter chooses. */
function chooser(title, placeholder, find, ...after) {
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
  const dialog = open(title, input, list, after);

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
    entries = find(input.value.trim().toLowerCase()).slice(0, 50);
    list.replaceChildren(...(entries.length ? entries.map((entry, index) => h('li', null,
      h('button', { type: 'button', class: 'choice', role: 'option', tabindex: -1, id: `choice-${index}`, onclick: () => choose(entry) },
        entry.symbol, h('span', { class: 'place__name' }, entry.label), entry.note && h('span', { class: 'choice__note' }, entry.note))))
      : [h('li', null, h('p', { class: 'quiet' }, 'Nothing found.'))]));
    if (entries.length) mark();
  }

  paint();
  return { dialog, paint };
}

const has = (text, ...fields) => fields.some((one) => one?.toLowerCase().includes(text));

function personEntry(one) {
  const full = [one.first_name, one.last_name].filter(Boolean).join(' ');
  return { symbol: avatar(one.id, { small: true }), label: one.username, note: full, choose: () => go(`${state.team.name}/messages/@${one.username}`) };
}

async function loadPeople(then) {
  const people = await api.users({ in_team: state.team.id, page: 0, per_page: 200, active: true, sort: '' });
  data.setUsers(people);
  then(people.map((one) => one.id));
}

export function choosePerson() {
  let ids = [];
  const { paint } = chooser('Write to a person', 'Search people', (text) => ids.map((id) => state.users.get(id))
    .filter((one) => has(text, one.username, one.first_name, one.last_name, one.nickname)).map(personEntry));
  loadPeople((found) => { ids = found; paint(); }).catch((error) => notice(error.message));
}

/** Ctrl+K: go to any channel or person. */
export function switcher() {
  if (document.querySelector('dialog[open]')) return;
  let ids = [];
  const { paint } = chooser('Jump to', 'Channel or person', (text) => [
    ...[...state.channels.values()].filter((one) => has(text, data.channelName(one), one.name))
      .sort((a, b) => b.last_post_at - a.last_post_at)
      .map((one) => ({
        symbol: data.teammate(one) ? avatar(data.teammate(one), { small: true }) : icon(one.type === 'P' ? 'lock' : 'hash'),
        label: data.channelName(one), choose: () => go(data.channelPath(one).slice(api.root.length)),
      })),
    ...ids.map((id) => state.users.get(id)).filter((one) => has(text, one.username, one.first_name, one.last_name)
      && ![...state.channels.values()].some((channel) => data.teammate(channel) === one.id)).map(personEntry),
  ]);
  loadPeople((found) => { ids = found; paint(); }).catch(() => {});
}

export function browseChannels() {
  let channels = [];
  const create = h('button', { type: 'button', class: 'button', id: 'createChannel', onclick: () => { dialog.close(); createChannel(); } }, 'Create a channel');
  const { dialog, paint } = chooser('Channels', 'Search public channels', (text) => channels
    .filter((one) => has(text, one.display_name, one.name, one.purpose))
    .map((one) => ({ symbol: icon('hash'), label: one.display_name, note: state.members.has(one.id) ? 'Joined' : 'Join', choose: () => go(`${state.team.name}/channels/${one.name}`) })),
  h('div', { class: 'dialog__actions' }, create));
  api.publicChannels(state.team.id).then((found) => { channels = found; paint(); }).catch((error) => notice(error.message));
}

function createChannel() {
  const problem = h('p', { class: 'problem', role: 'alert' });
  const form = h('form', { novalidate: true, async onsubmit(event) {
    event.preventDefault();
    const value = (id) => form.querySelector(`#${id}`).value.trim();
    const display_name = value('channelName');
    const name = display_name.normalize('NFD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60) || `channel-${Date.now().toString(36)}`;
    try {
      if (!display_name) throw new Error('Enter a name for the channel.');
      const type = form.querySelector('#channelPrivate').checked ? 'P' : 'O';
      const channel = await api.createChannel({ team_id: state.team.id, name, display_name, type, purpose: value('channelPurpose') });
      await data.addChannel(channel);
      dialog.close();
      await go(`${state.team.name}/channels/${channel.name}`);
    } catch (error) {
      problem.textContent = error.message;
    }
  } },
  field({ id: 'channelName', label: 'Name', maxlength: 64, 'data-autofocus': true }),
  field({ id: 'channelPurpose', label: 'Purpose (optional)', maxlength: 250 }),
  h('label', { class: 'check' }, h('input', { type: 'checkbox', id: 'channelPrivate' }), 'Private: only people who are added see it'),
  problem, h('div', { class: 'dialog__actions' }, h('button', { type: 'submit', class: 'button', id: 'createChannelButton' }, 'Create channel')));
  const dialog = open('Create a channel', form);
}
