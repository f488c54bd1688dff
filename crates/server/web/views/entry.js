// The pages to sign up, with an invite or on an open server, and to log in.

import * as api from '../api.js';
import { h } from '../dom.js';
import { state } from '../store.js';

/** A labelled input of a form. Screen readers read `hint` with it. `most`: how many characters it takes; more are refused, not cut. */
export function field({ id, label, hint, most, ...input }) {
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, name: id, dir: 'auto', 'aria-describedby': hint && `${id}-hint`, 'data-most': most, 'data-label': label, ...input }),
    hint && h('p', { class: 'hint', id: `${id}-hint` }, hint));
}

/** An input for a password; for a new one, with what this server asks of it. */
export function password({ isNew, ...input }) {
  const { PasswordMinimumLength: least = 8, ...config } = state.config;
  const needs = [['Lowercase', 'a lower-case letter'], ['Uppercase', 'an upper-case letter'], ['Number', 'a digit'], ['Symbol', 'a symbol']]
    .filter(([kind]) => config[`PasswordRequire${kind}`] === 'true').map(([, text]) => text);
  const hint = isNew && `At least ${least} characters${needs.length ? `, with ${needs.join(', ')}` : ''}.`;
  return field({ type: 'password', dir: 'ltr', most: isNew && 72, hint, ...input });
}

/** A form. An error that `submit` throws is shown, and read by screen readers. */
export function form({ fields, action, actionId, submit }) {
  const problem = h('p', { class: 'problem', role: 'alert', id: `${actionId}-problem` });
  const button = h('button', { type: 'submit', class: 'button', id: actionId }, action);
  const element = h('form', {
    novalidate: true,
    async onsubmit(event) {
      event.preventDefault();
      if (button.disabled) return;
      problem.textContent = '';
      button.disabled = true;
      try {
        for (const input of element.querySelectorAll('[data-most]')) {
          const [length, most] = [[...input.value].length, Number(input.dataset.most)];
          if (length > most) throw new Error(`${input.dataset.label}: ${length - most} characters too many, at most ${most} are possible.`);
        }
        await submit((id) => element.querySelector(`#${id}`).value);
      } catch (error) {
        problem.textContent = error.message;
        element.querySelector('input')?.focus();
      } finally {
        button.disabled = false;
      }
    },
  }, fields, problem, button);
  return element;
}

/** A page with a form. */
export function formCard({ title, lead, after, ...content }) {
  return h('main', { class: 'card' },
    h('p', { class: 'card__site' }, state.config.SiteName ?? ''), h('h1', null, title), lead && h('p', { class: 'lead' }, lead), form(content), after);
}

/** The text, without spaces around it, which must not be empty. */
export function need(value, message) {
  if (!value.trim()) throw new Error(message);
  return value.trim();
}

/** Logs in; whoever has to confirm their address first is sent to the page that says so. */
async function logInAs(credentials, email) {
  try {
    await api.logIn(credentials);
  } catch (error) {
    if (error.id !== 'api.user.login.not_verified.app_error') throw error;
    location.assign(`${api.root}should_verify_email?email=${encodeURIComponent(email)}`);
    await new Promise(() => {});
  }
}

export function signUp(invite, entered) {
  const least = Number(state.config.PasswordMinimumLength ?? 8);
  return formCard({
    title: 'Create your account',
    lead: invite?.display_name && `You are invited to the team ${invite.display_name}.`,
    fields: [
      field({ id: 'input_email', label: 'Email address', type: 'email', autocomplete: 'email', most: 128, 'data-autofocus': true,
        value: invite?.email, readonly: Boolean(invite?.email) }),
      field({ id: 'input_name', label: 'Username', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', most: 22,
        hint: 'Lower-case letters, digits, dots, dashes; 3 to 22 characters.' }),
      password({ id: 'input_password-input', label: 'Password', autocomplete: 'new-password', isNew: true }),
    ],
    action: 'Create account',
    actionId: 'saveSetting',
    async submit(value) {
      const email = need(value('input_email'), 'Enter your email address.');
      const username = need(value('input_name'), 'Choose a username.').toLowerCase();
      if (!/^[a-z][a-z0-9._-]{2,21}$/.test(username)) throw new Error('The username must begin with a letter and be 3 to 22 characters: letters, digits, dots, dashes.');
      const secret = value('input_password-input');
      if (secret.length < least) throw new Error(`The password needs at least ${least} characters.`);
      const { id, email: stored } = await api.signUp({ email, username, password: secret }, invite);
      await logInAs({ id, password: secret }, stored ?? email);
      await entered();
    },
    after: h('p', { class: 'after' }, 'Already have an account? ',
      h('a', { href: `${api.root}login${invite?.invite_id ? `?id=${encodeURIComponent(invite.invite_id)}` : ''}` }, 'Log in')),
  });
}

export function logIn(invite, entered) {
  const by = [state.config.EnableSignInWithEmail !== 'false' && 'Email', state.config.EnableSignInWithUsername !== 'false' && 'Username'];
  return formCard({
    title: 'Log in',
    fields: [
      field({ id: 'input_loginId', label: by.filter(Boolean).join(' or ') || 'Email', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', 'data-autofocus': true }),
      password({ id: 'input_password-input', label: 'Password', autocomplete: 'current-password' }),
    ],
    action: 'Log in',
    actionId: 'saveSetting',
    async submit(value) {
      const login_id = need(value('input_loginId'), 'Enter your email or username.');
      const secret = value('input_password-input');
      if (!secret) throw new Error('Enter your password.');
      await logInAs({ login_id, password: secret }, login_id.includes('@') ? login_id : '');
      await entered();
    },
    after: [
      state.config.EnableSignUpWithGitLab === 'true' &&
        h('p', { class: 'after' }, h('a', { href: `${api.root}oauth/gitlab/${invite ? `signup?id=${encodeURIComponent(invite)}` : 'login'}` }, 'Log in with GitLab')),
      h('p', { class: 'after' }, h('a', { href: `${api.root}reset_password` }, 'I forgot my password')),
      state.config.EnableUserCreation !== 'false' && (invite || state.config.EnableOpenServer === 'true' || state.config.NoAccounts === 'true') &&
        h('p', { class: 'after' }, 'New here? ',
          h('a', { href: `${api.root}signup_user_complete${invite ? `/?id=${encodeURIComponent(invite)}` : ''}` }, 'Create an account')),
    ],
  });
}
