import type { Handlers } from "./channel.svelte";
import { getConnection } from "./connection.svelte";

/** Events for the signed-in user, whatever channels they are on, for as long as the component is mounted. */
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
