// The attachments of a message that is being written: picked, pasted or dropped files, uploaded immediately and shown.

import * as api from '../api.js';
import { h, icon, iconButton } from '../dom.js';
import { state } from '../store.js';
import { notice } from './dialogs.js';
import { fileSize } from './files.js';

const MOST_FILES = 10;

/** { element, add(files), take(): Promise of the uploaded FileInfos, which are then removed; busy() }. */
export function attachments({ channel, changed }) {
  const element = h('ul', { class: 'attachments', 'aria-label': 'Attached files' });
  let items = [];

  function drop(item) {
    item.control.abort();
    if (item.picture) URL.revokeObjectURL(item.picture);
    item.element.remove();
    items = items.filter((one) => one !== item);
    changed();
  }

  function add(files) {
    const most = Number(state.config.MaxFileSize || Infinity);
    for (const file of files) {
      if (items.length >= MOST_FILES) return notice(`A message carries at most ${MOST_FILES} files.`);
      if (file.size > most) notice(`${file.name} is larger than the ${fileSize(most)} that this server allows.`);
      else start(file);
    }
  }

  function start(file) {
    const item = { control: new AbortController(), picture: file.type.startsWith('image/') ? URL.createObjectURL(file) : null };
    const progress = h('progress', { max: 1, value: 0, 'aria-label': `Uploading ${file.name}` });
    item.element = h('li', { class: 'attachment' },
      item.picture ? h('img', { src: item.picture, alt: '' }) : h('span', { class: 'attachment__file' }, icon('attach')),
      h('span', { class: 'attachment__name' }, file.name), progress,
      iconButton('close', `Remove ${file.name}`, { onclick: () => drop(item) }));
    element.append(item.element);
    items.push(item);
    changed();
    item.uploaded = api.upload(channel, file, (part) => { progress.value = part; }, item.control.signal)
      .then((info) => {
        item.info = info;
        progress.remove();
        changed();
      })
      .catch((error) => {
        drop(item);
        notice(`${file.name}: ${error.message}`);
      });
  }

  return {
    element,
    add,
    busy: () => items.some((item) => !item.info),
    count: () => items.length,
    async take() {
      const wanted = items.length;
      await Promise.all(items.map((item) => item.uploaded));
      if (items.length < wanted) throw new Error('Not sent: a file was not uploaded.');
      const infos = items.map((item) => item.info);
      for (const item of [...items]) drop(item);
      return infos;
    },
  };
}

/** Passes files that are dropped on `zone` to `add`. */
export function acceptDrops(zone, add, signal) {
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, change);
    zone.classList.toggle('drop-target', depth > 0);
  };
  zone.addEventListener('dragenter', (event) => carriesFiles(event) && mark(depth + 1), { signal });
  zone.addEventListener('dragleave', (event) => carriesFiles(event) && mark(depth - 1), { signal });
  zone.addEventListener('dragover', (event) => carriesFiles(event) && event.preventDefault(), { signal });
  zone.addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(0);
    add([...event.dataTransfer.files]);
  }, { signal });
}
