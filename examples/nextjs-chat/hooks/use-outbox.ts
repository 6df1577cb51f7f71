"use client";

import { useEffect, useRef } from "react";

import { useTabState } from "./use-tab-state";

/** Drafts that may wait: more are refused, so that a long night offline fills no memory. */
export const MOST_WAITING = 50;

const RETRY_AFTER = 2000; // milliseconds

/** What became of an attempt: `later` keeps the draft, for there may be more luck then. */
export type Outcome = "sent" | "refused" | "later";

/**
 * Sends drafts in their order, one at a time, and keeps them for as long as `online` is false, in the tab under `key`.
 *
 * A draft may be sent twice, if its answer is lost: give it an id by which receivers tell.
 */
export function useOutbox<Draft extends { id: string }>(
  key: string,
  online: boolean,
  send: (draft: Draft) => Promise<Outcome>,
) {
  const [waiting, setWaiting] = useTabState<Draft[]>(key, []);
  const latest = useRef(send);
  const first = waiting[0];

  useEffect(() => {
    latest.current = send;
  });

  useEffect(() => {
    if (!online || !first) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;

    async function attempt(draft: Draft) {
      const outcome = await latest.current(draft).catch((): Outcome => "later");
      if (stopped) return;
      if (outcome === "later") timer = setTimeout(attempt, RETRY_AFTER, draft);
      else setWaiting((drafts) => drafts.filter(({ id }) => id !== draft.id));
    }

    void attempt(first);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [online, first, setWaiting]);

  return {
    waiting,
    full: waiting.length >= MOST_WAITING,
    add: (draft: Draft) => setWaiting((drafts) => (drafts.length < MOST_WAITING ? [...drafts, draft] : drafts)),
  };
}
