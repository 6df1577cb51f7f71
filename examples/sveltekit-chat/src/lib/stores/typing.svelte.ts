import { onDestroy } from "svelte";
import { SvelteSet } from "svelte/reactivity";

const FORGET_AFTER = 3000; // milliseconds

/** The ids of the users who typed in the last three seconds. */
export class Typing {
  readonly ids = new SvelteSet<string>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor() {
    onDestroy(() => this.#timers.forEach(clearTimeout));
  }

  heard(id: string) {
    this.ids.add(id);
    clearTimeout(this.#timers.get(id));
    this.#timers.set(
      id,
      setTimeout(() => this.forget(id), FORGET_AFTER),
    );
  }

  forget(id: string) {
    this.ids.delete(id);
  }
}
