// A user's picture: their own, or their initial on a colour that depends on their id.

import * as api from '../api.js';
import { h } from '../dom.js';
import { state, store, user } from '../store.js';

const HUES = 12;

function hue(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return sum % HUES;
}

/** The picture, which is decorative: the name is beside it. `status` adds the status dot, which is updated until `signal`. */
export function avatar(id, { small = false, status = false, signal } = {}) {
  const element = h('span', { class: `avatar hue-${hue(id)}${small ? ' avatar--small' : ''}`, 'aria-hidden': 'true' });
  const paint = () => {
    const known = user(id);
    element.replaceChildren(known?.last_picture_update
      ? h('img', { src: api.avatarUrl(known), alt: '', loading: 'lazy' })
      : (known?.username ?? '').charAt(0).toUpperCase());
    if (status) element.append(h('i', { class: `status status--${state.statuses.get(id) ?? 'offline'}` }));
  };
  paint();
  if (signal) for (const topic of ['users', 'statuses']) store.addEventListener(topic, paint, { signal });
  return element;
}
