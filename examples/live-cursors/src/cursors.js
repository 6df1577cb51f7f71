/** The cursors of all others on a presence channel, by client events that go past every server of yours. */
import { hueOf } from "./members.js";

const PACE = 50; // milliseconds between two positions, at first: 20 a second, however fast the mouse is
const SLOWEST_PACE = 1000;

/**
 * Tell the others where the pointer is on `surface`, and show in `layer` where theirs are.
 *
 * A position is a share of the width and of the height, so that it means the same place on every size of screen.
 */
export function showCursors(surface, layer, channel) {
  const cursors = new Map(); // elements, by the id of their member
  let mine = null; // null: not on the surface
  let pace = PACE;
  let timer;
  let due = false;

  /** Send the position now, or once the pace allows: the last one is never left out. */
  function send() {
    due = true;
    if (timer) return;
    due = false;
    if (channel.subscribed) channel.trigger("client-cursor", mine ?? {});
    timer = setTimeout(() => {
      timer = undefined;
      if (due) send();
    }, pace);
  }

  function moved(event) {
    const { left, top, width, height } = surface.getBoundingClientRect();
    mine = { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
    send();
  }

  function left() {
    mine = null;
    send();
  }

  function remove(id) {
    cursors.get(id)?.remove();
    cursors.delete(id);
  }

  function clear() {
    for (const id of [...cursors.keys()]) remove(id);
  }

  /** Send half as often: the server has refused an event. */
  function slowDown() {
    pace = Math.min(2 * pace, SLOWEST_PACE);
  }

  surface.addEventListener("pointermove", moved);
  surface.addEventListener("pointerleave", left);
  channel.bind("pusher:subscription_succeeded", () => {
    clear();
    send();
  });
  channel.bind("pusher:member_added", send); // who comes sees at once those who do not move
  channel.bind("pusher:member_removed", ({ id }) => remove(id));
  channel.bind("client-cursor", (position, { user_id: id }) => {
    const member = channel.members.get(id);
    if (!member || !isPosition(position)) return remove(id);
    if (!cursors.has(id)) cursors.set(id, layer.appendChild(cursorOf(member.info.name)));
    const { style } = cursors.get(id);
    style.setProperty("--x", position.x);
    style.setProperty("--y", position.y);
  });
  return { clear, slowDown };
}

/** Whether what another browser sent is a place on the surface. Anything else hides its cursor. */
function isPosition(value) {
  const isShare = (number) => typeof number === "number" && number >= 0 && number <= 1;
  return isShare(value?.x) && isShare(value?.y);
}

function cursorOf(name) {
  const cursor = document.createElement("span");
  cursor.className = "cursor";
  cursor.style.setProperty("--hue", hueOf(name));
  cursor.textContent = name;
  return cursor;
}
