/** State that stays in the tab: it outlives a reload, and the component. Replace it, rather than change what is in it. */
export function useTabState<State>(key: string, initial: State) {
  const saved = sessionStorage.getItem(key);
  const state = shallowRef<State>(saved ? JSON.parse(saved) : initial);

  // At once, for the component may be gone the next moment.
  watch(state, (value) => sessionStorage.setItem(key, JSON.stringify(value)), { flush: "sync" });

  return state;
}
