import { join, onJoin, onSay, onWave, setConnection, setMembers, show } from "/room.js";

const socket = io();
socket.on("connect", () => {
  setConnection(true);
  if (join.name) socket.emit("join", join.name, join.room); // the server forgets the rooms of a closed connection
});
socket.on("disconnect", () => setConnection(false));
socket.on("members", setMembers);
socket.on("said", ({ name, text }) => show(`${name}: ${text}`));
socket.on("waved", (name) => show(`${name} waves`));

onJoin(() => socket.emit("join", join.name, join.room));
onSay((text) => socket.emit("say", text));
onWave(() => socket.emit("wave"));
