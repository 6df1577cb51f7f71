const FORGET_AFTER = 3000; // milliseconds

/** Who is typing: those who were heard to type in the last three seconds. */
export function useTyping() {
  const ids = ref(new Set<string>());
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  onScopeDispose(() => timers.forEach(clearTimeout));

  function heard(id: string) {
    clearTimeout(timers.get(id));
    const forget = () => ids.value.delete(id);
    timers.set(id, setTimeout(forget, FORGET_AFTER));
    ids.value.add(id);
  }

  return { ids, heard };
}
