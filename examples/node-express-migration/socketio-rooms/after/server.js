// The same rooms with presence channels: soketpy knows the members of each, and this process holds no connection.
import express from "express";

import { listenRealtime, pusher, serveRealtime } from "../../realtime.js";
import { serve, site } from "../../site.js";

const ROOMS = ["presence-red", "presence-blue"];
const app = site(import.meta.url);
serveRealtime(app);
serve(app, "/room.js", new URL("../room.js", import.meta.url));

const isText = (value, longest) =>
  typeof value === "string" && value !== "" && value.length <= longest && value.isWellFormed();
const isSocketId = (value) => typeof value === "string" && /^\d+\.\d+$/.test(value);

// Instead of socket.join: the server decides who may join, and under which name.
app.post("/pusher/auth", express.urlencoded({ extended: false, limit: "1kb" }), (request, response) => {
  const { socket_id: socketId, channel_name: channel, name } = request.body ?? {};
  if (!isSocketId(socketId) || !ROOMS.includes(channel) || !isText(name, 40)) return response.sendStatus(403);
  response.json(pusher.authorizeChannel(socketId, channel, { user_id: socketId, user_info: { name } }));
});

// Instead of io.to(room).emit. Put your own login here: it identifies the user.
app.post("/messages", express.json({ limit: "8kb" }), async (request, response) => {
  const { room, name, text } = request.body ?? {};
  if (!ROOMS.includes(room) || !isText(name, 40) || !isText(text, 1000)) return response.sendStatus(400);
  await pusher.trigger(room, "said", { name, text });
  response.sendStatus(204);
});

// Instead of socket.to(room).emit: to all except the sender.
app.post("/waves", express.json({ limit: "8kb" }), async (request, response) => {
  const { room, name, socketId } = request.body ?? {};
  if (!ROOMS.includes(room) || !isText(name, 40) || !isSocketId(socketId)) return response.sendStatus(400);
  await pusher.trigger(room, "waved", name, { socket_id: socketId });
  response.sendStatus(204);
});

listenRealtime(app);
