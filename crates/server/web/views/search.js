// Searching messages: a box, and the messages that were found, from the newest to the oldest.

import * as api from '../api.js';
import { h } from '../dom.js';
import { go } from '../router.js';
import * as data from '../store.js';
import { ago, fullTime } from '../time.js';
import { open } from './dialogs.js';

const { state } = data;
const HINT = 'Words, "a phrase", begin*, #hashtag, -without, from:name, in:channel, before:, after: or on:2026-01-31';

export function searchMessages() {
  if (document.querySelector('dialog[open]')) return;
  let latest = 0;
  const input = h('input', { class: 'search', id: 'searchBox', type: 'search', maxlength: 512, placeholder: 'Search messages', 'aria-label': 'Search messages', 'aria-describedby': 'searchHint', 'data-autofocus': true, autocomplete: 'off' });
  const list = h('ol', { class: 'choices', id: 'searchResults', 'aria-label': 'Messages found' });
  const note = h('p', { class: 'quiet', role: 'status' });
  const box = h('form', { role: 'search', onsubmit: find }, input, h('p', { class: 'hint', id: 'searchHint' }, HINT));
  const dialog = open('Search messages', box, note, list);

  async function find(event) {
    event.preventDefault();
    const terms = input.value.trim();
    if (!terms) return;
    const mine = ++latest;
    note.textContent = 'Searching…';
    list.replaceChildren();
    try {
      const { order, posts } = await api.searchPosts(state.team.id, terms);
      await data.loadUsers(order.map((id) => posts[id].user_id));
      if (mine !== latest) return;
      note.textContent = order.length === 1 ? '1 message found.' : order.length ? `${order.length} messages found.` : 'Nothing found.';
      list.replaceChildren(...order.map((id) => found(posts[id], dialog)));
    } catch (error) {
      if (mine === latest) note.textContent = error.message;
    }
  }
}

function found(post, dialog) {
  const channel = state.channels.get(post.channel_id);
  const at = h('time', { datetime: new Date(post.create_at).toISOString(), title: fullTime(post.create_at) }, ago(post.create_at));
  return h('li', null, h('button', { type: 'button', class: 'choice', id: `found_${post.id}`, onclick() { dialog.close(); go(`${state.team.name}/pl/${post.id}`); } },
    h('span', { class: 'found' },
      h('span', { class: 'choice__note' }, data.displayName(post.user_id), channel ? ` in ${data.channelName(channel)}, ` : ', ', at),
      h('span', { class: 'found__text', dir: 'auto' }, post.message))));
}
