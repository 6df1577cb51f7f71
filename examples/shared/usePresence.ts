import type { PresenceChannel } from "pusher-js";
import { type MaybeRefOrGetter, onWatcherCleanup, shallowReadonly, shallowRef, watch } from "vue";

import { listOf, type Member, MEMBER_EVENTS } from "@/utils/members";

import { type Handlers, useChannel } from "./useChannel";

/** A presence channel with its members and its client events. */
export function usePresence<Events extends object>(name: MaybeRefOrGetter<string>, handlers: Handlers<Events>) {
  const members = shallowRef<Member[]>([]);
  const { channel, ...rest } = useChannel(name, handlers);

  watch(
    channel,
    (joined) => {
      if (!joined) return;
      const update = () => (members.value = listOf((joined as PresenceChannel).members));
      for (const event of MEMBER_EVENTS) joined.bind(event, update);
      onWatcherCleanup(() => MEMBER_EVENTS.forEach((event) => joined.unbind(event, update)));
      update();
    },
    { immediate: true },
  );

  return { members: shallowReadonly(members), ...rest };
}
