// A copy of examples/shared/useTabState.ts, written by examples/shared/copy.py.
import { shallowRef, watch } from "vue";

/** State of the tab that survives a reload and the component. Replace the value; changes inside it are not stored. */
export function useTabState<State>(key: string, initial: State) {
  const saved = sessionStorage.getItem(key);
  const state = shallowRef<State>(saved ? JSON.parse(saved) : initial);

  // Store the value at once, because the component may be unmounted next.
  watch(state, (value) => sessionStorage.setItem(key, JSON.stringify(value)), { flush: "sync" });

  return state;
}
