// The same poll with channels: a vote is a request, and its result is one trigger. This process holds no connection.
import express from "express";

import { listenRealtime, pusher, serveRealtime } from "../../realtime.js";
import { site } from "../../site.js";

let votes = { tea: 0, coffee: 0 };
let last = Promise.resolve();
const app = site(import.meta.url);
serveRealtime(app);

app.get("/votes", (_, response) => response.json(votes));

app.post("/votes", express.json({ limit: "1kb", strict: false }), async (request, response) => {
  const choice = request.body;
  if (!Object.hasOwn(votes, choice)) return response.status(400).json({ error: "Choose tea or coffee." });
  const vote = last.then(() => count(choice)); // one after the other
  last = vote.catch(() => {});
  await vote;
  response.json(votes);
});

/** Count a vote. It counts only after the pages are notified: after a 502 the user may vote again. */
async function count(choice) {
  const counted = { ...votes, [choice]: votes[choice] + 1 };
  await pusher.trigger("cache-poll", "votes", counted);
  votes = counted;
}

listenRealtime(app);
