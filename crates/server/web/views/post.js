// One post: author, time, text, files, reactions, thread and actions.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';
import { glyph } from '../emoji.js';
import { react } from '../events.js';
import { message } from '../markdown.js';
import * as data from '../store.js';
import { ago, fullTime, timeOfDay } from '../time.js';
import { avatar } from './avatar.js';
import { confirmDialog, copyText, notice } from './dialogs.js';
import { emojiMenu } from './emoji.js';
import { fileList } from './files.js';

const { state } = data;

/** `place` is `center` or `rhs` and part of ids, as in Mattermost's page. `grouped`: the post above shows the name. */
export function postView(post, { place, grouped, openThread }) {
  const rhs = place === 'rhs';
  const system = post.type.startsWith('system_');
  const classes = ['post', grouped && 'post--grouped', system && 'post--system', post.delivery && `post--${post.delivery}`];
  const edited = post.edit_at > 0 && h('span', { class: 'edited', title: fullTime(post.edit_at) }, ' (edited)');
  const text = message(post.message, { id: `${rhs ? 'rhsPostMessageText' : 'postMessageText'}_${post.id}` }, edited);
  const when = h('time', { datetime: new Date(post.create_at).toISOString(), title: fullTime(post.create_at) }, timeOfDay(post.create_at));
  const element = h('article', { id: `${rhs ? 'rhsPost' : 'post'}_${post.id}`, class: classes.filter(Boolean).join(' '), tabindex: -1,
    'aria-label': `${data.displayName(post.user_id)}, ${timeOfDay(post.create_at)}` },
  h('div', { class: 'post__side' }, grouped || system ? when.cloneNode(true) : avatar(post.user_id)),
  h('div', { class: 'post__main' },
    !grouped && !system && h('div', { class: 'post__head' }, h('span', { class: 'post__name' }, data.displayName(post.user_id)), when),
    h('div', { class: 'post__body' }, text),
    fileList(post.metadata?.files ?? []),
    reactions(post),
    !rhs && post.reply_count > 0 && threadFooter(post, openThread),
    post.delivery === 'failed' && failed(post)));
  if (!system && !post.delivery) element.append(actions(post, element, { rhs, openThread }));
  return element;
}

function threadFooter(post, openThread) {
  const fresh = state.unreadThreads.has(post.id);
  return h('button', { type: 'button', class: `replies${fresh ? ' replies--new' : ''}`, onclick: () => openThread(post.id) },
    icon('reply'), `${post.reply_count} ${post.reply_count === 1 ? 'reply' : 'replies'}`,
    post.last_reply_at > 0 && h('span', { class: 'replies__when' }, fresh ? 'new' : ago(post.last_reply_at)));
}

function failed(post) {
  const again = () => data.sendPost({ ...post, files: post.metadata.files }, post);
  return h('p', { class: 'problem', role: 'alert' }, `Not sent. ${post.problem} `,
    h('button', { type: 'button', class: 'link', onclick: again }, 'Send again'), ' ',
    h('button', { type: 'button', class: 'link', onclick: () => data.removePost(post) }, 'Discard'));
}

// ---- reactions

function reactions(post) {
  const byName = new Map();
  for (const one of post.metadata?.reactions ?? []) byName.set(one.emoji_name, [...(byName.get(one.emoji_name) ?? []), one.user_id]);
  if (!byName.size) return null;
  return h('div', { class: 'reactions' }, [...byName].map(([name, people]) => {
    const mine = people.includes(state.me.id);
    const names = people.map(data.displayName).join(', ');
    return h('button', { type: 'button', class: 'reaction', 'aria-pressed': String(mine), title: `${names}: ${name}`, onclick: () => toggle(post, name, !mine) },
      h('span', null, glyph(name)), ` ${people.length}`);
  }));
}

async function toggle(post, emoji_name, present) {
  const reaction = { user_id: state.me.id, post_id: post.id, emoji_name };
  react(reaction, present);
  try {
    await (present ? api.addReaction(reaction) : api.removeReaction(post.id, emoji_name));
  } catch (error) {
    react(reaction, !present);
    notice(error.message);
  }
}

// ---- actions

function actions(post, element, { rhs, openThread }) {
  const mine = post.user_id === state.me.id;
  return h('div', { class: 'post__actions', role: 'group', 'aria-label': 'Actions' },
    iconButton('smile', 'Add a reaction', { onclick: (event) => emojiMenu(event.currentTarget, (name) => toggle(post, name, true)) }),
    !rhs && iconButton('reply', 'Reply in thread', { id: `CENTER_commentIcon_${post.id}`, onclick: () => openThread(post.id) }),
    iconButton('copy', 'Copy the link to this message', { onclick: () => copyText(`${location.origin}${api.root}${state.team.name}/pl/${post.id}`) }),
    mine && !post.type && iconButton('edit', 'Edit', { onclick: () => editPost(post, element) }),
    mine && iconButton('trash', 'Delete', { onclick: () => deletePost(post) }));
}

async function deletePost(post) {
  if (!(await confirmDialog('Delete this message?', 'It will be gone for everyone, with its replies.', 'Delete'))) return;
  try {
    await api.deletePost(post.id);
    data.removePost(post);
  } catch (error) {
    notice(error.message);
  }
}

/** Replaces the text of a post with a box to edit it. Enter saves, Escape cancels. */
export function editPost(post, element) {
  const body = element?.querySelector('.post__body');
  if (!body || body.querySelector('.edit')) return;
  const shown = [...body.childNodes];
  const finish = () => {
    body.replaceChildren(...shown);
    element.focus();
  };
  const save = async () => {
    const text = area.value.trim();
    if (!text || text === post.message) return finish();
    try {
      data.checkLength(text);
      const edited = await api.editPost(post.id, text);
      finish();
      data.updatePost(edited);
    } catch (error) {
      notice(error.message);
    }
  };
  const area = h('textarea', { class: 'edit', dir: 'auto', 'aria-label': 'Edit message', rows: Math.min(8, post.message.split('\n').length), value: post.message,
    onkeydown(event) {
      if (event.isComposing) return;
      if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        save();
      } else if (event.key === 'Escape') {
        event.stopPropagation();
        finish();
      }
    } });
  body.replaceChildren(area, h('p', { class: 'hint' }, 'Enter saves, Escape cancels'));
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}
