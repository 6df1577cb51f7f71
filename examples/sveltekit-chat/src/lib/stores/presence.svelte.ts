import type { Members, PresenceChannel } from "pusher-js";

import type { User } from "$lib/chat";

import { Channel, type Handlers } from "./channel.svelte";

/** A presence channel, and who is on it. A user with several tabs is one member. */
export class Presence<Events extends object> extends Channel<Events> {
  members = $state.raw<User[]>([]);

  constructor(name: () => string, handlers: Handlers<Events>) {
    super(name, handlers);
    $effect(() => {
      const update = () => (this.members = listOf((this.joined as PresenceChannel).members));
      const events = ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"];
      const stop = this.connection.listen(name(), Object.fromEntries(events.map((event) => [event, update])));
      update();
      return stop;
    });
  }
}

function listOf(members: Members): User[] {
  const users: User[] = [];
  members.each(({ id, info }: { id: string; info: { name: string } }) => users.push({ id, name: info.name }));
  return users.sort((a, b) => a.name.localeCompare(b.name));
}
