// The shared page of both versions, without the connection.
const find = (id) => document.querySelector(`#${id}`);

/** The user's name and room, after the user has joined. */
export const join = { name: "", room: "" };

export function setConnection(connected) {
  find("connection").textContent = connected ? "Connected" : "Offline, reconnecting…";
}

export function setMembers(names) {
  find("members").replaceChildren(...names.sort().map((name) => item(name)));
}

export function show(line) {
  find("log").append(item(line));
  const log = find("log").parentElement;
  log.scrollTop = log.scrollHeight;
}

export function report(problem) {
  find("problem").textContent = problem;
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
  const form = find("say");
  form.onsubmit = async (event) => {
    event.preventDefault();
    const text = new FormData(form).get("text").trim();
    form.reset(); // at once: the user may type the next message while this one is being sent
    if (text && !(await attempt(() => action(text)))) form.elements.text.value ||= text;
  };
}

export function onWave(action) {
  find("wave").onclick = () => attempt(action);
}

/** Return true on success. On failure, show the reason. */
async function attempt(action) {
  try {
    await action();
    report("");
    return true;
  } catch (fault) {
    report(fault.message);
    return false;
  }
}

function item(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}
