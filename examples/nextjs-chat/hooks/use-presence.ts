"use client";

import type { Members, PresenceChannel } from "pusher-js";
import { useEffect, useState } from "react";

import type { User } from "@/lib/chat";

import { usePusher } from "./pusher";
import { type Handlers, useChannel } from "./use-channel";

/** Who is on a presence channel, and its client events. A user with several tabs is one member. */
export function usePresence<Events extends object>(name: string, handlers: Handlers<Events>) {
  const { acquire, release } = usePusher();
  const [members, setMembers] = useState<User[]>([]);
  const channel = useChannel(name, handlers);

  useEffect(() => {
    const joined = acquire(name) as PresenceChannel;
    const update = () => setMembers(listOf(joined.members));
    const events = ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"];
    for (const event of events) joined.bind(event, update);
    update();
    return () => {
      for (const event of events) joined.unbind(event, update);
      release(name);
    };
  }, [acquire, release, name]);

  return { members, ...channel };
}

function listOf(members: Members): User[] {
  const users: User[] = [];
  members.each(({ id, info }: { id: string; info: { name: string } }) => users.push({ id, name: info.name }));
  return users.sort((a, b) => a.name.localeCompare(b.name));
}
