// The pages that mails lead to, or that ask for a mail: to confirm an address, and to choose a new password.

import * as api from '../api.js';
import { h } from '../dom.js';
import { state } from '../store.js';
import { field, formCard, need, password } from './entry.js';

const back = () => h('p', { class: 'after' }, h('a', { href: `${api.root}login` }, 'Back to the login page'));

/** A page that says something. */
function card(title, ...content) {
  return h('main', { class: 'card' }, h('p', { class: 'card__site' }, state.config.SiteName ?? ''), h('h1', null, title), content);
}

/** A form that asks for an address, and says afterwards that a mail is on its way. */
function askForMail({ title, lead, id, actionId, email, send }, show) {
  return formCard({
    title,
    lead,
    fields: [field({ id, label: 'Email address', type: 'email', autocomplete: 'email', most: 128, value: email, 'data-autofocus': true })],
    action: 'Send the mail',
    actionId,
    async submit(value) {
      await send(need(value(id), 'Enter your email address.'));
      show(card('Look into your mails',
        h('p', { class: 'lead', role: 'status' }, 'If an account has this address, a mail with a link is on its way. Look into the spam folder, too.'), back()));
    },
    after: back(),
  });
}

/** A forgotten password: by mail where the server sends mails, otherwise whom to ask. */
export function forgotPassword(show) {
  if (state.config.MainstaySendsMail === 'true') {
    return askForMail({
      title: 'Forgotten password',
      lead: 'Enter the address of your account. You get a mail with a link to choose a new password.',
      id: 'passwordResetEmailInput',
      actionId: 'passwordResetButton',
      send: api.sendPasswordReset,
    }, show);
  }
  const { SupportEmail: support } = state.config;
  return card('Forgotten password',
    h('p', { class: 'lead' }, 'This server sends no mails. Ask an administrator of it for a new password',
      support ? [' (', h('a', { href: `mailto:${support}` }, support), ')'] : '', '.'),
    h('p', { class: 'hint' }, 'Administrators: ', h('code', null, 'mainstay admin reset-password NAME')),
    back());
}

/** Where the link of a mail leads: a new password. */
export function newPassword(token, show) {
  return formCard({
    title: 'Choose a new password',
    fields: [
      password({ id: 'resetPasswordNew', label: 'New password', autocomplete: 'new-password', isNew: true, 'data-autofocus': true }),
      password({ id: 'resetPasswordAgain', label: 'New password again', autocomplete: 'new-password' }),
    ],
    action: 'Change password',
    actionId: 'resetPasswordButton',
    async submit(value) {
      const wanted = value('resetPasswordNew');
      if (wanted !== value('resetPasswordAgain')) throw new Error('The two new passwords are not the same.');
      await api.resetPassword(token, wanted);
      show(card('Your password is changed', h('p', { class: 'lead', role: 'status' }, 'All your sessions have ended. Log in with the new password.'), back()));
    },
    after: h('p', { class: 'after' }, h('a', { href: `${api.root}reset_password` }, 'Ask for another link')),
  });
}

/** The address of an account has to be confirmed first. */
export function shouldVerify(email, show) {
  return askForMail({
    title: 'Confirm your email address',
    lead: 'You got a mail with a link that confirms your address; then you can log in. If it did not come, ask for another one.',
    id: 'verifyEmailInput',
    actionId: 'verifyEmailButton',
    email,
    send: api.sendVerification,
  }, show);
}

/** Where the link of a mail leads: the address is confirmed by a click, because some mail servers follow every link in a mail. */
export function verify(token, email, show) {
  return formCard({
    title: 'Confirm your email address',
    lead: email,
    fields: [],
    action: 'Confirm',
    actionId: 'doVerifyEmailButton',
    async submit() {
      await api.verifyEmail(token);
      show(card('Your address is confirmed', h('p', { class: 'lead', role: 'status' }, 'You can log in now.'), back()));
    },
    after: h('p', { class: 'after' }, h('a', { href: `${api.root}should_verify_email?email=${encodeURIComponent(email)}` }, 'Ask for another link')),
  });
}
