// A copy of examples/shared/useOutbox.ts, written by examples/shared/copy.py.
import { computed, type MaybeRefOrGetter, onWatcherCleanup, shallowReadonly, toValue, watch } from "vue";

import { deliver, MOST_WAITING, type Outcome } from "@/utils/outbox";

import { useTabState } from "./useTabState";

/** Drafts that wait while `online` is false. The tab stores them under `key` and sends them in order, one at a time. */
export function useOutbox<Draft extends { id: string }>(
  key: string,
  online: MaybeRefOrGetter<boolean>,
  send: (draft: Draft) => Promise<Outcome>,
) {
  const waiting = useTabState<Draft[]>(key, []);
  const full = computed(() => waiting.value.length >= MOST_WAITING);
  const next = computed(() => (toValue(online) ? waiting.value[0] : undefined));

  watch(
    next,
    (first) => {
      if (!first) return;
      const done = () => (waiting.value = waiting.value.filter(({ id }) => id !== first.id));
      onWatcherCleanup(deliver(first, send, done));
    },
    { immediate: true },
  );

  function add(draft: Draft) {
    if (!full.value) waiting.value = [...waiting.value, draft];
  }

  return { waiting: shallowReadonly(waiting), full, add };
}
