"use client";

import type { Channel } from "pusher-js";
import { useEffect, useRef, useState } from "react";

import { useConnectionState, usePusher } from "./pusher";

/** Handlers for some of the events of a channel. `from` is the id of the user who sent a client event. */
export type Handlers<Events> = { [Name in keyof Events]?: (data: Events[Name], from?: string) => void };

export type Subscription = "subscribing" | "subscribed" | "failed";

/** A subscription that lasts while the component is mounted. `handlers` may be new functions at each render. */
export function useChannel<Events extends object>(name: string, handlers: Handlers<Events>) {
  const { acquire, release } = usePusher();
  const connected = useConnectionState() === "connected";
  const [subscription, setSubscription] = useState<Subscription>("subscribing");
  const channel = useRef<Channel>(null);
  const latest = useRef(handlers);
  const events = Object.keys(handlers).sort().join(" ");

  useEffect(() => {
    latest.current = handlers;
  });

  useEffect(() => {
    const joined = acquire(name);
    channel.current = joined;
    setSubscription(joined.subscribed ? "subscribed" : "subscribing");

    const bound: Record<string, (data: never, metadata?: { user_id?: string }) => void> = {
      "pusher:subscription_succeeded": () => setSubscription("subscribed"),
      "pusher:subscription_error": () => setSubscription("failed"),
    };
    for (const event of events.split(" ").filter(Boolean)) {
      bound[event] = (data, metadata) => latest.current[event as keyof Events]?.(data, metadata?.user_id);
    }
    for (const [event, handler] of Object.entries(bound)) joined.bind(event, handler);
    return () => {
      for (const [event, handler] of Object.entries(bound)) joined.unbind(event, handler);
      channel.current = null;
      release(name);
    };
  }, [acquire, release, name, events]);

  useEffect(() => {
    if (!connected) setSubscription("subscribing"); // pusher-js subscribes again after a reconnect
  }, [connected]);

  /** Send a client event to all other subscribers of the channel. Return false if the page is not subscribed. */
  function trigger<Name extends keyof Events & `client-${string}`>(event: Name, data: Events[Name]): boolean {
    return channel.current?.subscribed ? channel.current.trigger(event, data) : false;
  }

  return { subscription, trigger };
}
