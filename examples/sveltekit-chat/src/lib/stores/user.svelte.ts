import type { Handlers } from "./channel.svelte";
import { getConnection } from "./connection.svelte";

/** Handle events for the signed-in user while the component is mounted. The events need no subscription. */
export function onUserEvents<Events extends object>(handlers: Handlers<Events>) {
  const { user } = getConnection().pusher;
  $effect(() => {
    const bound = Object.entries(handlers) as [string, (data: never) => void][];
    for (const [event, handler] of bound) user.bind(event, handler);
    return () => {
      for (const [event, handler] of bound) user.unbind(event, handler);
    };
  });
}
