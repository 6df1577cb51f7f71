const CONNECTION: InjectionKey<Connection> = Symbol("connection");

/**
 * Connect as the user of the token, for this component and all components in it, until it is unmounted.
 *
 * `onRefused` is called when the API does not accept the token.
 */
export function providePusher(token: string, onRefused: () => void) {
  const { pusherKey, pusherHost, pusherPort } = useRuntimeConfig().public;
  // Runtime configuration turns a value that looks like a number into one.
  const address = { key: String(pusherKey), host: pusherHost, port: pusherPort };
  const connection = openConnection(address, () => token, onRefused);
  provide(CONNECTION, connection);
  onScopeDispose(connection.close);
}

/** The connection of the component above that called providePusher. */
export function usePusher(): Connection {
  const connection = inject(CONNECTION, null);
  if (!connection) throw new Error("usePusher needs a component above it that has called providePusher");
  return connection;
}
