import { getConnection } from "./connection.svelte";

/** Handlers for some of the events of a channel. `from` is the id of the user who sent a client event. */
export type Handlers<Events> = { [Name in keyof Events]?: (data: Events[Name], from?: string) => void };

export type Subscription = "subscribing" | "subscribed" | "failed";

/** A subscription that lasts while its component is mounted. It moves to another channel when `name` changes. */
export class Channel<Events extends object> {
  subscription = $state<Subscription>("subscribing");
  protected readonly connection = getConnection();
  readonly #name: () => string;

  constructor(name: () => string, handlers: Handlers<Events>) {
    this.#name = name;
    $effect(() => {
      const events = Object.keys(handlers) as (keyof Events & string)[];
      const heard = events.map((event) => {
        const handler = (data: never, metadata?: { user_id?: string }) => handlers[event]?.(data, metadata?.user_id);
        return [event, handler] as const;
      });
      const stop = this.connection.listen(name(), {
        ...Object.fromEntries(heard),
        "pusher:subscription_succeeded": () => (this.subscription = "subscribed"),
        "pusher:subscription_error": () => (this.subscription = "failed"),
      });
      this.subscription = this.joined?.subscribed ? "subscribed" : "subscribing";
      return stop;
    });
    $effect(() => {
      if (this.connection.state !== "connected") this.subscription = "subscribing"; // pusher-js subscribes again after a reconnect
    });
  }

  /** The channel of pusher-js. */
  protected get joined() {
    return this.connection.pusher.channel(this.#name());
  }

  /** Send a client event to all other subscribers of the channel. Return false if the page is not subscribed. */
  trigger<Name extends keyof Events & `client-${string}`>(event: Name, data: Events[Name]): boolean {
    return this.joined?.subscribed ? this.joined.trigger(event, data) : false;
  }
}
