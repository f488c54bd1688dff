// The pages to create a team in two steps (name, address), and to choose one.

import * as api from '../api.js';
import { h } from '../dom.js';
import { go } from '../router.js';
import { setTeams, state } from '../store.js';
import { field, formCard } from './entry.js';

const RESERVED = ['admin', 'api', 'channel', 'claim', 'error', 'files', 'help', 'landing', 'login', 'mfa', 'oauth', 'plug', 'plugins',
  'post', 'signup', 'boards', 'playbooks'];

function addressFor(name) {
  const plain = name.normalize('NFD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  if (plain.length < 2) return '';
  return RESERVED.some((word) => plain.startsWith(word)) ? `team-${plain}` : plain;
}

function back() {
  return h('p', { class: 'after' }, h('a', { href: `${api.root}select_team` }, 'Back to your teams'));
}

/** Shows the two steps one after the other through `show`. */
export function createTeam(show) {
  show(formCard({
    title: 'Name your team',
    lead: 'A team is where your people and their channels live.',
    fields: [field({ id: 'teamNameInput', label: 'Team name', most: 64, 'data-autofocus': true })],
    action: 'Next',
    actionId: 'teamNameNextButton',
    submit(value) {
      const name = value('teamNameInput').trim();
      if (!name) throw new Error('Enter a name for the team.');
      show(teamAddress(name));
    },
    after: state.teams.size > 0 && back(),
  }));
}

function teamAddress(display_name) {
  return formCard({
    title: 'Choose its address',
    lead: `The address of ${display_name} will be ${location.origin}${api.root}…`,
    fields: [field({ id: 'teamURLInput', label: 'Team address', value: addressFor(display_name), most: 64, autocapitalize: 'none', spellcheck: 'false', 'data-autofocus': true,
      hint: 'Lower-case letters, digits and dashes; 2 to 64 characters.' })],
    action: 'Create team',
    actionId: 'teamURLFinishButton',
    async submit(value) {
      const name = value('teamURLInput').trim().toLowerCase();
      if (!/^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$/.test(name)) throw new Error('Use 2 to 64 lower-case letters, digits and dashes; begin and end with a letter or digit.');
      const word = RESERVED.find((one) => name.startsWith(one));
      if (word) throw new Error(`A team address cannot begin with “${word}”.`);
      if ((await api.teamExists(name)).exists) throw new Error('That address is taken. Choose another.');
      const team = await api.createTeam({ name, display_name, type: 'O' });
      setTeams([...state.teams.values(), team]);
      await go(`${team.name}/channels/town-square`);
    },
  });
}

export async function selectTeam(logOut) {
  const open = (await api.every(api.openTeams).catch(() => [])).filter((team) => !state.teams.has(team.id) && !team.delete_at);
  const problem = h('p', { class: 'problem', role: 'alert' });
  async function join(team) {
    try {
      await api.joinTeam(team.id, state.me.id);
      setTeams(await api.myTeams());
      await go(`${team.name}/channels/town-square`);
    } catch (error) {
      problem.textContent = error.message;
    }
  }
  return h('main', { class: 'card' },
    h('p', { class: 'card__site' }, state.config.SiteName),
    h('h1', null, state.teams.size ? 'Your teams' : 'Join a team'),
    h('ul', { class: 'choices' },
      [...state.teams.values()].map((team) => h('li', null, h('a', { class: 'choice', href: `${api.root}${team.name}/channels/town-square` }, team.display_name))),
      open.map((team) => h('li', null, h('button', { type: 'button', class: 'choice', onclick: () => join(team) }, team.display_name, h('span', { class: 'choice__note' }, 'Join'))))),
    state.teams.size + open.length === 0 && h('p', { class: 'lead' }, 'Ask a colleague for an invite link, or create a team.'),
    problem,
    h('a', { class: 'button', href: `${api.root}create_team` }, 'Create a team'),
    h('p', { class: 'after' }, h('button', { type: 'button', class: 'link', onclick: logOut }, 'Log out')));
}
