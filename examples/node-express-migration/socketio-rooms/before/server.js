// Rooms with Socket.IO: sockets join rooms of this process, and it emits to them.
import { createServer } from "node:http";

import { Server } from "socket.io";

import { listen, serve, site } from "../../site.js";

const ROOMS = ["red", "blue"];
const app = site(import.meta.url);
serve(app, "/room.js", new URL("../room.js", import.meta.url));
const server = createServer(app);
const io = new Server(server, { maxHttpBufferSize: 16_384 });

io.on("connection", (socket) => {
  const tellMembers = async (room) => {
    const sockets = await io.in(room).fetchSockets();
    io.to(room).emit("members", sockets.map(({ data }) => data.name));
  };

  socket.on("join", async (name, room) => {
    if (typeof name !== "string" || !name || name.length > 40 || !ROOMS.includes(room)) return;
    for (const left of socket.rooms) if (left !== socket.id) await leave(left);
    socket.data.name = name;
    await socket.join(room);
    await tellMembers(room);
  });

  const leave = async (room) => {
    await socket.leave(room);
    await tellMembers(room);
  };

  socket.on("say", (text) => {
    const [room] = [...socket.rooms].filter((name) => name !== socket.id);
    if (!room || typeof text !== "string" || !text || text.length > 1000) return;
    io.to(room).emit("said", { name: socket.data.name, text });
  });

  socket.on("wave", () => {
    for (const room of socket.rooms) if (room !== socket.id) socket.to(room).emit("waved", socket.data.name);
  });

  socket.on("disconnecting", () => {
    for (const room of socket.rooms) if (room !== socket.id) void leave(room);
  });
});

listen(server);
