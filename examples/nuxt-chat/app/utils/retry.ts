const FIRST_PAUSE = 1000; // milliseconds
const LONGEST_PAUSE = 15_000;

/** Runs again what has failed, after a pause that doubles from one time to the next. */
export function createRetry() {
  const tasks = new Set<() => void>();
  let pause = FIRST_PAUSE;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function run() {
    const due = [...tasks];
    tasks.clear();
    timer = undefined;
    pause = Math.min(2 * pause, LONGEST_PAUSE);
    for (const task of due) task();
  }

  return {
    later(task: () => void) {
      tasks.add(task);
      timer ??= setTimeout(run, pause);
    },
    reset() {
      pause = FIRST_PAUSE;
    },
    stop() {
      clearTimeout(timer);
    },
  };
}
