import { onScopeDispose, ref } from "vue";

const FORGET_AFTER = 3000; // milliseconds

/** The ids of the users who typed in the last three seconds. */
export function useTyping() {
  const ids = ref(new Set<string>());
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  onScopeDispose(() => timers.forEach(clearTimeout));

  function heard(id: string) {
    clearTimeout(timers.get(id));
    timers.set(id, setTimeout(forget, FORGET_AFTER, id));
    ids.value.add(id);
  }

  function forget(id: string) {
    ids.value.delete(id);
  }

  return { ids, heard, forget };
}
