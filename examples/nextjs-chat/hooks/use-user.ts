"use client";

import { useEffect, useRef } from "react";

import { usePusher } from "./pusher";
import type { Handlers } from "./use-channel";

/** Handle events for the signed-in user while the component is mounted. The events need no subscription. */
export function useUser<Events extends object>(handlers: Handlers<Events>) {
  const { pusher } = usePusher();
  const latest = useRef(handlers);
  const events = Object.keys(handlers).sort().join(" ");

  useEffect(() => {
    latest.current = handlers;
  });

  useEffect(() => {
    const bound = events.split(" ").map((event) => {
      const handler = (data: never) => latest.current[event as keyof Events]?.(data);
      pusher.user.bind(event, handler);
      return [event, handler] as const;
    });
    return () => {
      for (const [event, handler] of bound) pusher.user.unbind(event, handler);
    };
  }, [pusher, events]);
}
