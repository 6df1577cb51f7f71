"use client";

import { useEffect, useRef } from "react";

import { deliver, MOST_WAITING, type Outcome } from "@/lib/outbox";

import { useTabState } from "./use-tab-state";

/** Drafts that wait while `online` is false. The tab stores them under `key` and sends them in order, one at a time. */
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
    const done = () => setWaiting((drafts) => drafts.filter(({ id }) => id !== first.id));
    return deliver(first, (draft) => latest.current(draft), done);
  }, [online, first, setWaiting]);

  return {
    waiting,
    full: waiting.length >= MOST_WAITING,
    add: (draft: Draft) => setWaiting((drafts) => (drafts.length < MOST_WAITING ? [...drafts, draft] : drafts)),
  };
}
