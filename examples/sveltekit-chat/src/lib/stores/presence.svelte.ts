import type { PresenceChannel } from "pusher-js";

import { listOf, type Member, MEMBER_EVENTS } from "$lib/members";

import { Channel, type Handlers } from "./channel.svelte";

/** A presence channel with its members and its client events. */
export class Presence<Events extends object> extends Channel<Events> {
  members = $state.raw<Member[]>([]);

  constructor(name: () => string, handlers: Handlers<Events>) {
    super(name, handlers);
    $effect(() => {
      const update = () => (this.members = listOf((this.joined as PresenceChannel).members));
      const stop = this.connection.listen(name(), Object.fromEntries(MEMBER_EVENTS.map((event) => [event, update])));
      update();
      return stop;
    });
  }
}
