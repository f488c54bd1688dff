// The pages to sign up, with an invite or on an open server, and to log in.

import * as api from '../api.js';
import { h } from '../dom.js';
import { state } from '../store.js';

/** A labelled input of a form. Screen readers read `hint` with it. */
export function field({ id, label, hint, ...input }) {
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, name: id, 'aria-describedby': hint && `${id}-hint`, ...input }),
    hint && h('p', { class: 'hint', id: `${id}-hint` }, hint));
}

/** A card with a form. An error that `submit` throws is shown, and read by screen readers. */
export function formCard({ title, lead, fields, action, actionId, submit, after }) {
  const problem = h('p', { class: 'problem', role: 'alert', id: 'problem' });
  const button = h('button', { type: 'submit', class: 'button', id: actionId }, action);
  const form = h('form', {
    novalidate: true,
    async onsubmit(event) {
      event.preventDefault();
      if (button.disabled) return;
      problem.textContent = '';
      button.disabled = true;
      try {
        await submit((id) => form.querySelector(`#${id}`).value);
      } catch (error) {
        problem.textContent = error.message;
        form.querySelector('input')?.focus();
      } finally {
        button.disabled = false;
      }
    },
  }, fields, problem, button);
  return h('main', { class: 'card' },
    h('p', { class: 'card__site' }, state.config.SiteName ?? ''), h('h1', null, title), lead && h('p', { class: 'lead' }, lead), form, after);
}

function need(value, message) {
  if (!value.trim()) throw new Error(message);
  return value.trim();
}

export function signUp(invite, entered) {
  const least = Number(state.config.PasswordMinimumLength ?? 8);
  return formCard({
    title: 'Create your account',
    lead: invite?.display_name && `You are invited to the team ${invite.display_name}.`,
    fields: [
      field({ id: 'input_email', label: 'Email address', type: 'email', autocomplete: 'email', maxlength: 128, 'data-autofocus': true }),
      field({ id: 'input_name', label: 'Username', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', maxlength: 22,
        hint: 'Lower-case letters, digits, dots, dashes; 3 to 22 characters.' }),
      field({ id: 'input_password-input', label: 'Password', type: 'password', autocomplete: 'new-password', maxlength: 72,
        hint: `At least ${least} characters.` }),
    ],
    action: 'Create account',
    actionId: 'saveSetting',
    async submit(value) {
      const email = need(value('input_email'), 'Enter your email address.');
      const username = need(value('input_name'), 'Choose a username.').toLowerCase();
      if (!/^[a-z][a-z0-9._-]{2,21}$/.test(username)) throw new Error('The username must begin with a letter and be 3 to 22 characters: letters, digits, dots, dashes.');
      const password = value('input_password-input');
      if (password.length < least) throw new Error(`The password needs at least ${least} characters.`);
      const { id } = await api.signUp({ email, username, password }, invite?.invite_id);
      await api.logIn({ id, password });
      await entered();
    },
    after: h('p', { class: 'after' }, 'Already have an account? ',
      h('a', { href: `${api.root}login${invite ? `?id=${encodeURIComponent(invite.invite_id)}` : ''}` }, 'Log in')),
  });
}

export function logIn(invite, entered) {
  const by = [state.config.EnableSignInWithEmail !== 'false' && 'Email', state.config.EnableSignInWithUsername !== 'false' && 'Username'];
  return formCard({
    title: 'Log in',
    fields: [
      field({ id: 'input_loginId', label: by.filter(Boolean).join(' or ') || 'Email', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', 'data-autofocus': true }),
      field({ id: 'input_password-input', label: 'Password', type: 'password', autocomplete: 'current-password' }),
    ],
    action: 'Log in',
    actionId: 'saveSetting',
    async submit(value) {
      const login_id = need(value('input_loginId'), 'Enter your email or username.');
      const password = value('input_password-input');
      if (!password) throw new Error('Enter your password.');
      await api.logIn({ login_id, password });
      await entered();
    },
    after: state.config.EnableUserCreation !== 'false' && (invite || state.config.EnableOpenServer === 'true' || state.config.NoAccounts === 'true') &&
      h('p', { class: 'after' }, 'New here? ',
        h('a', { href: `${api.root}signup_user_complete${invite ? `/?id=${encodeURIComponent(invite)}` : ''}` }, 'Create an account')),
  });
}
