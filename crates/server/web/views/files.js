// The files of a post: images as previews that open in full size, other files as cards to download.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';

const MAX_WIDTH = 420;
const MAX_HEIGHT = 320;

export function fileSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const unit = bytes < 1024 ** 2 ? 1 : 2;
  return `${(bytes / 1024 ** unit).toFixed(bytes < 10 * 1024 ** unit ? 1 : 0)} ${['', 'kB', 'MB'][unit]}`;
}

export function fileList(files) {
  if (!files.length) return null;
  return h('div', { class: 'files' }, files.map((file) => (isPicture(file) ? image(file) : card(file))));
}

// An animation has no preview: the file itself is shown.
const isPicture = (file) => file.has_preview_image || (file.mime_type === 'image/gif' && file.width > 0);
const pictureUrl = (file) => api.fileUrl(file.id, file.has_preview_image ? '/preview' : '');

function image(file) {
  const scale = Math.min(1, MAX_WIDTH / file.width, MAX_HEIGHT / file.height) || 1;
  const img = h('img', { src: pictureUrl(file), alt: file.name, loading: 'lazy',
    width: Math.max(1, Math.round(file.width * scale)), height: Math.max(1, Math.round(file.height * scale)) });
  // The miniature in the post is shown until the preview is loaded.
  if (file.mini_preview) img.style.backgroundImage = `url("data:image/jpeg;base64,${file.mini_preview}")`;
  img.addEventListener('load', () => { img.style.backgroundImage = ''; }, { once: true });
  return h('button', { type: 'button', class: 'file-image', title: file.name, 'aria-label': `Open ${file.name}`, onclick: () => viewer(file) }, img);
}

function card(file) {
  return h('a', { class: 'file-card', href: api.fileUrl(file.id, '?download=1'), download: file.name },
    h('span', { class: 'file-card__type', 'aria-hidden': 'true' }, (file.extension || 'file').slice(0, 4)),
    h('span', { class: 'file-card__name' }, file.name), h('span', { class: 'quiet' }, fileSize(file.size)));
}

function viewer(file) {
  const dialog = h('dialog', { class: 'viewer', 'aria-label': file.name, onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    h('header', null, h('span', { class: 'viewer__name' }, file.name), h('span', { class: 'quiet' }, fileSize(file.size)),
      h('a', { class: 'icon-button', href: api.fileUrl(file.id, '?download=1'), download: file.name, title: 'Download', 'aria-label': 'Download' }, icon('down')),
      iconButton('close', 'Close', { onclick: () => dialog.close() })),
    h('img', { src: pictureUrl(file), alt: file.name }));
  document.body.append(dialog);
  dialog.showModal();
}
