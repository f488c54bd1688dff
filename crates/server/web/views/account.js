// The user's own account: names and password.

import * as api from '../api.js';
import { h } from '../dom.js';
import * as data from '../store.js';
import { notice, open } from './dialogs.js';
import { field, form, password } from './entry.js';

const { state } = data;

export function account() {
  const { me } = state;
  const names = form({
    fields: [
      field({ id: 'accountUsername', label: 'Username', value: me.username, most: 22, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' }),
      field({ id: 'accountFirstName', label: 'First name', value: me.first_name, most: 64, autocomplete: 'given-name' }),
      field({ id: 'accountLastName', label: 'Last name', value: me.last_name, most: 64, autocomplete: 'family-name' }),
      field({ id: 'accountNickname', label: 'Nickname', value: me.nickname, most: 64, autocomplete: 'nickname' }),
      field({ id: 'accountPosition', label: 'Position', value: me.position, most: 128, autocomplete: 'organization-title' }),
    ],
    action: 'Save',
    actionId: 'accountSave',
    async submit(value) {
      const changed = await api.patchMe({
        username: value('accountUsername').trim().toLowerCase(), first_name: value('accountFirstName').trim(), last_name: value('accountLastName').trim(),
        nickname: value('accountNickname').trim(), position: value('accountPosition').trim(),
      });
      data.setMe(changed);
      notice('Your account is changed.');
    },
  });
  const secret = form({
    fields: [
      password({ id: 'passwordCurrent', label: 'Current password', autocomplete: 'current-password' }),
      password({ id: 'passwordNew', label: 'New password', autocomplete: 'new-password', isNew: true }),
      password({ id: 'passwordAgain', label: 'New password again', autocomplete: 'new-password' }),
    ],
    action: 'Change password',
    actionId: 'passwordSave',
    async submit(value) {
      const wanted = value('passwordNew');
      if (wanted !== value('passwordAgain')) throw new Error('The two new passwords are not the same.');
      await api.changePassword(value('passwordCurrent'), wanted);
      notice('Your password is changed.');
      dialog.close();
    },
  });
  const mails = state.config.SendEmailNotifications === 'true' && mailNotifications();
  const dialog = open('Your account', h('p', { class: 'lead' }, me.email), names,
    me.auth_service ? h('p', { class: 'lead' }, `You sign in with ${me.auth_service}: change the password there.`)
      : h('section', { 'aria-label': 'Password' }, h('h3', null, 'Password'), secret), mails);
}

const INTERVALS = [['30', 'At once'], ['900', 'Every 15 minutes'], ['3600', 'Every hour']];

/** When mails about messages are sent to whoever is away. */
function mailNotifications() {
  const { me } = state;
  const batching = state.config.EnableEmailBatching === 'true';
  const choices = [...(batching ? INTERVALS : INTERVALS.slice(0, 1)), ['0', 'Never']];
  const select = h('select', { id: 'mailNotifications' }, choices.map(([value, label]) => h('option', { value }, label)));
  const wanted = me.notify_props?.email !== 'false';
  select.value = wanted ? (batching ? '900' : '30') : '0';
  if (wanted && batching) {
    api.preference('notifications', 'email_interval').then(({ value }) => { select.value = value; }).catch(() => { /* None is stored. */ });
  }
  return h('section', { 'aria-label': 'Mails' }, h('h3', null, 'Mails'), form({
    fields: [h('div', { class: 'field' }, h('label', { for: 'mailNotifications' }, 'Mails about mentions and direct messages while you are away'), select)],
    action: 'Save',
    actionId: 'mailNotificationsSave',
    async submit(value) {
      const interval = value('mailNotifications');
      await api.savePreference(me.id, 'notifications', 'email_interval', interval);
      data.setMe(await api.patchMe({ notify_props: { ...state.me.notify_props, email: String(interval !== '0') } }));
      notice('Your settings for mails are changed.');
    },
  }));
}
