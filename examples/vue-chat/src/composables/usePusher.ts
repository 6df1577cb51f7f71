import { inject, type InjectionKey, onScopeDispose, provide } from "vue";

import { type Connection, openConnection } from "@/utils/connection";

const CONNECTION: InjectionKey<Connection> = Symbol("connection");

/**
 * Connect as the user of the token, for this component and all components in it, until it is unmounted.
 *
 * `onRefused` is called when the API does not accept the token.
 */
export function providePusher(token: string, onRefused: () => void) {
  const { VITE_PUSHER_KEY: key, VITE_PUSHER_HOST: host, VITE_PUSHER_PORT: port } = import.meta.env;
  const connection = openConnection({ key, host, port }, () => token, onRefused);
  provide(CONNECTION, connection);
  onScopeDispose(connection.close);
}

/** The connection of the component above that called providePusher. */
export function usePusher(): Connection {
  const connection = inject(CONNECTION, null);
  if (!connection) throw new Error("usePusher needs a component above it that has called providePusher");
  return connection;
}
