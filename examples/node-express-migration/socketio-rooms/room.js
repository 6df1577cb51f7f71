// The page of both: what is on it, and nothing of how it is connected.
const find = (id) => document.querySelector(`#${id}`);

/** As whom, and where: set once somebody has joined. */
export const join = { name: "", room: "" };

export function setConnection(connected) {
  find("connection").textContent = connected ? "Connected" : "Offline, reconnecting…";
}

export function setMembers(names) {
  find("members").replaceChildren(...names.sort().map((name) => item(name)));
}

export function show(line) {
  find("log").append(item(line));
}

export function onJoin(action) {
  find("join").onsubmit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    Object.assign(join, { name: form.get("name").trim(), room: form.get("room") });
    if (!join.name) return;
    find("log").replaceChildren();
    find("talk").hidden = false;
    action();
  };
}

export function onSay(action) {
  find("say").onsubmit = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text").trim();
    if (text) action(text);
    event.target.reset();
  };
}

export function onWave(action) {
  find("wave").onclick = action;
}

function item(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}
