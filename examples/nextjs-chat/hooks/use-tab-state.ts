"use client";

import { useEffect, useState } from "react";

/** State of the tab that survives a reload and the component. Use it only in components that no server renders. */
export function useTabState<State>(key: string, initial: State) {
  const [state, setState] = useState<State>(() => {
    const saved = sessionStorage.getItem(key);
    return saved ? (JSON.parse(saved) as State) : initial;
  });

  useEffect(() => sessionStorage.setItem(key, JSON.stringify(state)), [key, state]);

  return [state, setState] as const;
}
