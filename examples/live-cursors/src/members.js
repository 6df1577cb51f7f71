/** The members of a presence channel, each with a colour. */

/** Return a hue in degrees. It is the same for a name in every browser. */
export function hueOf(name) {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 0);
}

/** Show the members of `channel` in `list`. While the connection is lost, the list shows the last known members. */
export function showMembers(list, channel) {
  function show() {
    const names = [];
    channel.members.each(({ id, info }) => names.push({ name: info.name, me: id === channel.members.myID }));
    names.sort((a, b) => a.name.localeCompare(b.name));
    list.replaceChildren(...names.map(itemOf));
  }
  for (const event of ["subscription_succeeded", "member_added", "member_removed"]) {
    channel.bind(`pusher:${event}`, show);
  }
}

function itemOf({ name, me }) {
  const item = document.createElement("li");
  item.style.setProperty("--hue", hueOf(name));
  item.textContent = me ? `${name} (you)` : name;
  return item;
}
