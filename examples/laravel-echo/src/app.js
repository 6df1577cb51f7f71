import { connect } from "./echo.js";

const TELL_EVERY = 1500; // milliseconds between whispers that somebody types
const FORGET_AFTER = 3000; // milliseconds

const find = (id) => document.getElementById(id);

find("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { user, token } = await post("/login", Object.fromEntries(new FormData(event.target)));
    open(user, token);
  } catch (fault) {
    find("refusal").textContent = fault.message;
  }
});

/** Join the channels as a user, and show what comes. */
function open(user, token) {
  const echo = connect(token);
  const members = new Map();
  const typists = new Map(); // timers, by user
  let told = 0;

  find("sign-in").hidden = true;
  find("board").hidden = false;
  showConnection(echo.connectionStatus());
  echo.connector.onConnectionChange(showConnection);

  // An event's name without its namespace, App\Events.
  echo.channel("news").listen("NewsPublished", ({ title }) => append("news", title));

  // A leading dot: the name is the event's broadcastAs(), with no namespace.
  echo
    .private(`user.${user.id}`)
    .listen(".order.shipped", ({ order }) => append("orders", `Order ${order} is on its way`));

  const room = echo
    .join("room")
    .here((users) => {
      members.clear(); // it is called anew after each reconnect
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
    // The server says who whispers. What a whisper says of itself, any member could have made up.
    .listenForWhisper("typing", (_, { user_id: id }) => {
      clearTimeout(typists.get(id));
      typists.set(id, setTimeout(forget, FORGET_AFTER, id));
      showTyping();
    })
    .error(() => report("You may not join the room."));

  find("publish").addEventListener("click", () => send("/news", {}));
  find("ship").addEventListener("click", () => send("/orders", {}));

  find("composer").addEventListener("input", () => {
    if (Date.now() - told < TELL_EVERY || echo.connectionStatus() !== "connected") return;
    room.whisper("typing", {});
    told = Date.now();
  });

  find("composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const text = form.elements.text.value.trim();
    // It is broadcast to the others (toOthers), so that its author shows it here.
    if (!text || !(await send("/messages", { text }))) return;
    append("messages", text, user.name);
    form.reset();
    told = 0;
  });

  async function send(path, body) {
    const headers = { Authorization: `Bearer ${token}`, "X-Socket-ID": echo.socketId() ?? "" };
    try {
      await post(path, body, headers);
      report("");
      return true;
    } catch (fault) {
      report(fault.message);
      return false;
    }
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
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

function showConnection(state) {
  find("connection").textContent = state === "connected" ? "Connected" : "Connecting…";
  find("connection").classList.toggle("online", state === "connected");
}

function append(log, text, author) {
  const line = element("li", text);
  if (author) line.prepend(element("b", author), " ");
  find(log).append(line);
  find(log).scrollTop = find(log).scrollHeight;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text; // never as HTML
  return made;
}

function report(problem) {
  find("problem").textContent = problem;
}
