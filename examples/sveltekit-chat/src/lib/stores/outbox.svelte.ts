import { untrack } from "svelte";

import { TabState } from "./tab-state.svelte";

/** Drafts that may wait: more are refused, so that a long night offline fills no memory. */
export const MOST_WAITING = 50;

const RETRY_AFTER = 2000; // milliseconds

/** What became of an attempt: `later` keeps the draft, for there may be more luck then. */
export type Outcome = "sent" | "refused" | "later";

/**
 * Sends drafts in their order, one at a time, and keeps them for as long as `online` gives false, in the tab under `key`.
 *
 * A draft may be sent twice, if its answer is lost: give it an id by which receivers tell.
 */
export class Outbox<Draft extends { id: string }> {
  readonly #waiting: TabState<Draft[]>;

  constructor(key: string, online: () => boolean, send: (draft: Draft) => Promise<Outcome>) {
    this.#waiting = new TabState<Draft[]>(key, []);
    const next = $derived(online() ? this.waiting[0] : undefined); // the same one, whatever is added behind it

    $effect(() => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let stopped = false;

      const attempt = async (draft: Draft) => {
        const outcome = await send(draft).catch((): Outcome => "later");
        if (stopped) return;
        if (outcome === "later") timer = setTimeout(attempt, RETRY_AFTER, draft);
        else this.#waiting.current = this.waiting.filter(({ id }) => id !== draft.id);
      };

      const draft = next;
      if (draft) void untrack(() => attempt(draft));
      return () => {
        stopped = true;
        clearTimeout(timer);
      };
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
