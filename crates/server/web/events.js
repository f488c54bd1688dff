// Applies the server's events to the store. There is a function for each event; other events are ignored.

import * as api from './api.js';
import * as data from './store.js';

const { state, changed } = data;
const TYPING_MS = 6_000;

function visible(channel) {
  return state.open.channel === channel && document.visibilityState === 'visible';
}

function countUnread(post, mentioned) {
  const channel = state.channels.get(post.channel_id);
  const member = state.members.get(post.channel_id);
  if (!channel || !member) return;
  channel.last_post_at = post.create_at;
  if (post.root_id) return;
  channel.total_msg_count_root = (channel.total_msg_count_root ?? 0) + 1;
  channel.last_root_post_at = post.create_at;
  if (post.user_id === state.me.id) member.msg_count_root = channel.total_msg_count_root;
  else if (visible(channel.id)) data.markRead(channel);
  else if (mentioned) member.mention_count_root = (member.mention_count_root ?? 0) + 1;
  changed('channels');
}

function countUnreadThread(post, followers) {
  if (!post.root_id || post.user_id === state.me.id || !followers.includes(state.me.id)) return;
  if (state.open.thread === post.root_id && document.visibilityState === 'visible') {
    api.readThread(state.team.id, post.root_id, post.create_at).catch(() => {});
    return;
  }
  state.unreadThreads.set(post.root_id, post.channel_id);
  changed('channels');
  changed('timeline', post.channel_id);
}

function stopTyping(place, userId) {
  if (state.typing.get(place)?.delete(userId)) changed('typing');
}

const on = {
  async posted({ post: text, mentions = '[]', followers = '[]', team_id }) {
    const post = JSON.parse(text);
    stopTyping(post.root_id || post.channel_id, post.user_id);
    if (!state.channels.has(post.channel_id) && (!team_id || team_id === state.team?.id)) {
      await data.addChannel(await api.channel(post.channel_id));
      return;
    }
    if (!data.addPost(post)) return;
    countUnread(post, JSON.parse(mentions).includes(state.me.id));
    countUnreadThread(post, JSON.parse(followers));
  },
  ephemeral_message: ({ post }) => data.addPost(JSON.parse(post)),
  post_edited: ({ post }) => data.updatePost(JSON.parse(post)),
  post_deleted: ({ post }) => data.removePost(JSON.parse(post)),
  reaction_added: ({ reaction }) => react(JSON.parse(reaction), true),
  reaction_removed: ({ reaction }) => react(JSON.parse(reaction), false),

  typing({ user_id, parent_id }, { channel_id }) {
    if (user_id === state.me.id) return;
    const place = parent_id || channel_id;
    const people = state.typing.get(place) ?? new Map();
    state.typing.set(place, people.set(user_id, Date.now() + TYPING_MS));
    changed('typing');
    setTimeout(() => people.get(user_id) <= Date.now() && stopTyping(place, user_id), TYPING_MS);
  },

  async user_added({ user_id, team_id }, { channel_id }) {
    if (user_id === state.me.id && team_id === state.team?.id) await data.addChannel(await api.channel(channel_id));
  },
  user_removed({ user_id, channel_id }, broadcast) {
    const mine = user_id === state.me.id || broadcast.user_id === state.me.id;
    if (mine) data.removeChannel(channel_id || broadcast.channel_id);
  },
  channel_deleted: ({ channel_id }) => data.removeChannel(channel_id),
  channel_updated({ channel }) {
    const next = JSON.parse(channel);
    const known = state.channels.get(next.id);
    if (known) Object.assign(known, { display_name: next.display_name, header: next.header, purpose: next.purpose, name: next.name });
    changed('channels');
  },
  multiple_channels_viewed({ channel_times }) {
    for (const id of Object.keys(channel_times)) {
      const [channel, member] = [state.channels.get(id), state.members.get(id)];
      if (channel && member) Object.assign(member, { msg_count_root: channel.total_msg_count_root, mention_count_root: 0 });
    }
    changed('channels');
  },
  thread_read_changed({ thread_id }) {
    if (thread_id && state.unreadThreads.delete(thread_id)) changed('channels');
  },
  user_updated: ({ user }) => state.users.has(user.id) && data.setUsers([{ ...state.users.get(user.id), ...user }]),
  status_change({ user_id, status }) {
    state.statuses.set(user_id, status);
    changed('statuses');
  },
  added_to_team: refreshTeams,
  leave_team: refreshTeams,
  update_team: refreshTeams,
  delete_team: refreshTeams,
};

async function refreshTeams() {
  data.setTeams(await api.myTeams());
}

/** Adds or removes a reaction of a known post. */
export function react(reaction, present) {
  const post = state.posts.get(reaction.post_id);
  if (!post) return;
  const same = (one) => one.user_id === reaction.user_id && one.emoji_name === reaction.emoji_name;
  const others = (post.metadata?.reactions ?? []).filter((one) => !same(one));
  data.updatePost({ ...post, metadata: { ...post.metadata, reactions: present ? [...others, reaction] : others } });
}

/** Applies one event from the socket. */
export function apply({ event, data: detail, broadcast }) {
  if (!state.me) return;
  Promise.resolve(on[event]?.(detail, broadcast)).catch((error) => console.warn(`event ${event}: ${error.message}`));
}
