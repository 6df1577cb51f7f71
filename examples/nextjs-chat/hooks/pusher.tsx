"use client";

import { createContext, type ReactNode, useCallback, useContext, useEffect, useEffectEvent, useState } from "react";
import { useSyncExternalStore } from "react";

import { type Connection, openConnection } from "@/lib/connection";

// next build writes the values of these variables into the page.
const ADDRESS = {
  key: process.env.NEXT_PUBLIC_PUSHER_KEY,
  host: process.env.NEXT_PUBLIC_PUSHER_HOST,
  port: process.env.NEXT_PUBLIC_PUSHER_PORT,
};

interface Props {
  token: string;
  /** Called when the API does not accept the token. */
  onRefused: () => void;
  children: ReactNode;
}

const Context = createContext<Connection | null>(null);

/** Connects as the user of the token, for all components in it, while it is mounted. */
export function PusherProvider({ token, onRefused, children }: Props) {
  const [connection, setConnection] = useState<Connection | null>(null);
  const refused = useEffectEvent(onRefused);

  useEffect(() => {
    const opened = openConnection(
      ADDRESS,
      () => token,
      () => refused(),
    );
    setConnection(opened);
    return () => {
      opened.close();
      setConnection(null);
    };
  }, [token]);

  return connection && <Context value={connection}>{children}</Context>;
}

/** The connection of the PusherProvider above. */
export function usePusher(): Connection {
  const connection = useContext(Context);
  if (!connection) throw new Error("usePusher needs a PusherProvider above it");
  return connection;
}

/** The state of the connection: "connecting", "connected", "unavailable", or finally "disconnected" or "failed". */
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
