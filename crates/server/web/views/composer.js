// The box for writing a message: Enter sends, Shift+Enter begins a new line, Up edits the last message.

import * as api from '../api.js';
import { h, iconButton } from '../dom.js';
import { go } from '../router.js';
import * as data from '../store.js';
import { acceptDrops, attachments } from './attachments.js';
import { notice } from './dialogs.js';
import { emojiMenu } from './emoji.js';

const { state, store } = data;
const TYPING_EVERY_MS = 5_000;

/** The box of a channel, or with `root` of that post's thread. */
export function composer({ channel, root = '', socket, signal, editLast, dropZone }) {
  const place = root || channel;
  const draft = `draft:${place}`;
  const files = attachments({ channel, changed: showState });
  let typingToldAt = 0;
  let sending = false;

  const area = h('textarea', {
    id: root ? 'reply_textbox' : 'post_textbox', rows: 1, value: sessionStorage.getItem(draft) ?? '', 'aria-label': 'Message', dir: 'auto',
    oninput() {
      sessionStorage.setItem(draft, area.value);
      if (area.value && Date.now() - typingToldAt > TYPING_EVERY_MS && socket.send('user_typing', { channel_id: channel, parent_id: root })) typingToldAt = Date.now();
      showState();
    },
    onkeydown(event) {
      if (event.isComposing) return;
      if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        submit();
      } else if (event.key === 'ArrowUp' && !area.value && !files.count()) {
        event.preventDefault();
        editLast?.();
      }
    },
    onpaste(event) {
      const pasted = [...event.clipboardData.files];
      if (!pasted.length) return;
      event.preventDefault();
      files.add(pasted);
    },
  });
  const input = h('input', { id: root ? 'fileUploadInputRhs' : 'fileUploadInput', type: 'file', multiple: true, class: 'hidden-input', tabindex: -1, 'aria-label': 'Attach files',
    onchange() {
      files.add([...input.files]);
      input.value = '';
      area.focus();
    } });
  const send = iconButton('send', 'Send', { class: 'icon-button send', onclick: submit });
  const mayAttach = state.config.EnableFileAttachments !== 'false';
  const typing = h('p', { class: 'typing', 'aria-live': 'polite' });
  const element = h('div', { class: 'composer' },
    h('div', { class: 'composer__box' }, files.element,
      h('div', { class: 'composer__row' },
        mayAttach && iconButton('attach', 'Attach files', { onclick: () => input.click() }), mayAttach && input, area,
        iconButton('smile', 'Insert an emoji', { onclick: (event) => emojiMenu(event.currentTarget, (_, character) => insert(character)) }), send)),
    typing);

  function showState() {
    send.disabled = sending || !(area.value.trim() || files.count());
    if (!CSS.supports('field-sizing', 'content')) {
      area.style.height = 'auto';
      area.style.height = `${area.scrollHeight}px`;
    }
  }

  function insert(text) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
    area.dispatchEvent(new Event('input'));
    area.focus();
  }

  function label() {
    const open = state.channels.get(channel);
    area.placeholder = root ? 'Reply to this thread' : `Write to ${open ? data.channelName(open) : 'the channel'}`;
  }

  async function submit() {
    if (send.disabled) return;
    sending = true;
    showState();
    try {
      const message = area.value.trim();
      data.checkLength(message);
      const infos = await files.take();
      if (!message && !infos.length) return;
      area.value = '';
      sessionStorage.removeItem(draft);
      typingToldAt = 0;
      if (message.startsWith('/') && !infos.length) {
        await runCommand(message);
        return;
      }
      data.sendPost({ channel_id: channel, root_id: root, message, files: infos });
    } catch (error) {
      notice(error.message);
    } finally {
      sending = false;
      showState();
    }
  }

  /** Runs a slash command; a refused one comes back into the box. */
  async function runCommand(command) {
    try {
      const { goto_location: there } = await api.runCommand({ channel_id: channel, team_id: state.team?.id ?? '', root_id: root, command });
      if (there === '/logout') {
        await api.logOut();
        location.assign(api.root);
      } else if (there?.startsWith('/')) {
        await go(there);
      } else if (/^https?:/.test(there ?? '')) {
        open(there, '_blank', 'noopener');
      }
    } catch (error) {
      if (!area.value) area.value = command;
      throw error;
    }
  }

  function showTyping() {
    const names = [...(state.typing.get(place)?.keys() ?? [])].map(data.displayName);
    typing.textContent = names.length === 0 ? '' : names.length === 1 ? `${names[0]} is typing…`
      : names.length < 4 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are typing…` : 'Several people are typing…';
  }

  store.addEventListener('typing', showTyping, { signal });
  store.addEventListener('users', () => { label(); showTyping(); }, { signal });
  if (dropZone && mayAttach) acceptDrops(dropZone, files.add, signal);
  label();
  showState();
  return { element, focus: () => area.focus() };
}
