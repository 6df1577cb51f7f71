import Pusher, { type Channel } from "pusher-js";

interface Client {
  pusher: Pusher;
  /** Subscribe, or share the subscription that another component has. */
  acquire(channel: string): Channel;
  /** Unsubscribe, once no component needs the channel any more. */
  release(channel: string): void;
}

const KEY: InjectionKey<Client> = Symbol("pusher");

/** Connects as the user whose token it is given, for the components below, until this one is unmounted. */
export function providePusher(token: string) {
  const pusher = connect(token);
  provide(KEY, share(pusher));
  onScopeDispose(() => pusher.disconnect());
}

/** The pusher-js client, and the channels that components share. */
export function usePusher(): Client {
  const client = inject(KEY, null);
  if (!client) throw new Error("usePusher needs a component above it that has called providePusher");
  return client;
}

function connect(token: string): Pusher {
  const { pusherKey, pusherHost, pusherPort } = useRuntimeConfig().public;
  const secure = window.location.protocol === "https:";
  const port = Number(pusherPort || (secure ? 443 : 6001));
  const headersProvider = () => ({ Authorization: `Bearer ${token}` });
  const pusher = new Pusher(String(pusherKey), {
    wsHost: pusherHost || window.location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: secure,
    enabledTransports: ["ws", "wss"],
    cluster: "",
    channelAuthorization: { endpoint: "/api/pusher/auth", transport: "ajax", headersProvider },
    userAuthentication: { endpoint: "/api/pusher/user-auth", transport: "ajax", headersProvider },
  });
  pusher.signin();
  return pusher;
}

function share(pusher: Pusher): Client {
  const users = new Map<string, number>();
  return {
    pusher,
    acquire(channel) {
      users.set(channel, (users.get(channel) ?? 0) + 1);
      return pusher.subscribe(channel);
    },
    release(channel) {
      const left = (users.get(channel) ?? 1) - 1;
      users.set(channel, left);
      if (!left) pusher.unsubscribe(channel);
    },
  };
}
