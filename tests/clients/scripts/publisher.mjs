// The npm library for publishers: a command is a method of it. Argument: its options as JSON.
import Pusher from "pusher";

import { serve } from "./commands.mjs";

const pusher = new Pusher(JSON.parse(process.argv[2]));
const json = async (response) => (await response).json();

await serve({
  trigger: (args) => json(pusher.trigger(...args)),
  triggerBatch: (args) => json(pusher.triggerBatch(...args)),
  get: (args) => json(pusher.get(...args)),
  sendToUser: (args) => json(pusher.sendToUser(...args)),
  terminateUserConnections: (args) => json(pusher.terminateUserConnections(...args)),
  authorizeChannel: (args) => pusher.authorizeChannel(...args),
  authenticateUser: (args) => pusher.authenticateUser(...args),
});
