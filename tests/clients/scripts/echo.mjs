// Laravel Echo, with the verbs of client.mjs. Echo reports its own events with a dot in front of their names.
import Echo from "laravel-echo";

import { watchConnection } from "./client.mjs";

/** The verbs of a new client of Echo. */
export function openEcho(Pusher, key, options, report) {
  const echo = new Echo({ broadcaster: "pusher", Pusher, key, ...options });
  const { pusher } = echo.connector;
  watchConnection(pusher, report);

  return {
    subscribe({ channel }) {
      echo
        .channel(channel)
        .subscribed(() => report({ channel, event: "pusher:subscription_succeeded", data: null }))
        .listenToAll((event, data) => report({ channel, event, data: data ?? null }));
    },
    send: ({ event, data }) => pusher.send_event(event, data),
    disconnect: () => echo.disconnect(),
  };
}
