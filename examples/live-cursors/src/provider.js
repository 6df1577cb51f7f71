/** Keeps a Yjs document of texts the same in every browser on a presence channel, by client events alone. */
import * as Y from "yjs";

const PART = 7000; // bytes of an update in an event: 9,336 characters of base64, where Pusher allows 10 KB
const MOST_PARTS = 300; // of an update: 2 MB. More is neither sent nor kept, so that nobody fills our memory.
const PACE = 50; // milliseconds between two parts, at first
const SLOWEST_PACE = 1000;
const PATIENCE = 3000; // milliseconds that a member has to answer

/**
 * A Yjs provider over a channel of pusher-js.
 *
 * `client-update` carries a part of an update to all others. `client-sync` asks one member for what its sender lacks,
 * which the state vector tells; that member asks back in the same way. So whoever joins, or joins again after hours
 * offline, and whom they ask have the same text afterwards, and all others hear what passes between the two.
 */
export class ChannelProvider {
  #doc;
  #channel;
  #updates = []; // made here, and not sent yet
  #parts = []; // of the update that is being sent
  #number = 0; // of the last update sent
  #arriving = new Map(); // by the id of its sender: an update of which parts are missing
  #pace = PACE;
  #pacing;
  #asked; // the member whose update is awaited
  #asking;

  constructor(doc, channel) {
    this.#doc = doc;
    this.#channel = channel;
    doc.on("update", (update, origin) => origin !== this && this.#send(update));
    channel.bind("pusher:subscription_succeeded", () => {
      this.#updates = [];
      this.#parts = [];
      this.#arriving.clear();
      this.#asked = undefined;
      this.sync();
    });
    channel.bind("pusher:member_removed", ({ id }) => {
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
    this.#ask(this.#asked);
    this.#asking = setTimeout(() => this.sync(others[position + 1]), PATIENCE);
  }

  /** Send half as often, and exchange what is missing in a while: the server has refused an event. */
  slowDown() {
    this.#pace = Math.min(2 * this.#pace, SLOWEST_PACE);
    this.#parts = []; // no use without the one that is lost
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.sync(), PATIENCE);
  }

  #ask(to, answer = false) {
    const vector = Y.encodeStateVector(this.#doc);
    // After thousands of visitors it is too long for an event; an empty one asks for everything.
    const known = vector.length <= PART ? vector : Uint8Array.of(0);
    this.#channel.trigger("client-sync", { to, answer, vector: encode(known) });
  }

  #answer(data, from) {
    const vector = decode(data?.vector);
    if (!vector || data.to !== this.#channel.members.myID) return;
    let lacking;
    try {
      lacking = Y.encodeStateAsUpdate(this.#doc, vector);
    } catch {
      return; // not a state vector
    }
    this.#send(lacking);
    if (data.answer === true) clearTimeout(this.#asking);
    else this.#ask(from, true);
  }

  /** While offline nothing is kept: what the others lack is found when the channel is joined again. */
  #send(update) {
    if (!this.#channel.subscribed) return;
    this.#updates.push(update);
    this.#sendNext();
  }

  /** Send one part now, and the next when the pace allows; what is typed meanwhile becomes one update. */
  #sendNext() {
    if (this.#pacing || !this.#channel.subscribed) return;
    if (!this.#parts.length && this.#updates.length) this.#parts = this.#cut(Y.mergeUpdates(this.#updates.splice(0)));
    if (!this.#parts.length) return;
    this.#channel.trigger("client-update", this.#parts.shift());
    this.#pacing = setTimeout(() => {
      this.#pacing = undefined;
      this.#sendNext();
    }, this.#pace);
  }

  #cut(update) {
    const parts = Math.ceil(update.length / PART);
    if (parts > MOST_PARTS) {
      console.warn("The document is too large for client events: its last change stays here.");
      return [];
    }
    const number = ++this.#number;
    return Array.from({ length: parts }, (_, part) => {
      const data = encode(update.subarray(part * PART, (part + 1) * PART));
      return { update: number, part, parts, data };
    });
  }

  #receive(data, from) {
    const update = this.#join(data, from);
    if (!update) return;
    if (from === this.#asked) this.#asked = undefined;
    try {
      if (isPlainText(update)) Y.applyUpdate(this.#doc, update, this);
    } catch {
      // not an update
    }
  }

  /** The update that this part is the last of, if all have come. Ask for one whose beginning was missed. */
  #join(data, from) {
    const bytes = decode(data?.data);
    if (!bytes || !isPart(data)) return undefined;
    const { update, part, parts } = data;
    const arriving = part === 0 ? { update, parts, chunks: [] } : this.#arriving.get(from);
    this.#arriving.delete(from);
    if (arriving?.update !== update || arriving.parts !== parts || arriving.chunks.length !== part) {
      if (part === parts - 1) this.sync(from);
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
 * Whether an update holds plain text and deletions alone. Raises if it is no update.
 *
 * What else Yjs can hold, and line ends that a textarea changes, would count in the text and not be seen in it.
 */
function isPlainText(update) {
  return Y.decodeUpdate(update).structs.every(({ content }) => {
    if (content instanceof Y.ContentString) return !content.str.includes("\r");
    return content === undefined || content instanceof Y.ContentDeleted;
  });
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
