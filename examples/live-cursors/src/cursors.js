/** The cursors of all other members of a presence channel. Client events carry them without a server of yours. */
import { hueOf } from "./members.js";

const PACE = 50; // milliseconds between two positions at first: at most 20 per second
const SLOWEST_PACE = 1000;

/**
 * Send the position of the pointer on `surface`, and show the pointers of the others in `layer`.
 *
 * A position is a fraction of the width and of the height, so that it is the same point on every size of screen.
 */
export function showCursors(surface, layer, channel) {
  const cursors = new Map(); // elements by member id
  let mine = null; // null if the pointer is not on the surface
  let pace = PACE;
  let timer;
  let due = false;

  /** Send the position now, or when the pace allows it. The last position is always sent. */
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

  /** Send half as often, because the server has refused an event. */
  function slowDown() {
    pace = Math.min(2 * pace, SLOWEST_PACE);
  }

  surface.addEventListener("pointermove", moved);
  surface.addEventListener("pointerleave", left);
  channel.bind("pusher:subscription_succeeded", () => {
    clear();
    send();
  });
  channel.bind("pusher:member_added", send); // a new member sees the cursors of idle members at once
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

/** Return true if the data of another browser is a position on the surface. Other data hides its cursor. */
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
