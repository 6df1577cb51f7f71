"use client";

import Pusher, { type Channel } from "pusher-js";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useEffectEvent,
  useState,
  useSyncExternalStore,
} from "react";

import { createRetry } from "@/lib/retry";

interface Client {
  pusher: Pusher;
  /** Subscribe, or share the subscription that another component has. */
  acquire(channel: string): Channel;
  /** Unsubscribe, once no component needs the channel any more. */
  release(channel: string): void;
}

/** What pusher-js says of a request to the API that failed. `status` is 0 if there was no answer. */
interface AuthError {
  status?: number;
}

interface Props {
  token: string;
  /** Is called when the API does not accept the token. */
  onRefused: () => void;
  children: ReactNode;
}

const Context = createContext<Client | null>(null);

/** Connects for as long as it is mounted, as the user whose token it is given. */
export function PusherProvider({ token, onRefused, children }: Props) {
  const [client, setClient] = useState<Client | null>(null);
  const refused = useEffectEvent(onRefused);

  useEffect(() => {
    const { close, ...client } = share(connect(token), () => refused());
    setClient(client);
    return () => {
      close();
      setClient(null);
    };
  }, [token]);

  return client && <Context value={client}>{children}</Context>;
}

/** The pusher-js client, and the channels that components share. */
export function usePusher(): Client {
  const client = useContext(Context);
  if (!client) throw new Error("usePusher needs a PusherProvider above it");
  return client;
}

/** The state of the connection: "connecting", "connected", "unavailable", or for good "disconnected" or "failed". */
export function useConnectionState(): string {
  const { connection } = usePusher().pusher;
  const subscribe = useCallback(
    (changed: () => void) => {
      connection.bind("state_change", changed);
      return () => void connection.unbind("state_change", changed);
    },
    [connection],
  );
  return useSyncExternalStore(
    subscribe,
    () => connection.state,
    () => "connecting",
  );
}

function connect(token: string): Pusher {
  const secure = window.location.protocol === "https:";
  const port = Number(process.env.NEXT_PUBLIC_PUSHER_PORT ?? (secure ? 443 : 6001));
  const headersProvider = () => ({ Authorization: `Bearer ${token}` });
  const pusher = new Pusher(process.env.NEXT_PUBLIC_PUSHER_KEY ?? "app-key", {
    wsHost: process.env.NEXT_PUBLIC_PUSHER_HOST ?? window.location.hostname,
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

function share(pusher: Pusher, onRefused: () => void): Client & { close(): void } {
  const users = new Map<string, number>();
  const retry = createRetry(); // pusher-js itself asks the API only once for each connection

  function retrySubscription(channel: Channel) {
    channel.bind("pusher:subscription_succeeded", retry.reset);
    channel.bind("pusher:subscription_error", ({ status }: AuthError) => {
      const byServer = channel.subscriptionPending; // soketpy refused what the API had signed: no fault of the token
      channel.subscriptionPending = false;
      if (!byServer && isRefusal(status)) onRefused();
      else retry.later(() => users.get(channel.name) && pusher.subscribe(channel.name));
    });
  }

  pusher.user.bind("pusher:signin_error", ({ status }: AuthError) => {
    if (isRefusal(status)) return onRefused();
    retry.later(() => {
      pusher.user.signin_requested = false; // or signin() would do nothing
      pusher.signin();
    });
  });

  return {
    pusher,
    acquire(name) {
      const before = users.get(name) ?? 0;
      users.set(name, before + 1);
      const channel = pusher.subscribe(name);
      if (!before) retrySubscription(channel);
      return channel;
    },
    release(name) {
      const left = (users.get(name) ?? 1) - 1;
      users.set(name, left);
      if (left) return;
      pusher.channel(name)?.unbind_all();
      pusher.unsubscribe(name);
    },
    close() {
      retry.stop();
      pusher.user.unbind_all();
      pusher.disconnect();
    },
  };
}

const isRefusal = (status?: number) => status === 401 || status === 403;
