// The page's data. Views read `state`, and listen on `store` for changes of the topics that they show. Only this module
// writes `state`.

import * as api from './api.js';

export const store = new EventTarget();

/** Number of posts in a page that api.js loads. */
const PAGE = 60;
const VIEW_EVERY_MS = 500;

export const state = {
  config: {},
  me: null,
  users: new Map(),
  statuses: new Map(),
  teams: new Map(),
  team: null,
  /** This team's channels and the direct ones, by id; `members` has this user's membership in each. */
  channels: new Map(),
  members: new Map(),
  posts: new Map(),
  /** Channel id -> { ids: root posts, oldest first; whole: nothing older exists; loading }. */
  timelines: new Map(),
  /** Root id -> ids of its replies, oldest first; only for threads that were opened. */
  threads: new Map(),
  /** Root id of a thread with unread replies -> channel id. */
  unreadThreads: new Map(),
  /** Channel or root id -> Map of user id -> time (ms) at which the typing mark ends. */
  typing: new Map(),
  open: { channel: null, thread: null },
};

/** Notifies the listeners of `topic`: session, teams, channels, users, statuses, typing, timeline, thread, open. */
export function changed(topic, detail) {
  store.dispatchEvent(new CustomEvent(topic, { detail }));
}

// ---- users

const asked = new Set();
let wanted = [];

/** The user, or null until a `users` event later. An unknown id is requested only once. */
export function user(id) {
  const known = state.users.get(id);
  if (!known && id && !asked.has(id)) {
    asked.add(id);
    if (wanted.push(id) === 1) queueMicrotask(fetchWanted);
  }
  return known ?? null;
}

/** Loads the users that are not known yet. */
export async function loadUsers(ids) {
  const unknown = ids.filter((id) => !state.users.has(id));
  for (let at = 0; at < unknown.length; at += 100) setUsers(await api.usersByIds(unknown.slice(at, at + 100)));
}

async function fetchWanted() {
  const ids = wanted;
  wanted = [];
  try {
    await loadUsers(ids);
  } catch (error) {
    for (const id of ids) asked.delete(id);
    console.warn(error.message);
  }
}

export function setUsers(users) {
  for (const one of users) state.users.set(one.id, one);
  changed('users');
}

/** Puts this user's changed account in the place of the old one. */
export function setMe(me) {
  state.me = { ...state.me, ...me };
  setUsers([state.me]);
}

/** Whether one of a user's names contains `text`, which is in lower case. */
export function isLike(one, text) {
  return [one.username, one.first_name, one.last_name, one.nickname].some((name) => name?.toLowerCase().includes(text));
}

export function displayName(id) {
  const known = user(id);
  if (!known) return '…';
  const full = [known.first_name, known.last_name].filter(Boolean).join(' ');
  const style = state.config.TeammateNameDisplay;
  if (style === 'nickname_full_name') return known.nickname || full || known.username;
  if (style === 'full_name') return full || known.username;
  return known.username;
}

export async function fetchStatuses() {
  const ids = [...state.channels.values()].map(teammate).filter(Boolean);
  for (const one of await api.statuses([...new Set([state.me.id, ...ids])])) state.statuses.set(one.user_id, one.status);
  changed('statuses');
}

// ---- teams and channels

export function setTeams(teams) {
  state.teams = new Map(teams.map((team) => [team.id, team]));
  changed('teams');
}

/** Loads a team's channels, memberships and unread threads. */
export async function enterTeam(team) {
  const [channels, members, threads] = await Promise.all([
    api.myChannels(team.id),
    api.myMemberships(team.id),
    api.unreadThreads(team.id).catch(() => null),
  ]);
  state.team = team;
  state.channels = new Map(channels.map((one) => [one.id, one]));
  state.members = new Map(members.map((one) => [one.channel_id, one]));
  state.unreadThreads = new Map((threads?.threads ?? []).map((one) => [one.id, one.post.channel_id]));
  changed('channels');
}

/** Adds a channel that this user just created or joined. */
export async function addChannel(channel) {
  const member = await api.membership(channel.id);
  state.channels.set(channel.id, channel);
  state.members.set(channel.id, member);
  changed('channels');
}

export function removeChannel(id) {
  state.channels.delete(id);
  state.members.delete(id);
  state.timelines.delete(id);
  changed('channels');
}

/** The other user of a direct channel (or this user, in the channel with themselves); null for other channels. */
export function teammate(channel) {
  if (channel.type !== 'D') return null;
  const [first, second] = channel.name.split('__');
  return first === state.me.id ? second : first;
}

export function channelName(channel) {
  const other = teammate(channel);
  return other ? displayName(other) : channel.display_name;
}

export function channelPath(channel) {
  const other = teammate(channel);
  const place = other ? `messages/@${user(other)?.username ?? other}` : `channels/${channel.name}`;
  return `${api.root}${state.team.name}/${place}`;
}

/** { messages, mentions, threads }: the unread counts of a channel. */
export function unread(channel) {
  const member = state.members.get(channel.id);
  const threads = [...state.unreadThreads.values()].filter((id) => id === channel.id).length;
  if (!member) return { messages: 0, mentions: 0, threads };
  const messages = Math.max(0, (channel.total_msg_count_root ?? 0) - (member.msg_count_root ?? 0));
  const mentions = channel.type === 'D' ? messages : (member.mention_count_root ?? 0);
  return { messages, mentions, threads };
}

const viewing = new Set();

/** Marks a channel as read: immediately here, and later on the server, so that a busy channel causes few requests. */
export function markRead(channel) {
  const member = state.members.get(channel.id);
  if (!member) return;
  Object.assign(member, { msg_count_root: channel.total_msg_count_root, mention_count_root: 0, last_viewed_at: Date.now() });
  changed('channels');
  if (viewing.has(channel.id)) return;
  viewing.add(channel.id);
  setTimeout(() => {
    viewing.delete(channel.id);
    api.view(channel.id, '').catch((error) => console.warn(error.message));
  }, VIEW_EVERY_MS);
}

// ---- posts

function keep(post) {
  const before = state.posts.get(post.id);
  state.posts.set(post.id, post);
  if (post.pending_post_id && post.pending_post_id !== post.id) state.posts.delete(post.pending_post_id);
  return before;
}

function insert(ids, post) {
  const without = ids.filter((id) => id !== post.id && id !== post.pending_post_id);
  let at = without.length;
  while (at > 0 && (state.posts.get(without[at - 1])?.create_at ?? 0) > post.create_at) at--;
  without.splice(at, 0, post.id);
  return without;
}

function rootsOf(list) {
  for (const post of Object.values(list.posts)) keep(post);
  return list.order.map((id) => list.posts[id]).filter((post) => !post.root_id).reverse();
}

// The posts that a loaded list lacks: those that arrived while it was loading, and unsent ones.
function notIn(fetched, ids) {
  const newest = fetched.at(-1)?.create_at ?? 0;
  const known = new Set(fetched.map((post) => post.id));
  const isNews = (post) => post && !known.has(post.id) && (post.delivery || post.create_at > newest);
  return ids.filter((id) => isNews(state.posts.get(id)));
}

/** Loads the newest page and replaces the known posts, so that missed posts are shown. */
export async function loadTimeline(channel) {
  // From now on, posts from events are added to this list.
  if (!state.timelines.has(channel)) state.timelines.set(channel, { ids: [], whole: true, loading: true });
  const list = await api.posts(channel, { page: 0 });
  const roots = rootsOf(list);
  const news = notIn(roots, state.timelines.get(channel)?.ids ?? []);
  state.timelines.set(channel, { ids: [...roots.map((post) => post.id), ...news], whole: list.order.length < PAGE, loading: false });
  changed('timeline', channel);
}

/** Loads the page before the oldest known post. */
export async function loadOlder(channel, count = PAGE) {
  const timeline = state.timelines.get(channel);
  const oldest = timeline?.ids[0];
  if (!oldest || timeline.whole) return;
  const list = await api.posts(channel, { before: oldest, per_page: count });
  const known = new Set(timeline.ids);
  const older = rootsOf(list).filter((post) => !known.has(post.id));
  timeline.ids = [...older.map((post) => post.id), ...timeline.ids];
  timeline.whole = list.order.length < count;
  changed('timeline', channel);
}

/** Loads older pages until the timeline has the post `id`, but at most `most` posts. Whether it has it. */
export async function loadBackTo(channel, id, most) {
  const timeline = () => state.timelines.get(channel);
  while (!timeline().ids.includes(id)) {
    if (timeline().whole || timeline().ids.length >= most) return false;
    await loadOlder(channel, 200);
  }
  return true;
}

export async function loadThread(root) {
  const list = await api.thread(root);
  for (const post of Object.values(list.posts)) keep(post);
  const replies = Object.values(list.posts).filter((post) => post.root_id === root).sort((a, b) => a.create_at - b.create_at);
  state.threads.set(root, [...replies.map((post) => post.id), ...notIn(replies, state.threads.get(root) ?? [])]);
  changed('thread', root);
}

/** Adds a new post: from an event, from the answer to sending it, or (with `delivery`) before it is sent. */
export function addPost(post) {
  const before = keep(post) ?? state.posts.get(post.pending_post_id);
  if (post.root_id) {
    const root = state.posts.get(post.root_id);
    if (root && !before && !post.delivery) {
      const participants = root.participants ?? [];
      const known = participants.some((one) => one.id === post.user_id);
      state.posts.set(root.id, {
        ...root,
        reply_count: (root.reply_count ?? 0) + 1,
        last_reply_at: post.create_at,
        participants: known ? participants : [...participants, { id: post.user_id }],
      });
      changed('timeline', post.channel_id);
    }
    if (state.threads.has(post.root_id)) state.threads.set(post.root_id, insert(state.threads.get(post.root_id), post));
    changed('thread', post.root_id);
  } else {
    const timeline = state.timelines.get(post.channel_id);
    if (timeline) timeline.ids = insert(timeline.ids, post);
    changed('timeline', post.channel_id);
  }
  return !before;
}

/** Replaces a known post with a new version. */
export function updatePost(post) {
  const before = state.posts.get(post.id);
  if (!before) return;
  state.posts.set(post.id, { ...before, ...post, metadata: { ...before.metadata, ...post.metadata } });
  changed(post.root_id ? 'thread' : 'timeline', post.root_id || post.channel_id);
  if (!post.root_id) changed('thread', post.id);
}

export function removePost(post) {
  state.posts.delete(post.id);
  const timeline = state.timelines.get(post.channel_id);
  if (timeline) timeline.ids = timeline.ids.filter((id) => id !== post.id);
  const replies = state.threads.get(post.root_id);
  if (replies?.includes(post.id)) state.threads.set(post.root_id, replies.filter((id) => id !== post.id));
  const root = state.posts.get(post.root_id);
  if (root?.reply_count) state.posts.set(root.id, { ...root, reply_count: root.reply_count - 1 });
  changed('timeline', post.channel_id);
  changed('thread', post.root_id || post.id);
}

/** Throws if a message is longer than this server takes. Nothing is cut off. */
export function checkLength(message) {
  const most = Number(state.config.MaxPostSize || 16383);
  const length = [...message].length;
  if (length > most) throw new Error(`The message is ${length - most} characters too long: at most ${most} are possible. Send it in parts, or as a file.`);
}

/** Shows the post, then sends it. If that fails, it stays, is marked as failed, and can be sent again. */
export async function sendPost({ channel_id, root_id = '', message, files = [] }, again) {
  const now = Date.now();
  const id = again?.id ?? `${state.me.id}:${now}`;
  const draft = {
    id, pending_post_id: id, channel_id, root_id, message, type: '', props: {}, user_id: state.me.id,
    create_at: now, update_at: now, file_ids: files.map((file) => file.id), metadata: { files }, delivery: 'sending',
  };
  addPost(draft);
  try {
    const { file_ids } = draft;
    addPost(await api.createPost({ channel_id, root_id, message, file_ids, pending_post_id: id }));
    const channel = state.channels.get(channel_id);
    if (channel) markRead(channel);
  } catch (error) {
    if (state.posts.has(id)) updatePost({ ...draft, update_at: Date.now(), delivery: 'failed', problem: error.message });
  }
}
