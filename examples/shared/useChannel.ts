import type { Channel } from "pusher-js";
import { type MaybeRefOrGetter, onWatcherCleanup, readonly, ref, shallowRef, toValue, watch } from "vue";

import { useConnection } from "./useConnection";
import { usePusher } from "./usePusher";

/** Handlers for some of the events of a channel. `from` is the id of the user who sent a client event. */
export type Handlers<Events> = { [Name in keyof Events]?: (data: Events[Name], from?: string) => void };

export type Subscription = "subscribing" | "subscribed" | "failed";

/** A subscription that lasts until the component is unmounted or `name` changes. */
export function useChannel<Events extends object>(name: MaybeRefOrGetter<string>, handlers: Handlers<Events>) {
  const { acquire, release } = usePusher();
  const { online } = useConnection();
  const subscription = ref<Subscription>("subscribing");
  const channel = shallowRef<Channel>();

  watch(
    () => toValue(name),
    (name) => {
      const joined = acquire(name);
      channel.value = joined;
      subscription.value = joined.subscribed ? "subscribed" : "subscribing";

      const bound: Record<string, (data: never, metadata?: { user_id?: string }) => void> = {
        "pusher:subscription_succeeded": () => (subscription.value = "subscribed"),
        "pusher:subscription_error": () => (subscription.value = "failed"),
      };
      for (const event of Object.keys(handlers)) {
        bound[event] = (data, metadata) => handlers[event as keyof Events]?.(data, metadata?.user_id);
      }
      for (const [event, handler] of Object.entries(bound)) joined.bind(event, handler);

      onWatcherCleanup(() => {
        for (const [event, handler] of Object.entries(bound)) joined.unbind(event, handler);
        release(name);
      });
    },
    { immediate: true },
  );

  watch(online, (connected) => {
    if (!connected) subscription.value = "subscribing"; // pusher-js subscribes again after a reconnect
  });

  /** Send a client event to all other subscribers of the channel. Return false if the page is not subscribed. */
  function trigger<Name extends keyof Events & `client-${string}`>(event: Name, data: Events[Name]): boolean {
    return channel.value?.subscribed ? channel.value.trigger(event, data) : false;
  }

  return { channel, subscription: readonly(subscription), trigger };
}
