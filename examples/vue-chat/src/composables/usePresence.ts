import type { Members, PresenceChannel } from "pusher-js";
import { type MaybeRefOrGetter, onWatcherCleanup, shallowReadonly, shallowRef, watch } from "vue";

import type { User } from "@/lib/chat";

import { type Handlers, useChannel } from "./useChannel";

const CHANGES = ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"];

/** Who is on a presence channel, and its client events. A user with several tabs is one member. */
export function usePresence<Events extends object>(name: MaybeRefOrGetter<string>, handlers: Handlers<Events>) {
  const members = shallowRef<User[]>([]);
  const { channel, ...rest } = useChannel(name, handlers);

  watch(
    channel,
    (joined) => {
      if (!joined) return;
      const update = () => (members.value = listOf((joined as PresenceChannel).members));
      for (const event of CHANGES) joined.bind(event, update);
      onWatcherCleanup(() => CHANGES.forEach((event) => joined.unbind(event, update)));
      update();
    },
    { immediate: true },
  );

  return { members: shallowReadonly(members), ...rest };
}

function listOf(members: Members): User[] {
  const users: User[] = [];
  members.each(({ id, info }: { id: string; info: { name: string } }) => users.push({ id, name: info.name }));
  return users.sort((a, b) => a.name.localeCompare(b.name));
}
