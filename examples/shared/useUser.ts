import { onScopeDispose } from "vue";

import type { Handlers } from "./useChannel";
import { usePusher } from "./usePusher";

/** Handle events for the signed-in user until the component is unmounted. The events need no subscription. */
export function useUser<Events extends object>(handlers: Handlers<Events>) {
  const { user } = usePusher().pusher;
  for (const event of Object.keys(handlers)) {
    const handler = (data: never) => handlers[event as keyof Events]?.(data);
    user.bind(event, handler);
    onScopeDispose(() => user.unbind(event, handler));
  }
}
