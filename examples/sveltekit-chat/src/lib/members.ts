// A copy of examples/shared/members.ts, written by examples/shared/copy.py.
import type { Members } from "pusher-js";

export interface Member {
  id: string;
  name: string;
}

/** The events after which the members of a presence channel may have changed. */
export const MEMBER_EVENTS = ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"];

/** Return the members of a presence channel, sorted by name. A user with several tabs is one member. */
export function listOf(members: Members): Member[] {
  const found: Member[] = [];
  members.each(({ id, info }: { id: string; info: { name: string } }) => found.push({ id, name: info.name }));
  return found.sort((a, b) => a.name.localeCompare(b.name));
}
