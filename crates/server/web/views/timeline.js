// The posts of a channel: oldest at the top, with marks for days and the first unread post. Scrolling loads older posts.

import { arrange, h, icon } from '../dom.js';
import * as data from '../store.js';
import { dayName, dayOf } from '../time.js';
import { editPost, postView } from './post.js';

const { state, store } = data;
const GROUP_MS = 5 * 60_000;
const NEAR_END_PX = 60;
const NEAR_START_PX = 600;

/** Consecutive posts by one user are shown under one name. */
export function continues(before, post) {
  return Boolean(before) && before.user_id === post.user_id && post.create_at - before.create_at < GROUP_MS
    && !before.type && !post.type && dayOf(before.create_at) === dayOf(post.create_at);
}

/** Keeps one element for each post and rebuilds it only when its data changed. */
export function postElements(options) {
  const built = new Map();
  return (post, grouped) => {
    const inputs = [post, grouped, state.users.get(post.user_id), state.unreadThreads.has(post.id)];
    const known = built.get(post.id);
    if (known && (known.inputs.every((value, index) => value === inputs[index]) || known.node.querySelector('.edit'))) return known.node;
    const node = postView(post, { ...options, grouped });
    built.set(post.id, { inputs, node });
    return node;
  };
}

/** Posts after `since` (in ms) are marked as new; Infinity marks none. */
export function timeline({ channel, since, signal, openThread }) {
  const list = h('div', { class: 'posts', role: 'log', 'aria-label': 'Messages', id: 'postListContent', tabindex: 0, onkeydown: walk });
  const start = h('div', { class: 'posts__start' });
  const scroller = h('div', { class: 'timeline' }, start, list);
  const latest = h('button', { type: 'button', class: 'latest', hidden: true, onclick: () => toEnd() }, icon('down'), 'Jump to the latest');
  const element = h('div', { class: 'timeline-frame' }, scroller, latest);
  const elementOf = postElements({ place: 'center', openThread });
  const dividers = new Map();
  let atEnd = true;
  let loading = false;

  function divider(key, label, kind) {
    if (!dividers.has(key)) dividers.set(key, h('div', { class: `divider ${kind}`, role: 'separator', 'aria-label': label }, h('span', null, label)));
    return dividers.get(key);
  }

  function paint() {
    const shown = state.timelines.get(channel);
    // While busy, a screen reader does not read the posts that were there before.
    list.setAttribute('aria-busy', String(!shown || shown.loading));
    if (!shown || shown.loading) return start.replaceChildren(h('p', { class: 'quiet' }, 'Loading…'));
    const nodes = [];
    let before = null;
    let marked = false;
    for (const id of shown.ids) {
      const post = state.posts.get(id);
      if (!post) continue;
      if (!before || dayOf(before.create_at) !== dayOf(post.create_at)) {
        nodes.push(divider(dayOf(post.create_at), dayName(post.create_at), 'divider--day'));
        before = null;
      }
      if (!marked && post.create_at > since && post.user_id !== state.me.id) {
        nodes.push(divider('new', 'New messages', 'divider--new'));
        marked = true;
        before = null;
      }
      nodes.push(elementOf(post, continues(before, post)));
      before = post;
    }
    // Keeps the scroll position of a user who reads further up when posts are added above.
    const anchor = atEnd ? null : list.querySelector('.post');
    const top = anchor?.getBoundingClientRect().top;
    start.replaceChildren(shown.whole ? welcome() : h('p', { class: 'quiet' }, 'Loading older messages…'));
    arrange(list, nodes);
    if (anchor?.isConnected) scroller.scrollTop += anchor.getBoundingClientRect().top - top;
  }

  function welcome() {
    const open = state.channels.get(channel);
    return h('div', { class: 'welcome' }, h('h2', null, open ? data.channelName(open) : ''),
      h('p', null, open?.purpose || 'This is the beginning. Say hello.'));
  }

  function toEnd() {
    atEnd = true;
    scroller.scrollTop = scroller.scrollHeight;
  }

  async function older() {
    if (loading || !state.timelines.has(channel) || state.timelines.get(channel).whole) return;
    loading = true;
    try {
      await data.loadOlder(channel);
    } catch (error) {
      // The next scroll tries again.
      return console.warn(error.message);
    } finally {
      loading = false;
    }
    if (scroller.scrollTop < NEAR_START_PX && !signal.aborted) older();
  }

  scroller.addEventListener('scroll', () => {
    atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    latest.hidden = atEnd;
    if (scroller.scrollTop < NEAR_START_PX) older();
  }, { passive: true });

  // Images and formatting change heights later: a user at the end stays at the end.
  const sizes = new ResizeObserver(() => {
    if (atEnd) toEnd();
    if (scroller.scrollHeight <= scroller.clientHeight + NEAR_START_PX) older();
  });
  sizes.observe(list);
  sizes.observe(scroller);
  signal.addEventListener('abort', () => sizes.disconnect());

  store.addEventListener('timeline', ({ detail }) => detail === channel && paint(), { signal });
  store.addEventListener('users', paint, { signal });
  paint();

  return {
    element,
    fail: (error) => start.replaceChildren(h('p', { class: 'problem', role: 'alert' }, error.message)),
    editLast() {
      const ids = state.timelines.get(channel)?.ids ?? [];
      const mine = ids.findLast((id) => isEditable(state.posts.get(id)));
      if (mine) editPost(state.posts.get(mine), document.getElementById(`post_${mine}`));
    },
  };
}

export const isEditable = (post) => post && post.user_id === state.me.id && !post.type && !post.delivery;

/** Arrow keys move from post to post; Tab then reaches the actions of that post. */
export function walk(event) {
  if (!['ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key) || event.target.closest('textarea, input')) return;
  const posts = [...event.currentTarget.querySelectorAll('.post')];
  if (!posts.length) return;
  const at = posts.indexOf(event.target.closest('.post'));
  const next = { Home: 0, End: posts.length - 1, ArrowUp: at < 0 ? posts.length - 1 : at - 1, ArrowDown: at + 1 }[event.key];
  if (!posts[next]) return;
  event.preventDefault();
  posts[next].focus();
}
