"use client";

import { useEffect, useState } from "react";

/** State that stays in the tab: it outlives a reload, and the component. For what is rendered in the browser alone. */
export function useTabState<State>(key: string, initial: State) {
  const [state, setState] = useState<State>(() => {
    const saved = sessionStorage.getItem(key);
    return saved ? (JSON.parse(saved) as State) : initial;
  });

  useEffect(() => sessionStorage.setItem(key, JSON.stringify(state)), [key, state]);

  return [state, setState] as const;
}
