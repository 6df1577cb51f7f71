// One pusher-js client that reports all it hears: the same in a page of Chromium and in Node.

/** Report the state of the connection, and its errors. */
export function watchConnection({ connection }, report) {
  connection.bind("state_change", ({ current }) => report({ channel: null, event: current, data: connection.socket_id ?? null }));
  // Of an error that came as a close frame, pusher-js says so by one more layer around it.
  connection.bind("error", ({ type, error, data }) => report({ channel: null, event: "error", data: data ?? error?.data ?? { type } }));
}

/**
 * Connect again. pusher-js 7 gives up WebSockets after two connections that broke within four minutes, until the page is
 * loaded again. pusher-js 8 never gives up.
 */
function revive(connection) {
  connection.updateStrategy();
  connection.retryIn(0);
}

/** The verbs of a new client. `report` is called with `{channel, event, data}`; `channel` is null for the connection's own. */
export function openClient(Pusher, key, options, report) {
  const pusher = new Pusher(key, options);
  const { user } = pusher;
  const from = (channel) => (event, data) => report({ channel, event, data: data ?? null });

  watchConnection(pusher, report);
  if (options.revives) pusher.connection.bind("failed", () => revive(pusher.connection));
  user.bind_global(from("user"));
  pusher.bind("soketpy:recovered", (data) => report({ channel: null, event: "soketpy:recovered", data }));
  user.watchlist?.bind_global(from("watchlist"));

  return {
    subscribe: ({ channel }) => void pusher.subscribe(channel).bind_global(from(channel)),
    unsubscribe: ({ channel }) => pusher.unsubscribe(channel),
    // What a global binding is not told: the user who sent the event.
    bindSender: ({ channel, event }) =>
      void pusher.channel(channel).bind(event, (data, metadata) => report({ channel, event: "sender", data: metadata.user_id })),
    trigger: ({ channel, event, data }) => pusher.channel(channel).trigger(event, data),
    // Any frame that an application may send; `data` may be of any type.
    send: ({ event, data }) => pusher.send_event(event, data),
    members: ({ channel }) => Object.keys(pusher.channel(channel).members.members).sort(),
    signIn: () => pusher.signin(),
    disconnect: () => pusher.disconnect(),
    // How many milliseconds it was going to wait before each attempt to reconnect.
    delays: () => pusher.timeline.events.filter(({ action }) => action === "retry").map(({ delay }) => delay),
  };
}
