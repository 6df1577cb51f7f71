"use client";

import Pusher, { type Channel } from "pusher-js";
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from "react";

interface Client {
  pusher: Pusher;
  /** Subscribe, or share the subscription that another component has. */
  acquire(channel: string): Channel;
  /** Unsubscribe, once no component needs the channel any more. */
  release(channel: string): void;
}

const Context = createContext<Client | null>(null);

/** Connects for as long as it is mounted, as the user whose token it is given. */
export function PusherProvider({ token, children }: { token: string; children: ReactNode }) {
  const [client, setClient] = useState<Client | null>(null);

  useEffect(() => {
    const pusher = connect(token);
    setClient(share(pusher));
    return () => {
      pusher.disconnect();
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

/** The state of the connection: "connecting", "connected", "unavailable" or "disconnected". */
export function useConnectionState(): string {
  const { connection } = usePusher().pusher;
  return useSyncExternalStore(
    (changed) => {
      connection.bind("state_change", changed);
      return () => void connection.unbind("state_change", changed);
    },
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
