"use client";

import { useEffect, useRef, useState } from "react";

const FORGET_AFTER = 3000; // milliseconds

/** The ids of the users who typed in the last three seconds. */
export function useTyping() {
  const [ids, setIds] = useState<string[]>([]);
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());

  useEffect(() => {
    const running = timers.current;
    return () => running.forEach(clearTimeout);
  }, []);

  function heard(id: string) {
    clearTimeout(timers.current.get(id));
    timers.current.set(
      id,
      setTimeout(() => forget(id), FORGET_AFTER),
    );
    setIds((all) => (all.includes(id) ? all : [...all, id]));
  }

  function forget(id: string) {
    setIds((all) => all.filter((other) => other !== id));
  }

  return { ids, heard, forget };
}
