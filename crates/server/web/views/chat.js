// The chat page: the sidebar, one channel, and a thread beside it.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';
import { go } from '../router.js';
import * as data from '../store.js';
import { avatar } from './avatar.js';
import { composer } from './composer.js';
import { confirmDialog, notice, switcher } from './dialogs.js';
import { members } from './members.js';
import { searchMessages } from './search.js';
import { sidebar } from './sidebar.js';
import { thread } from './thread.js';
import { timeline } from './timeline.js';

const { state, store } = data;
/** How many posts a link to an old message loads at most. */
const MOST_BACK = 5_000;
let frame = null;

/** Shows a channel. Loads its team first, if another team is open. */
export async function showChat(page, { team: teamName, channel: channelName, person }, { socket, leave, signal }) {
  const team = await openTeam(teamName);
  const channel = person ? await findPerson(person.replace(/^@/, '')) : await findChannel(team, channelName);
  if (signal.aborted) return;
  showFrame(page, team, { socket, leave });
  openChannel(channel, socket, signal);
}

/** Shows the message `post` in its channel, and its thread if it is a reply. */
export async function showPost(page, { team: teamName, post: id }, { socket, leave, signal }) {
  const team = await openTeam(teamName);
  const post = await api.onePost(id);
  if (!state.channels.has(post.channel_id)) {
    if (!state.members.has(post.channel_id)) await api.addMember(post.channel_id, state.me.id);
    await data.addChannel(await api.channel(post.channel_id));
  }
  if (signal.aborted) return;
  showFrame(page, team, { socket, leave });
  await openChannel(state.channels.get(post.channel_id), socket, signal);
  const root = post.root_id || post.id;
  const isHere = await data.loadBackTo(post.channel_id, root, MOST_BACK);
  if (signal.aborted) return;
  if (!isHere) notice(`This message is older than the ${MOST_BACK} newest of its channel. It is shown by itself.`);
  if (!isHere || post.root_id) openThread(root, socket);
  const marked = () => document.getElementById(`${post.root_id || !isHere ? 'rhsPost' : 'post'}_${post.id}`);
  for (let waited = 0; waited < 50 && !marked(); waited++) await new Promise((done) => { setTimeout(done, 100); });
  marked()?.scrollIntoView({ block: 'center' });
  marked()?.classList.add('post--marked');
}

async function openTeam(name) {
  const team = [...state.teams.values()].find((one) => one.name === name);
  if (!team) throw new Error(`There is no team “${name}”, or you are not a member of it. Ask for an invite link.`);
  if (state.team?.id !== team.id) {
    await data.enterTeam(team);
    data.fetchStatuses().catch(() => {});
  }
  localStorage.setItem('team', team.id);
  return team;
}

function showFrame(page, team, { socket, leave }) {
  if (frame?.team !== team.id || !frame.element.isConnected) buildFrame(page, team, { socket, leave });
  frame.element.classList.remove('chat--drawer');
}

async function findChannel(team, name) {
  const known = [...state.channels.values()].find((one) => one.name === name && one.team_id === team.id);
  if (known) return known;
  const channel = await api.channelByName(team.id, name);
  if (!state.members.has(channel.id)) await api.addMember(channel.id, state.me.id);
  await data.addChannel(channel);
  return channel;
}

async function findPerson(username) {
  let other = [...state.users.values()].find((one) => one.username === username);
  if (!other) {
    const ids = [...state.channels.values()].map(data.teammate).filter(Boolean);
    if (ids.length) data.setUsers(await api.usersByIds(ids));
    other = [...state.users.values()].find((one) => one.username === username) ?? (await api.userByName(username));
    data.setUsers([other]);
  }
  const known = [...state.channels.values()].find((one) => data.teammate(one) === other.id);
  if (known) return known;
  const channel = await api.directChannel(state.me.id, other.id);
  await data.addChannel(channel);
  return channel;
}

function buildFrame(page, team, { socket, leave }) {
  frame?.control.abort();
  const control = new AbortController();
  const { signal } = control;
  const element = h('div', { class: 'chat' });
  const main = h('main', { class: 'channel', 'aria-labelledby': 'channelHeaderTitle' });
  const side = h('aside', { id: 'rhsContainer', class: 'thread', 'aria-label': 'Thread', hidden: true });
  const curtain = h('div', { class: 'curtain', onclick: () => element.classList.remove('chat--drawer') });
  element.append(h('a', { class: 'skip', href: '#post_textbox', onclick: skip }, 'Skip to the message box'), sidebar({ team, leave, signal }), curtain, main, side);
  frame = { team: team.id, element, main, side, control, socket, closeThread: null };
  document.addEventListener('keydown', onKey, { signal });
  document.addEventListener('visibilitychange', readOpen, { signal });
  store.addEventListener('channels', leaveLost, { signal });
  store.addEventListener('users', showTitle, { signal });
  page.replaceChildren(element);
}

function openDrawer() {
  frame.element.classList.add('chat--drawer');
  frame.element.querySelector('.sidebar button').focus();
}

function skip(event) {
  event.preventDefault();
  document.getElementById('post_textbox')?.focus();
}

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    switcher();
  } else if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === 'f') {
    event.preventDefault();
    searchMessages();
  } else if (event.key === 'Escape' && !document.querySelector('dialog[open], .edit')) {
    if (frame.element.classList.contains('chat--drawer')) frame.element.classList.remove('chat--drawer');
    else frame.closeThread?.();
  }
}

function readOpen() {
  const channel = state.channels.get(state.open.channel);
  if (channel && document.visibilityState === 'visible' && data.unread(channel).messages) data.markRead(channel);
}

// The tab's title shows the number of mentions in all channels.
function showTitle() {
  const channel = state.channels.get(state.open.channel);
  const heading = document.getElementById('channelHeaderTitle');
  if (!channel || !heading) return;
  heading.lastChild.textContent = data.channelName(channel);
  const mentions = [...state.channels.values()].reduce((sum, one) => sum + data.unread(one).mentions, 0);
  document.title = `${mentions ? `(${mentions}) ` : ''}${data.channelName(channel)} – ${state.config.SiteName ?? state.team.display_name}`;
}

function openChannel(channel, socket, signal) {
  const since = data.unread(channel).messages ? (state.members.get(channel.id)?.last_viewed_at ?? 0) : Infinity;
  frame.closeThread?.();
  state.open = { channel: channel.id, thread: null };
  data.changed('open');
  const list = timeline({ channel: channel.id, since, signal, openThread: (root) => openThread(root, socket) });
  const box = composer({ channel: channel.id, socket, signal, editLast: list.editLast, dropZone: frame.main });
  frame.main.replaceChildren(header(channel, signal), list.element, box.element);
  frame.focus = box.focus;
  showTitle();
  if (matchMedia('(hover: hover)').matches) box.focus();
  return data.loadTimeline(channel.id)
    .then(() => state.open.channel === channel.id && data.markRead(channel))
    .catch((error) => list.fail(error));
}

function header(channel, signal) {
  const count = h('button', { type: 'button', class: 'channel__members', id: 'channelMembers', title: 'Members, and adding people', onclick: () => members(channel, showCount), hidden: channel.type === 'D' });
  const showCount = () => api.channelStats(channel.id).then((stats) => {
    count.textContent = `${stats.member_count} ${stats.member_count === 1 ? 'member' : 'members'}`;
  }).catch(() => { count.textContent = 'Members'; });
  count.textContent = 'Members';
  showCount();
  const other = data.teammate(channel);
  const symbol = other ? avatar(other, { small: true, signal }) : icon(channel.type === 'P' ? 'lock' : 'hash');
  const drawer = iconButton('menu', 'Show channels', { class: 'icon-button only-narrow', onclick: openDrawer });
  return h('header', { class: 'channel__header' }, drawer,
    h('h1', { id: 'channelHeaderTitle' }, symbol, h('span', { dir: 'auto' }, data.channelName(channel))), count,
    h('p', { class: 'channel__purpose', dir: 'auto', title: channel.header || channel.purpose }, channel.header || channel.purpose),
    iconButton('search', 'Search messages (Ctrl+Shift+F)', { id: 'searchMessages', onclick: searchMessages }),
    iconButton('hash', 'Find a channel or person (Ctrl+K)', { onclick: switcher }),
    channel.type === 'O' && channel.name !== 'town-square' && iconButton('leave', 'Leave this channel', { onclick: () => leaveChannel(channel) }));
}

async function leaveChannel(channel) {
  if (!(await confirmDialog(`Leave ${channel.display_name}?`, 'You can join it again at any time.', 'Leave'))) return;
  try {
    await api.leaveChannel(channel.id);
    data.removeChannel(channel.id);
  } catch (error) {
    notice(error.message);
  }
}

// Leaves the page of a channel that the user left or was removed from, or that was archived.
function leaveLost() {
  if (state.open.channel && !state.channels.has(state.open.channel)) {
    state.open = { channel: null, thread: null };
    go(`${state.team.name}/channels/town-square`, { replace: true });
  } else {
    showTitle();
  }
}

function openThread(root, socket) {
  frame.closeThread?.();
  const control = new AbortController();
  const { channel } = state.open;
  state.open.thread = root;
  frame.closeThread = () => {
    control.abort();
    frame.closeThread = null;
    frame.side.hidden = true;
    frame.side.replaceChildren();
    state.open.thread = null;
    data.changed('open');
    frame.focus?.();
  };
  const pane = thread({ root, channel, socket, signal: control.signal, close: frame.closeThread, dropZone: frame.side });
  frame.side.replaceChildren(...pane.children);
  frame.side.hidden = false;
  data.changed('open');
  pane.focus();
}

/** Loads everything that is shown again, because events may have been missed. */
export async function refresh() {
  const { channel, thread: root } = state.open;
  state.timelines = new Map([...state.timelines].filter(([id]) => id === channel));
  state.threads = new Map([...state.threads].filter(([id]) => id === root));
  await data.enterTeam(state.team);
  if (!channel || state.open.channel !== channel) return;
  await Promise.all([data.loadTimeline(channel), root && data.loadThread(root)]);
  readOpen();
}
