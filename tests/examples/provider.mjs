// Cases for the provider of examples/live-cursors, with all members in one process: node provider.mjs CASE.
// Prints the result as JSON.
import { setTimeout as sleep } from "node:timers/promises";

const example = new URL("../../examples/live-cursors/", import.meta.url);
const Y = await import(new URL("node_modules/yjs/dist/yjs.mjs", example));
const { ChannelProvider } = await import(new URL("src/provider.js", example));

const PART = 7000;
const channels = new Map();

/** A fake channel of pusher-js for one member. */
function join(id) {
  const bound = {};
  const members = Object.fromEntries([...channels.keys(), id].map((each) => [each, {}]));
  const channel = {
    subscribed: true,
    members: { myID: id, members },
    sent: [],
    bind: (event, action) => (bound[event] ??= []).push(action),
    emit: (event, ...values) => bound[event]?.forEach((action) => action(...values)),
    trigger(event, data) {
      channel.sent.push(event);
      const json = JSON.stringify(data);
      for (const other of channels.values()) {
        if (other !== channel) setImmediate(() => other.emit(event, JSON.parse(json), { user_id: id }));
      }
    },
  };
  for (const other of channels.values()) other.members.members[id] = {};
  channels.set(id, channel);
  return channel;
}

function leave(id) {
  channels.delete(id);
  for (const { members, emit } of channels.values()) {
    delete members.members[id];
    emit("pusher:member_removed", { id });
  }
}

/** A member with a document. */
function enter(id) {
  const doc = new Y.Doc();
  const channel = join(id);
  const seen = { doc, channel, text: doc.getText("text"), warned: 0 };
  seen.provider = new ChannelProvider(doc, channel, () => seen.warned++);
  channel.emit("pusher:subscription_succeeded");
  return seen;
}

let number = 0;

/** Send an update, in parts if needed. */
function send(channel, update) {
  const parts = Math.ceil(update.length / PART);
  number++;
  for (let part = 0; part < parts; part++) {
    const data = Buffer.from(update.subarray(part * PART, (part + 1) * PART)).toString("base64");
    channel.trigger("client-update", { update: number, part, parts, data });
  }
}

async function until(fits) {
  while (!fits()) await sleep(10); // the test has a timeout
}

const update = (change) => {
  const doc = new Y.Doc();
  change(doc);
  return Y.encodeStateAsUpdate(doc);
};

const cases = {
  /** An update with other content than the text is refused. */
  async unseen() {
    const ada = enter("ada");
    ada.text.insert(0, "good");
    const mallory = join("mallory");
    send(mallory, update((doc) => doc.getText("hidden").insert(0, "x".repeat(1e6))));
    send(mallory, update((doc) => doc.getMap("text").set("key", "x")));
    send(mallory, update((doc) => doc.getText("text").insertEmbed(0, new Y.Text("x"))));
    send(mallory, update((doc) => doc.getText("hidden").insert(0, "x") || doc.getText("hidden").delete(0, 1)));
    send(mallory, update((doc) => doc.getText("text").insert(0, "and ")));
    await until(() => ada.text.toString().includes("and "));
    return { text: ada.text.toString(), size: Y.encodeStateAsUpdate(ada.doc).length };
  },

  /** An update that depends on a missing one is not stored. */
  async gaps() {
    const ada = enter("ada");
    ada.text.insert(0, "good");
    const mallory = join("mallory");
    for (let member = 0; member < 320; member++) {
      const doc = new Y.Doc();
      doc.getText("text").insert(0, "a");
      const before = Y.encodeStateVector(doc);
      doc.getText("text").insert(1, "y".repeat(6900));
      send(mallory, Y.encodeStateAsUpdate(doc, before));
    }
    const asked = [];
    mallory.bind("client-sync", ({ to }) => asked.push(to));
    await until(() => asked.includes("mallory"));
    leave("mallory");
    const bob = enter("bob");
    await until(() => bob.text.toString() === "good");
    return { size: Y.encodeStateAsUpdate(ada.doc).length, pending: ada.doc.store.pendingStructs };
  },

  /** A new member asks for the updates that an early update depends on, and gets them. */
  async early() {
    const ada = enter("ada");
    ada.text.insert(0, "The plan");
    const bob = enter("bob");
    await until(() => bob.text.toString() === "The plan");
    const cleo = enter("cleo");
    bob.text.insert(8, " of today");
    await until(() => cleo.text.toString() === "The plan of today");
    return { text: ada.text.toString() };
  },

  /** Many questions to one member get one answer. */
  async flood() {
    const ada = enter("ada");
    ada.text.insert(0, Array.from({ length: 100_000 }, (_, index) => index % 10).join(""));
    const mallory = join("mallory");
    await until(() => ada.channel.sent.length > 10);
    const before = process.memoryUsage().arrayBuffers;
    const sent = ada.channel.sent.length;
    const question = { to: "ada", answer: false, vector: "AA==" };
    for (let n = 0; n < 3000; n++) ada.channel.emit("client-sync", question, { user_id: "mallory" });
    const grown = process.memoryUsage().arrayBuffers - before;
    const atOnce = ada.channel.sent.length - sent;
    let answers = 0;
    mallory.bind("client-update", ({ part, parts }) => part === parts - 1 && answers++);
    await until(() => answers === 2); // the edit, and the answer
    return { grown, atOnce, asked: ada.channel.sent.filter((event) => event === "client-sync").length };
  },

  /** Both pages get a report: the one that has the text, and the one that asks for it. */
  async large() {
    const ada = enter("ada");
    const bob = enter("bob");
    await until(() => bob.channel.sent.length);
    ada.text.insert(0, "x".repeat(2_200_000));
    await until(() => ada.warned && bob.warned);
    const cleo = enter("cleo");
    await until(() => cleo.warned);
    return {};
  },

  /** A member that always sends unusable updates does not keep a new member from the others. */
  async distraction() {
    const mallory = join("a-mallory");
    const ada = enter("ada");
    ada.text.insert(0, "good");
    const bob = enter("bob");
    const doc = new Y.Doc();
    doc.getText("text").insert(0, "a");
    const before = Y.encodeStateVector(doc);
    doc.getText("text").insert(1, "b");
    const distraction = setInterval(() => {
      send(mallory, Y.encodeStateAsUpdate(doc, before));
      mallory.trigger("client-update", { update: ++number, part: 1, parts: 2, data: "AAAA" });
    }, 500);
    await until(() => bob.text.toString() === "good");
    clearInterval(distraction);
    return {};
  },
};

console.log(JSON.stringify(await cases[process.argv[2]]()));
process.exit();
