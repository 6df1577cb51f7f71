const FORGET_AFTER = 3000; // milliseconds

/** Who is typing: those who were heard to type in the last three seconds. */
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
