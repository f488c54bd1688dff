// The members of a channel: who they are, and adding people.

import * as api from '../api.js';
import { h } from '../dom.js';
import * as data from '../store.js';
import { chooser, notice, peopleSource, personEntry } from './dialogs.js';

const { state } = data;

/** Lists the members. `changed` is called after somebody was added. */
export function members(channel, changed) {
  let ids = [];
  const add = h('button', { type: 'button', class: 'button', id: 'addMembers', onclick: () => { dialog.close(); addPeople(channel, ids, changed); } }, 'Add people');
  const { dialog, paint } = chooser(`Members of ${data.channelName(channel)}`, 'Search members',
    (text) => ids.map(data.user).filter((one) => one && data.isLike(one, text)).map(personEntry),
    channel.name !== 'town-square' && h('div', { class: 'dialog__actions' }, add));
  api.every((page) => api.channelMembers(channel.id, page)).then(async (found) => {
    ids = found.map((one) => one.user_id);
    await data.loadUsers(ids);
    paint();
  }).catch((error) => notice(error.message));
}

function addPeople(channel, present, changed) {
  const there = new Set(present);
  const people = peopleSource(() => paint());
  const { paint } = chooser(`Add people to ${data.channelName(channel)}`, 'Search people of the team', (text) => people.find(text)
    .filter((one) => !there.has(one.id))
    .map((one) => ({ ...personEntry(one), choose: async () => {
      await api.addMember(channel.id, one.id);
      notice(`${data.displayName(one.id)} is now a member of ${data.channelName(channel)}.`);
      changed();
    } })));
}
