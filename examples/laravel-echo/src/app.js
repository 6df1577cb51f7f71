import { connect } from "./echo.js";
import { keepJoined } from "./join.js";

const TELL_EVERY = 1500; // milliseconds between two "is typing" whispers
const FORGET_AFTER = 3000; // milliseconds

const find = (id) => document.getElementById(id);

find("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { user, token } = await post("/login", Object.fromEntries(new FormData(event.target)));
    find("refusal").textContent = "";
    open(user, token);
  } catch (fault) {
    find("refusal").textContent = fault.message;
  }
});

/** Join the channels as a user, and show their events. */
function open(user, token) {
  const echo = connect(token);
  const members = new Map();
  const typists = new Map(); // timers, by user
  let told = 0;

  find("sign-in").hidden = true;
  find("board").hidden = false;
  for (const list of ["news", "orders", "messages", "members"]) find(list).replaceChildren();
  showConnection(echo.connectionStatus());
  echo.connector.onConnectionChange((state) => {
    showConnection(state);
    if (state === "connected") report("");
  });

  // The name of an event without its namespace, App\Events.
  echo.channel("news").listen("NewsPublished", ({ title }) => append("news", title));

  // With a leading dot, the name is the event's broadcastAs(), without a namespace.
  const own = echo
    .private(`user.${user.id}`)
    .listen(".order.shipped", ({ order }) => append("orders", `Order ${order} is on its way`));

  const room = echo
    .join("room")
    .here((users) => {
      members.clear(); // this runs again after each reconnect
      for (const each of users) members.set(each.id, each.name);
      showMembers();
    })
    .joining(({ id, name }) => {
      members.set(id, name);
      showMembers();
    })
    .leaving(({ id }) => {
      members.delete(id);
      showMembers();
    })
    .listen("MessageSent", ({ user, text }) => {
      forget(user.id);
      append("messages", text, user.name);
    })
    // The server adds the user id of the sender. Any member can forge the data of a whisper.
    .listenForWhisper("typing", (_, { user_id: id }) => {
      clearTimeout(typists.get(id));
      typists.set(id, setTimeout(forget, FORGET_AFTER, id));
      showTyping();
    });

  for (const channel of [own, room]) {
    keepJoined(echo, channel, {
      onJoined: () => showConnection(echo.connectionStatus()),
      onWait: () => showConnection("waiting"),
      onRefused: endSession,
    });
  }

  // Assignments replace the handlers of an ended session.
  find("publish").onclick = () => send("/news", {});
  find("ship").onclick = () => send("/orders", {});

  find("composer").oninput = () => {
    if (Date.now() - told < TELL_EVERY || echo.connectionStatus() !== "connected") return;
    room.whisper("typing", {});
    told = Date.now();
  };

  find("composer").onsubmit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const text = form.elements.text.value.trim();
    form.reset(); // at once: the user may type the next message while this one is being sent
    told = 0;
    // The event goes only to the others (toOthers), so the author's page shows the message here.
    if (text && (await send("/messages", { text }))) append("messages", text, user.name);
    else form.elements.text.value ||= text;
  };

  async function send(path, body) {
    const headers = { Authorization: `Bearer ${token}`, "X-Socket-ID": echo.socketId() ?? "" };
    try {
      await post(path, body, headers);
      report("");
      return true;
    } catch (fault) {
      if (fault.status === 401) endSession();
      else report(fault.message);
      return false;
    }
  }

  /** Return to the sign-in form. The draft stays in its field. */
  function endSession() {
    echo.disconnect();
    find("board").hidden = true;
    find("sign-in").hidden = false;
    find("connection").textContent = "";
    find("refusal").textContent = "Your session has ended. Please sign in again.";
    find("sign-in-form").elements.name.focus();
  }

  function forget(id) {
    clearTimeout(typists.get(id));
    typists.delete(id);
    showTyping();
  }

  function showMembers() {
    const names = [...members].map(([id, name]) => (id === user.id ? `${name} (you)` : name)).sort();
    find("members").replaceChildren(...names.map((name) => element("li", name)));
  }

  function showTyping() {
    const names = [...typists.keys()].map((id) => members.get(id)).filter(Boolean);
    const verb = names.length === 1 ? "is" : "are";
    find("typing").textContent = names.length ? `${names.join(", ")} ${verb} typing…` : "";
  }
}

async function post(path, body, headers = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Error("The server cannot be reached.");
  });
  const answer = await response.json().catch(() => ({})); // an error page of a proxy is not JSON
  if (!response.ok) throw Object.assign(new Error(answer.message ?? "The request failed."), { status: response.status });
  return answer;
}

function showConnection(state) {
  const words = { connected: "Connected", waiting: "No answer, trying again…" };
  find("connection").textContent = words[state] ?? "Connecting…";
  find("connection").classList.toggle("online", state === "connected");
}

function append(list, text, author) {
  const line = element("li", text);
  if (author) line.prepend(element("b", author), " ");
  find(list).append(line);
  const log = find(list).parentElement;
  log.scrollTop = log.scrollHeight;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text; // never as HTML
  return made;
}

function report(problem) {
  find("problem").textContent = problem;
  find("problem").scrollIntoView({ block: "nearest" });
}
