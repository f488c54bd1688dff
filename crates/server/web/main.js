// The entry point: the session, the pages by their addresses, and the websocket connection.

import * as api from './api.js';
import { h } from './dom.js';
import { apply } from './events.js';
import { go, listen, resolve, route } from './router.js';
import { Socket } from './socket.js';
import * as data from './store.js';
import { startTheme } from './theme.js';
import { refresh, showChat, showPost } from './views/chat.js';
import { logIn, signUp } from './views/entry.js';
import { forgotPassword, newPassword, shouldVerify, verify } from './views/mail.js';
import { createTeam, selectTeam } from './views/team.js';

const { state } = data;
const page = document.getElementById('root');
const socket = new Socket();
const STATUS_MS = 60_000;

function show(element) {
  page.replaceChildren(element);
  page.querySelector('[data-autofocus]')?.focus();
}

// ---- the session

/** Loads the session's user. The socket is opened first, so that no event is missed between loading and listening. */
async function enter() {
  const listening = new Promise((done) => {
    socket.addEventListener('fresh', done, { once: true });
    setTimeout(done, 1_000);
  });
  socket.open();
  const [me, teams, config] = await Promise.all([api.me(), api.myTeams(), api.config(), listening]);
  Object.assign(state, { me, config });
  data.setUsers([me]);
  data.setTeams(teams);
}

async function leave() {
  await api.logOut().catch(() => {});
  forget();
}

function forget() {
  socket.close();
  state.me = null;
  for (const name of ['MMUSERID', 'MMCSRF']) {
    for (const path of [api.root, api.root.slice(0, -1)]) document.cookie = `${name}=; Max-Age=0; Path=${path}`;
  }
  // Loads the page again, so that no data of this session stays in memory for the next user.
  location.assign(`${api.root}login`);
}

/** After signing up or logging in: goes to the team of the invite, or to the first team. */
async function entered(invite) {
  await enter();
  await (invite ? joinInvited(invite) : go('', { replace: true }));
}

async function joinInvited(invite) {
  return joined(await api.joinByInvite(invite));
}

async function joined({ team_id }) {
  data.setTeams(await api.myTeams());
  await go(`${state.teams.get(team_id)?.name ?? ''}/channels/town-square`, { replace: true });
}

// ---- the websocket connection

socket.addEventListener('message', ({ detail }) => apply(detail));
socket.addEventListener('fresh', () => state.team && refresh().catch((error) => console.warn(error.message)));
socket.addEventListener('lost', () => announce('connection', 'Mattermost unreachable. Trying to connect again; messages you write are kept.'));
socket.addEventListener('connected', () => announce('connection', ''));
addEventListener('online', () => socket.hurry());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && socket.hurry());
api.session.addEventListener('expired', () => state.me && forget());

const announcements = new Map();

/** Shows `content` in a red bar at the top, in the place of what was said before about `topic`; nothing for an empty text. */
function announce(topic, content) {
  announcements.set(topic, content);
  document.getElementById('announcements').replaceChildren(...[...announcements.values()].filter(Boolean)
    .map((one) => h('div', { class: 'announcement-bar announcement-bar-critical', role: 'alert' }, one)));
}

/** The websocket accepts pages of the site URL alone: whoever comes by another address is told the right one. */
function checkAddress() {
  const right = state.config.SiteURL;
  const here = `${location.origin}${api.root}`.replace(/\/$/, '');
  if (!right || right.replace(/\/$/, '') === here) return;
  announce('address', [`This page was opened at ${here}, but the address of this site is `, h('a', { href: right }, right), '. New messages may not appear here. Administrators: change the site URL, or the address.']);
}

// ---- the pages

function secured(display) {
  return async (params, query, signal) => {
    if (!state.me) return go('login', { replace: true });
    return display(params, query, signal);
  };
}

const lastTeam = () => [...state.teams.values()].find((team) => team.id === localStorage.getItem('team')) ?? state.teams.values().next().value;

route('', async () => {
  if (!state.me) return go(state.config.NoAccounts === 'true' ? 'signup_user_complete' : 'login', { replace: true });
  const last = lastTeam();
  return go(last ? `${last.name}/channels/town-square` : 'select_team', { replace: true });
});

route('login', (_, query) => {
  if (state.me) return go('', { replace: true });
  const invite = query.get('id');
  return show(logIn(invite, () => entered(invite)));
});

route('signup_user_complete', async (_, query) => {
  const token = query.get('t');
  if (token) return invitedByMail(token, query.get('d'));
  const invite = query.get('id');
  if (state.me) return invite ? joinInvited(invite).catch((error) => fail(error)) : go('', { replace: true });
  try {
    const team = invite ? { ...(await api.inviteInfo(invite)), invite_id: invite } : null;
    return show(signUp(team, () => entered(invite)));
  } catch (error) {
    return fail(error, 'This invite link does not work');
  }
});

/** Where an invitation that came by mail leads. Its text says which address and which team it is about; the server knows it by the token. */
async function invitedByMail(token, text) {
  let said = {};
  try {
    said = JSON.parse(text);
  } catch { /* The token is what counts. */ }
  if (!state.me) return show(signUp({ token, email: said?.email, display_name: said?.display_name }, () => entered()));
  try {
    return await joined(await api.joinByMail(token));
  } catch (error) {
    return fail(error, 'This invitation does not work');
  }
}

route('reset_password', () => show(forgotPassword(show)));
route('reset_password_complete', (_, query) => show(newPassword(query.get('token') ?? '', show)));
route('should_verify_email', (_, query) => show(shouldVerify(query.get('email') ?? '', show)));
route('do_verify_email', (_, query) => show(verify(query.get('token') ?? '', query.get('email') ?? '', show)));
route('create_team', secured(() => createTeam(show)));
route('select_team', secured(async () => show(await selectTeam(leave))));

const chat = (params, signal) => showChat(page, params, { socket, leave, signal }).catch((error) => fail(error));
route(':team/channels/:channel', secured((params, _, signal) => chat(params, signal)));
route(':team/messages/:person', secured((params, _, signal) => chat(params, signal)));
route('_redirect/pl/:post', secured(({ post }) => go(`${lastTeam()?.name ?? ''}/pl/${post}`, { replace: true })));
route(':team/pl/:post', secured((params, _, signal) => showPost(page, params, { socket, leave, signal }).catch((error) => fail(error, 'This message cannot be shown'))));
route(':team', secured(({ team }) => go(`${team}/channels/town-square`, { replace: true })));

function fail(error, title = 'That did not work') {
  console.warn(error.message);
  show(h('main', { class: 'card' }, h('h1', null, title), h('p', { class: 'problem', role: 'alert' }, error.message),
    h('a', { class: 'button', href: `${api.root}select_team` }, 'Go on')));
}

async function start() {
  startTheme();
  listen();
  // A file that is dropped outside the message box must not replace the page.
  for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
  if (api.cookie('MMUSERID')) {
    try {
      await enter();
    } catch (error) {
      socket.close();
      if (error.status !== 401) throw error;
      state.config = await api.config();
    }
  } else {
    state.config = await api.config();
  }
  checkAddress();
  setInterval(() => state.team && data.fetchStatuses().catch(() => {}), STATUS_MS);
  await resolve();
}

start().catch((error) => show(h('main', { class: 'card' }, h('h1', null, 'The server cannot be reached'),
  h('p', { class: 'problem', role: 'alert' }, error.message),
  h('button', { type: 'button', class: 'button', onclick: () => location.reload() }, 'Try again'))));
