import type Pusher from "pusher-js";
import { createContext, onDestroy } from "svelte";
import { createSubscriber } from "svelte/reactivity";

import { env } from "$env/dynamic/public";
import { type Connection as Opened, openConnection } from "$lib/connection";

type Handler = (data: never, metadata?: { user_id?: string }) => void;

/** The connection of the page, with a state that components can follow. */
export class Connection {
  readonly pusher: Pusher;
  readonly #opened: Opened;
  #changes = createSubscriber((update) => {
    const { connection } = this.pusher;
    connection.bind("state_change", update);
    return () => connection.unbind("state_change", update);
  });

  constructor(token: () => string, onRefused: () => void) {
    const address = { key: env.PUBLIC_PUSHER_KEY, host: env.PUBLIC_PUSHER_HOST, port: env.PUBLIC_PUSHER_PORT };
    this.#opened = openConnection(address, token, onRefused);
    this.pusher = this.#opened.pusher;
  }

  /** The state: "connecting", "connected", "unavailable", or finally "disconnected" or "failed". It is reactive. */
  get state(): string {
    this.#changes();
    return this.pusher.connection.state;
  }

  /** Subscribe to a channel, or share the subscription of another component. Return a function that ends this. */
  listen(name: string, handlers: Record<string, Handler>): () => void {
    const channel = this.#opened.acquire(name);
    for (const [event, handler] of Object.entries(handlers)) channel.bind(event, handler);
    return () => {
      for (const [event, handler] of Object.entries(handlers)) channel.unbind(event, handler);
      this.#opened.release(name);
    };
  }

  close() {
    this.#opened.close();
  }
}

const [getConnection, setConnection] = createContext<Connection>();

/** The connection that a component above has opened. */
export { getConnection };

/**
 * Connect while the component is mounted. The component and all components in it share the connection.
 *
 * `onRefused` is called when the API does not accept the token.
 */
export function connect(token: () => string, onRefused: () => void): Connection {
  const connection = new Connection(token, onRefused);
  onDestroy(() => connection.close());
  return setConnection(connection);
}
