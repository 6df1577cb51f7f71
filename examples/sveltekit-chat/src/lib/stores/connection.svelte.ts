import Pusher from "pusher-js";
import { createContext, onDestroy } from "svelte";
import { createSubscriber } from "svelte/reactivity";

import { env } from "$env/dynamic/public";

type Handler = (data: never, metadata?: { user_id?: string }) => void;

/** The pusher-js client, its state, and the channels that components share. */
export class Connection {
  readonly pusher: Pusher;
  #listeners = new Map<string, number>();
  #changes = createSubscriber((update) => {
    const { connection } = this.pusher;
    connection.bind("state_change", update);
    return () => connection.unbind("state_change", update);
  });

  constructor(token: () => string) {
    const secure = window.location.protocol === "https:";
    const port = Number(env.PUBLIC_PUSHER_PORT ?? (secure ? 443 : 6001));
    const headersProvider = () => ({ Authorization: `Bearer ${token()}` });
    this.pusher = new Pusher(env.PUBLIC_PUSHER_KEY ?? "app-key", {
      wsHost: env.PUBLIC_PUSHER_HOST ?? window.location.hostname,
      wsPort: port,
      wssPort: port,
      forceTLS: secure,
      enabledTransports: ["ws", "wss"],
      cluster: "",
      channelAuthorization: { endpoint: "/api/pusher/auth", transport: "ajax", headersProvider },
      userAuthentication: { endpoint: "/api/pusher/user-auth", transport: "ajax", headersProvider },
    });
    this.pusher.signin();
  }

  /** "connecting", "connected", "unavailable" or "disconnected": templates and effects that read it follow it. */
  get state(): string {
    this.#changes();
    return this.pusher.connection.state;
  }

  /** Subscribe to a channel, or share the subscription there is, until what this returns is called. */
  listen(name: string, handlers: Record<string, Handler>): () => void {
    const channel = this.pusher.subscribe(name);
    this.#listeners.set(name, (this.#listeners.get(name) ?? 0) + 1);
    for (const [event, handler] of Object.entries(handlers)) channel.bind(event, handler);
    return () => {
      for (const [event, handler] of Object.entries(handlers)) channel.unbind(event, handler);
      const left = (this.#listeners.get(name) ?? 1) - 1;
      this.#listeners.set(name, left);
      if (!left) this.pusher.unsubscribe(name);
    };
  }
}

const [getConnection, setConnection] = createContext<Connection>();

/** The connection that a component above has made. */
export { getConnection };

/** Connect for as long as the component is mounted: itself and all within it share the connection. */
export function connect(token: () => string): Connection {
  const connection = new Connection(token);
  onDestroy(() => connection.pusher.disconnect());
  return setConnection(connection);
}
