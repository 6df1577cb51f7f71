// The same rooms with presence channels: soketpy knows who is in which, and this process holds nobody.
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

// In the place of socket.join: the server says who may join, and under which name.
app.post("/pusher/auth", express.urlencoded({ extended: false, limit: "1kb" }), (request, response) => {
  const { socket_id: socketId, channel_name: channel, name } = request.body ?? {};
  if (!isSocketId(socketId) || !ROOMS.includes(channel) || !isText(name, 40)) return response.sendStatus(403);
  response.json(pusher.authorizeChannel(socketId, channel, { user_id: socketId, user_info: { name } }));
});

// In the place of io.to(room).emit. Your own login would say who it is.
app.post("/messages", express.json({ limit: "8kb" }), async (request, response) => {
  const { room, name, text } = request.body ?? {};
  if (!ROOMS.includes(room) || !isText(name, 40) || !isText(text, 1000)) return response.sendStatus(400);
  await pusher.trigger(room, "said", { name, text });
  response.sendStatus(204);
});

// In the place of socket.to(room).emit: to all but the one who asks.
app.post("/waves", express.json({ limit: "8kb" }), async (request, response) => {
  const { room, name, socketId } = request.body ?? {};
  if (!ROOMS.includes(room) || !isText(name, 40) || !isSocketId(socketId)) return response.sendStatus(400);
  await pusher.trigger(room, "waved", name, { socket_id: socketId });
  response.sendStatus(204);
});

listenRealtime(app);
