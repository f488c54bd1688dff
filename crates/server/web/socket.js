// The websocket connection. After `fresh`, its owner gets every event once and in order. If the server cannot replay missed
// events, or a sequence number is skipped, the connection starts again with `fresh`, and the owner loads everything again.

import { root } from './api.js';

const PING_MS = 30_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;
/** Interruptions shorter than this are not reported. */
const PATIENCE_MS = 2_000;

/** Events: `fresh` (data loaded earlier may be out of date), `message` (detail: the server's event), `lost`, `connected`. */
export class Socket extends EventTarget {
  #socket = null;
  #connection = '';
  #expected = 0;
  #request = 1;
  #failures = 0;
  #answered = true;
  #closed = false;
  #retry = 0;
  #ping = 0;
  #alarm = 0;

  open() {
    this.#closed = false;
    this.#alarm ||= setTimeout(() => this.#tell('lost'), PATIENCE_MS * 3);
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const place = new URLSearchParams({ connection_id: this.#connection, sequence_number: this.#expected, posted_ack: true });
    const socket = new WebSocket(`${scheme}://${location.host}${root}api/v4/websocket?${place}`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#answered = true;
      this.#beat();
      this.#ping = setInterval(() => this.#beat(), PING_MS);
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => this.#lost(socket);
  }

  /** Closes the connection permanently, at logout. */
  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#alarm);
    this.#alarm = 0;
    this.#connection = '';
    this.#expected = 0;
    this.#socket?.close();
  }

  /** Connects immediately instead of after the delay, because the network is back or the page is visible again. */
  hurry() {
    if (this.#closed || !this.#retry) return;
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.open();
  }

  /** Sends an action; false if there is no connection. */
  send(action, data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ seq: this.#request++, action, data }));
    return true;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // If a ping is still unanswered at the next one, the connection is dead and the browser has not noticed.
  #beat() {
    if (!this.#answered) return this.#socket.close();
    this.#answered = false;
    this.send('ping');
  }

  #receive(message) {
    if (message.seq_reply !== undefined) {
      this.#answered = true;
      this.#failures = 0;
      clearTimeout(this.#alarm);
      this.#alarm = 0;
      this.#tell('connected');
      return;
    }
    if (message.event === 'hello') {
      this.#connection = message.data.connection_id;
      this.#expected = 0;
      this.#tell('fresh');
    }
    if (message.seq !== this.#expected) {
      this.#connection = '';
      this.#expected = 0;
      this.#socket.close();
      return;
    }
    this.#expected = message.seq + 1;
    this.#tell('message', message);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    clearInterval(this.#ping);
    if (this.#closed) return;
    this.#alarm ||= setTimeout(() => this.#tell('lost'), PATIENCE_MS);
    const wait = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
    this.#retry = setTimeout(() => {
      this.#retry = 0;
      this.open();
    }, wait * (0.75 + Math.random() / 2));
  }
}
