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
  const dialog = open('Your account', h('p', { class: 'lead' }, me.email), names,
    me.auth_service ? h('p', { class: 'lead' }, `You sign in with ${me.auth_service}: change the password there.`)
      : h('section', { 'aria-label': 'Password' }, h('h3', null, 'Password'), secret));
}
