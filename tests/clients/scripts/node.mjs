// pusher-js clients in this process, by name.
import Pusher from "pusher-js";

import { openClient } from "./client.mjs";
import { say, serve } from "./commands.mjs";

const clients = new Map();

await serve({
  open({ client, key, options }) {
    clients.set(client, openClient(Pusher, key, options, (report) => say({ client, ...report })));
  },
  call: ({ client, name, args }) => clients.get(client)[name](args),
  close({ client }) {
    clients.get(client).disconnect();
    clients.delete(client);
  },
});
process.exit();
