/** The page: asks for a name, joins the board of the URL, and connects the parts. */
import Pusher from "pusher-js";
import * as Y from "yjs";

import { showCursors } from "./cursors.js";
import { keepJoined } from "./join.js";
import { showMembers } from "./members.js";
import { ChannelProvider } from "./provider.js";
import { bindTextarea } from "./shared-text.js";

const CLIENT_EVENT_REJECTED = 4301; // client events are disabled, or there are too many per second

const element = (id) => document.getElementById(id);

askForName((name) => {
  element("sign-in").remove();
  element("board").hidden = false;
  element("text").focus();
  join(name).catch(() => report("The server cannot be reached: load this page again."));
});

async function join(name) {
  const doc = new Y.Doc();
  bindTextarea(element("text"), doc.getText("text")); // at once, so that edits count while the page connects

  const settings = await (await fetch("/api/settings")).json();
  const pusher = connect(settings, name);
  const { connection } = pusher;
  const board = new URLSearchParams(location.search).get("board") ?? "main";
  const channel = pusher.subscribe(`presence-board-${board}`);
  keepJoined(pusher, channel, {
    onJoined: () => showConnection(connection.state),
    onWait: () => showConnection("waiting"),
    onRefused: () => report("The server does not let you join this board."),
  });

  const tooLarge = () => report("This text is too large to share: new members do not get it. Shorten it.");
  const provider = new ChannelProvider(doc, channel, tooLarge);
  const cursors = showCursors(element("surface"), element("cursors"), channel);
  showMembers(element("members"), channel);

  showConnection(connection.state);
  connection.bind("state_change", ({ current }) => {
    showConnection(current);
    if (current !== "connected") cursors.clear();
  });
  connection.bind("error", ({ data }) => {
    if (data?.code !== CLIENT_EVENT_REJECTED) return;
    report(data.message, 5000);
    provider.slowDown();
    cursors.slowDown();
  });
}

function connect({ key, host, port }, name) {
  const secure = location.protocol === "https:";
  return new Pusher(key, {
    wsHost: host ?? location.hostname,
    wsPort: port ?? 6001,
    wssPort: port ?? 443,
    forceTLS: secure,
    enabledTransports: ["ws", "wss"],
    cluster: "",
    channelAuthorization: { endpoint: "/api/pusher/auth", transport: "ajax", params: { name } },
  });
}

function showConnection(state) {
  const refused = "The realtime server refuses this page: reload it";
  const words = {
    connected: "Connected",
    connecting: "Connecting…",
    waiting: "No answer, trying again: keep typing",
    disconnected: refused, // pusher-js does not retry
    failed: refused,
  };
  element("connection").classList.toggle("online", state === "connected");
  element("connection").textContent = words[state] ?? "Offline: keep typing";
}

let unreport;

/** Show a problem, for some milliseconds or permanently. */
function report(problem, time) {
  element("problem").textContent = problem;
  clearTimeout(unreport);
  if (time) unreport = setTimeout(report, time, "");
}

function askForName(onName) {
  const form = element("sign-in").querySelector("form");
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  form.elements.name.value = `${pick(["Brisk", "Calm", "Keen", "Merry"])} ${pick(["Finch", "Hare", "Lynx", "Otter"])}`;
  form.elements.name.select();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onName(form.elements.name.value.trim());
  });
}
