// The server's HTTP API: a function for each call. Answers are parsed JSON, failures are thrown as ApiError.

/** The site's root path with a trailing slash. The assets are in <root>static/<hash>/. */
export const root = new URL('../../', import.meta.url).pathname;
const base = `${root}api/v4`;
const PER_PAGE = 200;

/** A refusal by the server, identified by its `id`. `status` 0 means that the server could not be reached. */
export class ApiError extends Error {
  constructor(status, id, message) {
    super(message);
    this.status = status;
    this.id = id;
  }
}

export function cookie(name) {
  const entry = document.cookie.split('; ').find((part) => part.startsWith(`${name}=`));
  return entry ? decodeURIComponent(entry.slice(name.length + 1)) : '';
}

/** Gets an event when the session has ended; main.js then shows the login page. */
export const session = new EventTarget();

function headers(extra) {
  return { 'X-Requested-With': 'XMLHttpRequest', 'X-CSRF-Token': cookie('MMCSRF'), ...extra };
}

function refusal(status, body) {
  if (status === 401 && body?.id === 'api.context.session_expired.app_error') session.dispatchEvent(new Event('expired'));
  return new ApiError(status, body?.id ?? '', body?.message ?? `The server answered with status ${status}.`);
}

async function request(method, url, body, signal) {
  let response;
  try {
    response = await fetch(url, {
      method,
      signal,
      headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (cause.name === 'AbortError') throw cause;
    throw new ApiError(0, 'unreachable', 'The server cannot be reached. Check your connection.');
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw refusal(response.status, answer);
  return answer;
}

const get = (path) => request('GET', base + path);
const post = (path, body) => request('POST', base + path, body ?? {});
const put = (path, body) => request('PUT', base + path, body ?? {});
const remove = (path) => request('DELETE', base + path);
const query = (values) => new URLSearchParams(values).toString();

/** All entries of a list that `load(page)` gives in pages of 200. */
export async function every(load) {
  const all = [];
  for (let page = 0; ; page++) {
    const some = await load(page);
    all.push(...some);
    if (some.length < PER_PAGE) return all;
  }
}

export const config = () => get('/config/client?format=old');
/** `invite`: an invite link's id, or the token of an invitation by mail. */
export const signUp = (user, invite) => post(`/users${invite ? `?${query(invite.token ? { t: invite.token } : { iid: invite.invite_id })}` : ''}`, user);
export const logIn = (credentials) => post('/users/login', { token: '', device_id: '', ...credentials });
export const logOut = () => post('/users/logout');
export const me = () => get('/users/me');
export const teamUsers = (team, page) => get(`/users?${query({ in_team: team, page, per_page: PER_PAGE, active: true, sort: '' })}`);
export const findUsers = (team, name) => get(`/users/autocomplete?${query({ in_team: team, name, limit: 100 })}`);
export const preference = (category, name) => get(`/users/me/preferences/${category}/name/${name}`);
export const savePreference = (user_id, category, name, value) => put('/users/me/preferences', [{ user_id, category, name, value }]);
export const patchMe = (names) => put('/users/me/patch', names);
export const changePassword = (current_password, new_password) => put('/users/me/password', { current_password, new_password });
export const sendPasswordReset = (email) => post('/users/password/reset/send', { email });
export const resetPassword = (token, new_password) => post('/users/password/reset', { token, new_password });
export const sendVerification = (email) => post('/users/email/verify/send', { email });
export const verifyEmail = (token) => post('/users/email/verify', { token });
export const usersByIds = (ids) => post('/users/ids', ids);
export const userByName = (name) => get(`/users/username/${encodeURIComponent(name)}`);
export const statuses = (ids) => post('/users/status/ids', ids);

export const myTeams = () => get('/users/me/teams');
export const openTeams = (page) => get(`/teams?page=${page}&per_page=${PER_PAGE}`);
export const teamExists = (name) => get(`/teams/name/${encodeURIComponent(name)}/exists`);
export const createTeam = (team) => post('/teams', team);
export const joinTeam = (team, user) => post(`/teams/${team}/members`, { team_id: team, user_id: user });
export const joinByInvite = (invite) => post(`/teams/members/invite?${query({ invite_id: invite })}`);
export const joinByMail = (token) => post(`/teams/members/invite?${query({ token })}`);
export const inviteByMail = (team, addresses) => post(`/teams/${team}/invite/email?graceful=true`, addresses);
export const inviteInfo = (invite) => get(`/teams/invite/${encodeURIComponent(invite)}`);

export const myChannels = (team) => get(`/users/me/teams/${team}/channels?include_deleted=false`);
export const myMemberships = (team) => get(`/users/me/teams/${team}/channels/members`);
export const membership = (channel) => get(`/channels/${channel}/members/me`);
export const channel = (id) => get(`/channels/${id}`);
export const channelByName = (team, name) => get(`/teams/${team}/channels/name/${encodeURIComponent(name)}`);
export const publicChannels = (team, page) => get(`/teams/${team}/channels?page=${page}&per_page=${PER_PAGE}`);
export const createChannel = (data) => post('/channels', data);
export const channelMembers = (id, page) => get(`/channels/${id}/members?page=${page}&per_page=${PER_PAGE}`);
export const addMember = (id, user) => post(`/channels/${id}/members`, { user_id: user });
export const leaveChannel = (id) => remove(`/channels/${id}/members/me`);
export const directChannel = (self, other) => post('/channels/direct', [self, other]);
export const channelStats = (id) => get(`/channels/${id}/stats?exclude_files_count=true`);
export const view = (channel, previous) =>
  post('/channels/members/me/view', { channel_id: channel, prev_channel_id: previous, collapsed_threads_supported: true });

export const posts = (channel, options) =>
  get(`/channels/${channel}/posts?${query({ per_page: 60, collapsedThreads: true, skipFetchThreads: true, ...options })}`);
export const onePost = (id) => get(`/posts/${id}`);
export const thread = (id) => get(`/posts/${id}/thread?collapsedThreads=true&collapsedThreadsExtended=false`);
/** The newest posts of a team's channels and of direct ones that have what `terms` say. */
export const searchPosts = (team, terms) =>
  post(`/teams/${team}/posts/search`, { terms, is_or_search: false, time_zone_offset: -new Date().getTimezoneOffset() * 60 });
export const runCommand = (data) => post('/commands/execute', data);
export const createPost = (data) => post('/posts', data);
export const editPost = (id, message) => put(`/posts/${id}/patch`, { message });
export const deletePost = (id) => remove(`/posts/${id}`);
export const addReaction = (reaction) => post('/reactions', reaction);
export const removeReaction = (id, name) => remove(`/users/me/posts/${id}/reactions/${encodeURIComponent(name)}`);
export const unreadThreads = (team) => get(`/users/me/teams/${team}/threads?per_page=100&unread=true&extended=false`);
export const readThread = (team, id, time) => put(`/users/me/teams/${team}/threads/${id}/read/${time}`);

/** The Markdown trees of the texts (see markdown.js), in the same order. */
export const markdown = (texts) => request('POST', `${root}mainstay/markdown`, texts);

export const fileUrl = (id, form = '') => `${base}/files/${id}${form}`;
export const avatarUrl = (user) => `${base}/users/${user.id}/image?_=${user.last_picture_update}`;

/** Uploads one file and calls `progress` with 0 to 1. Uses XMLHttpRequest, because fetch reports no upload progress. */
export function upload(channelId, file, progress, signal) {
  const form = new FormData();
  form.append('channel_id', channelId);
  form.append('client_ids', crypto.randomUUID?.() ?? String(Math.random()));
  form.append('files', file, file.name);
  return new Promise((resolve, reject) => {
    const http = new XMLHttpRequest();
    http.open('POST', `${base}/files`);
    for (const [name, value] of Object.entries(headers())) http.setRequestHeader(name, value);
    http.responseType = 'json';
    http.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    http.onload = () => (http.status < 300 ? resolve(http.response.file_infos[0]) : reject(refusal(http.status, http.response)));
    http.onerror = () => reject(new ApiError(0, 'unreachable', 'The upload was interrupted.'));
    signal.addEventListener('abort', () => http.abort());
    http.send(form);
  });
}
