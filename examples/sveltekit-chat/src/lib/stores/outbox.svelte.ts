import { untrack } from "svelte";

import { deliver, MOST_WAITING, type Outcome } from "$lib/outbox";

import { TabState } from "./tab-state.svelte";

/** Drafts that wait while `online` returns false. The tab stores them under `key` and sends them one at a time. */
export class Outbox<Draft extends { id: string }> {
  readonly #waiting: TabState<Draft[]>;

  constructor(key: string, online: () => boolean, send: (draft: Draft) => Promise<Outcome>) {
    this.#waiting = new TabState<Draft[]>(key, []);
    const next = $derived(online() ? this.waiting[0] : undefined); // stays the same when drafts are added behind it

    $effect(() => {
      const draft = next;
      if (!draft) return;
      const done = () => (this.#waiting.current = this.waiting.filter(({ id }) => id !== draft.id));
      return untrack(() => deliver(draft, send, done));
    });
  }

  get waiting(): Draft[] {
    return this.#waiting.current;
  }

  get full(): boolean {
    return this.waiting.length >= MOST_WAITING;
  }

  add(draft: Draft) {
    if (!this.full) this.#waiting.current = [...this.waiting, draft];
  }
}
