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
      let timer: ReturnType<typeof setTimeout> | undefined;
      let stopped = false;

      async function attempt(draft: Draft) {
        const outcome = await send(draft).catch((): Outcome => "later");
        if (stopped) return;
        if (outcome === "later") timer = setTimeout(attempt, RETRY_AFTER, draft);
        else waiting.value = waiting.value.filter(({ id }) => id !== draft.id);
      }

      void attempt(first);
      onWatcherCleanup(() => {
        stopped = true;
        clearTimeout(timer);
      });
    },
    { immediate: true },
  );

  function add(draft: Draft) {
    if (!full.value) waiting.value = [...waiting.value, draft];
  }

  return { waiting: shallowReadonly(waiting), full, add };
}
