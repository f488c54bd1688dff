// @mattermost/client against the built-in server: log in, team, channel, post, thread, events.
import {createRequire} from 'node:module';
import assert from 'node:assert/strict';

// Packages lie outside the repository: NODE_PATH says where.
const require = createRequire(`${process.env.NODE_PATH}/entry.js`);
const {Client4, WebSocketClient} = require('@mattermost/client');
const WebSocket = require('ws');
globalThis.WebSocket ??= WebSocket;
globalThis.CloseEvent ??= class CloseEvent extends Event {};
// The client asks its page whether it is online.
globalThis.window ??= {addEventListener() {}, removeEventListener() {}, navigator: {onLine: true}};

const base = `http://${process.env.MM_HOST}:${process.env.MM_PORT}`;
const client = new Client4();
client.setUrl(base);
const me = await client.login(process.env.MM_LOGIN, process.env.MM_PASSWORD);
assert.equal(me.username, process.env.MM_LOGIN);
assert.ok(client.getToken(), 'the Token header is read');
assert.equal((await client.getMe()).id, me.id);

const team = await client.createTeam({name: 'node-team', display_name: 'Node', type: 'O'});
const channel = await client.getChannelByName(team.id, 'town-square');

const socket = new WebSocketClient({newWebSocketFn: (url) => new WebSocket(url, {origin: base})});
const heard = [];
const event = (name) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} in ${heard}`)), 15000);
    socket.addMessageListener((message) => {
        heard.push(message.event);
        if (message.event === name) {
            clearTimeout(timer);
            resolve(message);
        }
    });
});
const hello = event('hello');
socket.initialize(`${base.replace('http', 'ws')}/api/v4/websocket`, client.getToken());
await hello;
const posted = event('posted');
const post = await client.createPost({channel_id: channel.id, message: 'from JavaScript: ü 😀'});
assert.equal(JSON.parse((await posted).data.post).id, post.id);

const reply = await client.createPost({channel_id: channel.id, message: 'reply', root_id: post.id});
const thread = await client.getPostThread(post.id);
assert.deepEqual(new Set(thread.order), new Set([post.id, reply.id]));
await client.addReaction(me.id, post.id, '+1');
assert.equal((await client.getReactionsForPost(post.id)).length, 1);
const list = await client.getPosts(channel.id);
assert.ok(list.posts[post.id]);
socket.close();
await client.logout();
console.log('ok');
process.exit(0);
