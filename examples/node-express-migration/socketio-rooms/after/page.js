import { post } from "/post.js";
import { join, onJoin, onSay, onWave, report, setConnection, setMembers, show } from "/room.js";

const { key, options } = await (await fetch("/realtime.json")).json();
const pusher = new Pusher(key, {
  ...options,
  channelAuthorization: { endpoint: "/pusher/auth", transport: "ajax", paramsProvider: () => ({ name: join.name }) },
});
pusher.connection.bind("state_change", ({ current }) => {
  setConnection(current === "connected");
  if (current === "connected") report("");
});

const LONGEST_PAUSE = 30_000; // milliseconds
let room;

onJoin(() => {
  if (room) pusher.unsubscribe(room.name);
  room = pusher.subscribe(`presence-${join.room}`); // pusher-js subscribes again after each reconnect
  const members = () => setMembers(Object.values(room.members.members).map(({ name }) => name));
  for (const event of ["subscription_succeeded", "member_added", "member_removed"]) room.bind(`pusher:${event}`, members);
  keepJoined(room);
  room.bind("said", ({ name, text }) => show(`${name}: ${text}`));
  room.bind("waved", (name) => show(`${name} waves`));
});
onSay((text) => post("/messages", { room: room.name, name: join.name, text }));
onWave(() => post("/waves", { room: room.name, name: join.name, socketId: pusher.connection.socket_id }));

/** pusher-js asks the application only once per connection: retry with growing delays while it does not answer. */
function keepJoined(joined) {
  let pause = 1000;
  joined.bind("pusher:subscription_succeeded", () => {
    pause = 1000;
    report("");
  });
  joined.bind("pusher:subscription_error", ({ status }) => {
    if (status === 401 || status === 403) return report("You may not join this room.");
    report("The application does not answer, trying again…");
    setTimeout(() => joined === room && pusher.subscribe(room.name), pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  });
}
