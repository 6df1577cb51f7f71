// Clients in this process, by name: pusher-js of version 8 (build "pusher") or 7 ("pusher-7"), and Laravel Echo ("echo").
import Pusher from "pusher-js";
import Pusher7 from "pusher-js-7";

import { openClient } from "./client.mjs";
import { say, serve } from "./commands.mjs";
import { openEcho } from "./echo.mjs";

const clients = new Map();

await serve({
  open({ client, key, options, build }) {
    const open = build === "echo" ? openEcho : openClient;
    clients.set(client, open(build === "pusher-7" ? Pusher7 : Pusher, key, options, (report) => say({ client, ...report })));
  },
  call: ({ client, name, args }) => clients.get(client)[name](args),
  close({ client }) {
    clients.get(client).disconnect();
    clients.delete(client);
  },
});
process.exit();
