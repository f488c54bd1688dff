// A thread beside its channel: the first post, its replies, and a box to reply.

import * as api from '../api.js';
import { arrange, h, iconButton } from '../dom.js';
import * as data from '../store.js';
import { composer } from './composer.js';
import { editPost } from './post.js';
import { continues, isEditable, postElements, walk } from './timeline.js';

const { state, store } = data;

export function thread({ root, channel, socket, signal, close, dropZone }) {
  const list = h('div', { class: 'posts', role: 'log', 'aria-label': 'Replies', tabindex: 0, onkeydown: walk });
  const scroller = h('div', { class: 'timeline' }, list);
  const elementOf = postElements({ place: 'rhs' });
  const line = h('div', { class: 'divider', role: 'separator' }, h('span'));
  const open = state.channels.get(channel);
  const box = composer({ channel, root, socket, signal, dropZone, editLast });
  let atEnd = true;

  function posts() {
    return (state.threads.get(root) ?? []).map((id) => state.posts.get(id)).filter(Boolean);
  }

  function paint() {
    const first = state.posts.get(root);
    if (!first) return close();
    const replies = posts();
    line.firstChild.textContent = replies.length === 1 ? '1 reply' : `${replies.length} replies`;
    const nodes = replies.map((post, index) => elementOf(post, continues(replies[index - 1], post)));
    arrange(list, [elementOf(first, false), ...(replies.length ? [line] : []), ...nodes]);
  }

  function editLast() {
    const mine = posts().findLast(isEditable);
    if (mine) editPost(mine, document.getElementById(`rhsPost_${mine.id}`));
  }

  function markRead() {
    if (!state.unreadThreads.delete(root)) return;
    data.changed('channels');
    data.changed('timeline', channel);
    api.readThread(state.team.id, root, Date.now()).catch(() => {});
  }

  scroller.addEventListener('scroll', () => { atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60; }, { passive: true });
  const sizes = new ResizeObserver(() => { if (atEnd) scroller.scrollTop = scroller.scrollHeight; });
  sizes.observe(list);
  signal.addEventListener('abort', () => sizes.disconnect());
  store.addEventListener('thread', ({ detail }) => detail === root && paint(), { signal });
  store.addEventListener('users', paint, { signal });

  if (!state.threads.has(root)) state.threads.set(root, []);
  paint();
  data.loadThread(root).then(markRead).catch((error) => list.append(h('p', { class: 'problem', role: 'alert' }, error.message)));

  return {
    focus: box.focus,
    children: [
      h('header', { class: 'channel__header' }, h('h2', null, 'Thread'), h('p', { class: 'channel__purpose' }, open ? data.channelName(open) : ''),
        iconButton('close', 'Close the thread (Escape)', { id: 'rhsCloseButton', onclick: close })),
      scroller, box.element,
    ],
  };
}
