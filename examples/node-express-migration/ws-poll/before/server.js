// A live poll with ws: each vote is broadcast to every socket that this process holds.
import { createServer } from "node:http";

import { WebSocket, WebSocketServer } from "ws";

import { listen, site } from "../../site.js";

const votes = { tea: 0, coffee: 0 };
const server = createServer(site(import.meta.url));
const sockets = new WebSocketServer({ server, path: "/live", maxPayload: 1024 });

sockets.on("connection", (socket) => {
  socket.alive = true;
  socket.on("pong", () => (socket.alive = true));
  socket.on("error", () => socket.terminate());
  socket.send(JSON.stringify(votes));
  socket.on("message", (message) => {
    const choice = String(message);
    if (!Object.hasOwn(votes, choice)) return;
    votes[choice] += 1;
    for (const client of sockets.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(JSON.stringify(votes));
    }
  });
});

// A client that disappears without a close does not answer the next ping.
setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.alive) socket.terminate();
    socket.alive = false;
    socket.ping();
  }
}, 30_000);

listen(server);
