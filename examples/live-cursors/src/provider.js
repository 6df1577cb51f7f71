/** Keeps a Yjs document of texts the same in every browser on a presence channel, by client events alone. */
import * as Y from "yjs";

const PART = 7000; // bytes of an update in an event: 9,336 characters of base64, where Pusher allows 10 KB
const MOST_PARTS = 300; // of an update: 2 MB. More is neither sent nor kept, so that nobody fills our memory.
const PACE = 50; // milliseconds between two parts, at first
const SLOWEST_PACE = 1000;
const PATIENCE = 3000; // milliseconds that a member has to answer

/**
 * A Yjs provider over a channel of pusher-js, for the document's text "text".
 *
 * `client-update` carries a part of an update to all others. `client-sync` asks one member for what its sender lacks,
 * which the state vector tells; that member asks back in the same way. So whoever joins, or joins again after hours
 * offline, and whom they ask have the same text afterwards, and all others hear what passes between the two.
 *
 * `onTooLarge` is called where a change, or what a newcomer lacks, is more than is sent: here, or at another member's.
 */
export class ChannelProvider {
  #doc;
  #channel;
  #onTooLarge;
  #updates = []; // made here, and not sent yet
  #known; // the state vector that all who wait for an answer have reached
  #asks = new Map(); // whom to ask for what is missing here, and whether that answers their own question
  #events = []; // names and data: what is being sent
  #number = 0; // of the last update sent
  #arriving = new Map(); // by the id of its sender: an update of which parts are missing
  #pace = PACE;
  #pacing;
  #asked; // the member whose update is awaited
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
      if (this.#arriving.delete(id) || id === this.#asked) this.sync(); // it left in the middle of what it sent
    });
    channel.bind("client-update", (data, { user_id }) => this.#receive(data, user_id));
    channel.bind("client-sync", (data, { user_id }) => this.#answer(data, user_id));
  }

  /** Exchange what is missing with one member, by default the one with the lowest id; with the next if it is silent. */
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

  /** Send half as often, and exchange what is missing in a while: the server has refused an event. */
  slowDown() {
    this.#pace = Math.min(2 * this.#pace, SLOWEST_PACE);
    this.#events = []; // no use without the one that is lost
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.sync(), PATIENCE);
  }

  /** Note that somebody waits for an answer. However many do, however often they ask, it becomes one. */
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

  /** While offline nothing is kept: what the others lack is found when the channel is joined again. */
  #send(update) {
    if (!this.#channel.subscribed) return;
    this.#updates.push(update);
    this.#sendNext();
  }

  /** Send one event now, and the next when the pace allows. */
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

  /** The events for all that has come together by now: what was typed becomes one update, and so do the answers. */
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
    // After thousands of visitors it is too long for an event; an empty one asks for everything.
    return encode(vector.length <= PART ? vector : Uint8Array.of(0));
  }

  /** The events that carry an update; one that says so if it is too large, for those who wait for it. */
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
      // It builds on something unknown, and is asked for with that: Yjs would keep it, unseen and without bound.
      store.pendingStructs = null;
      store.pendingDs = null;
      this.#catchUp(from);
    } else if (from === this.#asked) this.#asked = undefined;
  }

  /** Exchange what is missing with a member. While another one is asked already, nobody else is if it is silent. */
  #catchUp(member) {
    if (this.#asked === undefined) return this.sync(member);
    this.#asks.set(member, false);
    this.#sendNext();
  }

  /** The update that this part is the last of, if all have come. Ask for one whose beginning was missed. */
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
 * Whether an update holds plain text and deletions alone, all of the text "text". Raises if it is no update.
 *
 * What else Yjs can hold, and line ends that a textarea changes, would count in the document and not be seen in it.
 */
function isPlainText(update) {
  return Y.decodeUpdate(update).structs.every((struct) => {
    if (!(struct instanceof Y.Item)) return true; // a gap, or what nobody needs any more
    const { content, parent, parentSub, origin, rightOrigin } = struct;
    const isInText = parentSub === null && (parent === "text" || (parent === null && (origin || rightOrigin) !== null));
    const isText = content instanceof Y.ContentString && !content.str.includes("\r");
    return isInText && (isText || content instanceof Y.ContentDeleted);
  });
}

/** The state vector of what is known to both. */
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

/** The bytes of base64 of another browser's; undefined if it is not that, or more than fits an event of ours. */
function decode(text) {
  if (typeof text !== "string" || text.length > Math.ceil(PART / 3) * 4) return undefined;
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}
