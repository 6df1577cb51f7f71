import Pusher, { type Channel } from "pusher-js";
import { createContext, onDestroy } from "svelte";
import { createSubscriber } from "svelte/reactivity";

import { env } from "$env/dynamic/public";
import { createRetry } from "$lib/retry";

type Handler = (data: never, metadata?: { user_id?: string }) => void;

/** What pusher-js says of a request to the API that failed. `status` is 0 if there was no answer. */
interface AuthError {
  status?: number;
}

const isRefusal = (status?: number) => status === 401 || status === 403;

/** The pusher-js client, its state, and the channels that components share. */
export class Connection {
  readonly pusher: Pusher;
  readonly #onRefused: () => void;
  #retry = createRetry(); // pusher-js itself asks the API only once for each connection
  #listeners = new Map<string, number>();
  #changes = createSubscriber((update) => {
    const { connection } = this.pusher;
    connection.bind("state_change", update);
    return () => connection.unbind("state_change", update);
  });

  constructor(token: () => string, onRefused: () => void) {
    this.#onRefused = onRefused;
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
    this.pusher.user.bind("pusher:signin_error", ({ status }: AuthError) => {
      if (isRefusal(status)) return onRefused();
      this.#retry.later(() => {
        this.pusher.user.signin_requested = false; // or signin() would do nothing
        this.pusher.signin();
      });
    });
    this.pusher.signin();
  }

  /** "connecting", "connected", "unavailable", or for good "disconnected" or "failed". What reads it follows it. */
  get state(): string {
    this.#changes();
    return this.pusher.connection.state;
  }

  /** Subscribe to a channel, or share the subscription there is, until what this returns is called. */
  listen(name: string, handlers: Record<string, Handler>): () => void {
    const channel = this.pusher.subscribe(name);
    const before = this.#listeners.get(name) ?? 0;
    this.#listeners.set(name, before + 1);
    if (!before) this.#retrySubscription(channel);
    for (const [event, handler] of Object.entries(handlers)) channel.bind(event, handler);
    return () => {
      for (const [event, handler] of Object.entries(handlers)) channel.unbind(event, handler);
      const left = (this.#listeners.get(name) ?? 1) - 1;
      this.#listeners.set(name, left);
      if (left) return;
      channel.unbind_all();
      this.pusher.unsubscribe(name);
    };
  }

  close() {
    this.#retry.stop();
    this.pusher.user.unbind_all();
    this.pusher.disconnect();
  }

  #retrySubscription(channel: Channel) {
    channel.bind("pusher:subscription_succeeded", this.#retry.reset);
    channel.bind("pusher:subscription_error", ({ status }: AuthError) => {
      const byServer = channel.subscriptionPending; // soketpy refused what the API had signed: no fault of the token
      channel.subscriptionPending = false;
      if (!byServer && isRefusal(status)) this.#onRefused();
      else this.#retry.later(() => this.#listeners.get(channel.name) && this.pusher.subscribe(channel.name));
    });
  }
}

const [getConnection, setConnection] = createContext<Connection>();

/** The connection that a component above has made. */
export { getConnection };

/**
 * Connect for as long as the component is mounted: itself and all within it share the connection.
 *
 * `onRefused` is called when the API does not accept the token.
 */
export function connect(token: () => string, onRefused: () => void): Connection {
  const connection = new Connection(token, onRefused);
  onDestroy(() => connection.close());
  return setConnection(connection);
}
