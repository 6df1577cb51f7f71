// A copy of examples/shared/retry.ts, written by examples/shared/copy.py.
const FIRST_PAUSE = 1000; // milliseconds
const LONGEST_PAUSE = 15_000;

/** Repeats failed requests after a pause. Each pause is twice as long as the one before. */
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
    /** Run the task after the current pause. */
    later(task: () => void) {
      tasks.add(task);
      timer ??= setTimeout(run, pause);
    },
    /** Begin with the shortest pause again, after a success. */
    reset() {
      pause = FIRST_PAUSE;
    },
    stop() {
      clearTimeout(timer);
    },
  };
}
