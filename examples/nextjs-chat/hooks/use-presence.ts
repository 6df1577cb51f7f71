"use client";

import type { PresenceChannel } from "pusher-js";
import { useEffect, useState } from "react";

import { listOf, type Member, MEMBER_EVENTS } from "@/lib/members";

import { usePusher } from "./pusher";
import { type Handlers, useChannel } from "./use-channel";

/** A presence channel with its members and its client events. */
export function usePresence<Events extends object>(name: string, handlers: Handlers<Events>) {
  const { acquire, release } = usePusher();
  const [members, setMembers] = useState<Member[]>([]);
  const channel = useChannel(name, handlers);

  useEffect(() => {
    const joined = acquire(name) as PresenceChannel;
    const update = () => setMembers(listOf(joined.members));
    for (const event of MEMBER_EVENTS) joined.bind(event, update);
    update();
    return () => {
      for (const event of MEMBER_EVENTS) joined.unbind(event, update);
      release(name);
    };
  }, [acquire, release, name]);

  return { members, ...channel };
}
