/** Synchronises a Yjs document of texts between the browsers on a presence channel, with client events only. */
import * as Y from "yjs";

const PART = 7000; // bytes of an update per event: 9,336 characters in base64; Pusher allows 10 KB
const MOST_PARTS = 300; // per update: 2 MB. A larger update is neither sent nor stored, to protect the memory.
const PACE = 50; // milliseconds between two parts at first
const SLOWEST_PACE = 1000;
const PATIENCE = 3000; // milliseconds until a member must answer

/**
 * A Yjs provider over a channel of pusher-js, for the document's text "text".
 *
 * `client-update` carries a part of an update to all others. `client-sync` asks one member for the updates that its
 * sender lacks, as its state vector shows; that member asks back in the same way. So after a join, or a new join after
 * hours offline, the new member and the asked member have the same text. All others get the updates between the two.
 *
 * `onTooLarge` is called if a change, or the update for a new member, is too large to send, here or at another member.
 */
export class ChannelProvider {
  #doc;
  #channel;
  #onTooLarge;
  #updates = []; // local updates that are not sent yet
  #known; // the state vector that all members waiting for an answer have reached
  #asks = new Map(); // the members to ask for missing updates, and whether the question also answers theirs
  #events = []; // the events that are being sent: names and data
  #number = 0; // the number of the last update that was sent
  #arriving = new Map(); // incomplete updates by sender id
  #pace = PACE;
  #pacing;
  #asked; // the member that must answer
  #asking;

  constructor(doc, channel, onTooLarge = () => console.warn("The document is too large for client events.")) {
    this.#doc = doc;
    this.#channel = channel;
    this.#onTooLarge = onTooLarge;
    doc.on("update", (update, origin) => origin !== this && this.#send(update));
    channel.bind("pusher:subscription_succeeded", () => {
      this.#updates = [];
      this.#known = undefined;
      this.#asks.clear();
      this.#events = [];
      this.#arriving.clear();
      this.#asked = undefined;
      this.sync();
    });
    channel.bind("pusher:member_removed", ({ id }) => {
      this.#asks.delete(id);
      if (this.#arriving.delete(id) || id === this.#asked) this.sync(); // the member left in the middle of an update
    });
    channel.bind("client-update", (data, { user_id }) => this.#receive(data, user_id));
    channel.bind("client-sync", (data, { user_id }) => this.#answer(data, user_id));
  }

  /** Exchange missing updates with one member, by default the one with the lowest id; if it is silent, with the next. */
  sync(member) {
    clearTimeout(this.#asking);
    const { members } = this.#channel;
    const others = Object.keys(members.members).filter((id) => id !== members.myID).sort();
    if (!this.#channel.subscribed || !others.length) return;
    const position = Math.max(0, others.indexOf(member));
    this.#asked = others[position];
    this.#asks.set(this.#asked, false);
    this.#sendNext();
    this.#asking = setTimeout(() => this.sync(others[position + 1]), PATIENCE);
  }

  /** Send half as often, and exchange missing updates later, because the server has refused an event. */
  slowDown() {
    this.#pace = Math.min(2 * this.#pace, SLOWEST_PACE);
    this.#events = []; // useless without the refused event
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.sync(), PATIENCE);
  }

  /** Record that a member waits for an answer. Any number of questions gets one answer. */
  #answer(data, from) {
    const vector = decode(data?.vector);
    if (!vector || data.to !== this.#channel.members.myID) return;
    try {
      const known = Y.decodeStateVector(vector);
      this.#known = this.#known ? leastOf(this.#known, known) : known;
    } catch {
      return; // not a state vector
    }
    if (data.answer !== true) this.#asks.set(from, true);
    else if (from === this.#asked) clearTimeout(this.#asking);
    this.#sendNext();
  }

  /** Send an update. While offline, drop it: the next join finds the updates that the others lack. */
  #send(update) {
    if (!this.#channel.subscribed) return;
    this.#updates.push(update);
    this.#sendNext();
  }

  /** Send one event now, and the next one when the pace allows it. */
  #sendNext() {
    if (this.#pacing || !this.#channel.subscribed) return;
    if (!this.#events.length) this.#events = this.#compose();
    if (!this.#events.length) return;
    this.#channel.trigger(...this.#events.shift());
    this.#pacing = setTimeout(() => {
      this.#pacing = undefined;
      this.#sendNext();
    }, this.#pace);
  }

  /** Return the events for all waiting data: the edits become one update, and the answers become one update. */
  #compose() {
    const events = [...this.#asks].map(([to, answer]) => ["client-sync", { to, answer, vector: this.#vector() }]);
    this.#asks.clear();
    if (this.#updates.length) events.push(...this.#cut(Y.mergeUpdates(this.#updates.splice(0))));
    if (this.#known) events.push(...this.#cut(Y.encodeStateAsUpdate(this.#doc, Y.encodeStateVector(this.#known))));
    this.#known = undefined;
    return events;
  }

  #vector() {
    const vector = Y.encodeStateVector(this.#doc);
    // After thousands of visitors the vector is too long for an event; an empty one asks for everything.
    return encode(vector.length <= PART ? vector : Uint8Array.of(0));
  }

  /** Return the events of an update. If the update is too large, return one event that says so. */
  #cut(update) {
    const parts = Math.ceil(update.length / PART);
    if (parts > MOST_PARTS) {
      this.#onTooLarge();
      return [["client-update", { tooLarge: true }]];
    }
    const number = ++this.#number;
    return Array.from({ length: parts }, (_, part) => {
      const data = encode(update.subarray(part * PART, (part + 1) * PART));
      return ["client-update", { update: number, part, parts, data }];
    });
  }

  #receive(data, from) {
    if (data?.tooLarge === true) this.#onTooLarge();
    const update = this.#join(data, from);
    if (!update) return;
    try {
      if (!isPlainText(update)) return;
      Y.applyUpdate(this.#doc, update, this);
    } catch {
      return; // not an update
    }
    const { store } = this.#doc;
    if (store.pendingStructs || store.pendingDs) {
      // The update depends on an unknown one, so ask for both. Yjs would store it, invisible and without limit.
      store.pendingStructs = null;
      store.pendingDs = null;
      this.#catchUp(from);
    } else if (from === this.#asked) this.#asked = undefined;
  }

  /** Exchange missing updates with a member. While another member is being asked, do not go to the next one. */
  #catchUp(member) {
    if (this.#asked === undefined) return this.sync(member);
    this.#asks.set(member, false);
    this.#sendNext();
  }

  /** Return the update if this part completes it. If the first part was missed, ask for the update. */
  #join(data, from) {
    const bytes = decode(data?.data);
    if (!bytes || !isPart(data)) return undefined;
    const { update, part, parts } = data;
    const arriving = part === 0 ? { update, parts, chunks: [] } : this.#arriving.get(from);
    this.#arriving.delete(from);
    if (arriving?.update !== update || arriving.parts !== parts || arriving.chunks.length !== part) {
      if (part === parts - 1) this.#catchUp(from);
      return undefined;
    }
    arriving.chunks.push(bytes);
    if (part === parts - 1) return concatenate(arriving.chunks);
    this.#arriving.set(from, arriving);
    return undefined;
  }
}

function isPart({ update, part, parts }) {
  return [update, part, parts].every(Number.isSafeInteger) && part >= 0 && part < parts && parts <= MOST_PARTS;
}

/**
 * Return true if an update contains only plain text and deletions of the text "text". Throws if it is not an update.
 *
 * Other Yjs types, and line ends that a textarea changes, would be invisible parts of the document.
 */
function isPlainText(update) {
  return Y.decodeUpdate(update).structs.every((struct) => {
    if (!(struct instanceof Y.Item)) return true; // a gap, or deleted content
    const { content, parent, parentSub, origin, rightOrigin } = struct;
    const isInText = parentSub === null && (parent === "text" || (parent === null && (origin || rightOrigin) !== null));
    const isText = content instanceof Y.ContentString && !content.str.includes("\r");
    return isInText && (isText || content instanceof Y.ContentDeleted);
  });
}

/** Return the state vector of the updates that both know. */
function leastOf(one, other) {
  const both = [...one].filter(([client]) => other.has(client));
  return new Map(both.map(([client, clock]) => [client, Math.min(clock, other.get(client))]));
}

function concatenate(chunks) {
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

const encode = (bytes) => btoa(String.fromCharCode(...bytes));

/** Decode base64 from another browser. Return undefined if it is invalid, or larger than one of our events. */
function decode(text) {
  if (typeof text !== "string" || text.length > Math.ceil(PART / 3) * 4) return undefined;
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}
