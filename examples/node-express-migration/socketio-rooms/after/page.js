import { join, onJoin, onSay, onWave, setConnection, setMembers, show } from "/room.js";

const { key, options } = await (await fetch("/realtime.json")).json();
const pusher = new Pusher(key, {
  ...options,
  channelAuthorization: { endpoint: "/pusher/auth", transport: "ajax", paramsProvider: () => ({ name: join.name }) },
});
pusher.connection.bind("state_change", ({ current }) => setConnection(current === "connected"));

let room;

onJoin(() => {
  if (room) pusher.unsubscribe(room.name);
  room = pusher.subscribe(`presence-${join.room}`); // anew after each reconnect, by itself
  const members = () => setMembers(Object.values(room.members.members).map(({ name }) => name));
  for (const event of ["subscription_succeeded", "member_added", "member_removed"]) room.bind(`pusher:${event}`, members);
  room.bind("said", ({ name, text }) => show(`${name}: ${text}`));
  room.bind("waved", (name) => show(`${name} waves`));
});
onSay((text) => post("/messages", { room: room.name, name: join.name, text }));
onWave(() => post("/waves", { room: room.name, name: join.name, socketId: pusher.connection.socket_id }));

const post = (url, body) =>
  fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
