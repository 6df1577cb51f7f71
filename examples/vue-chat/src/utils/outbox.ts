// A copy of examples/shared/outbox.ts, written by examples/shared/copy.py.
/** The delivery of one draft of an outbox, without any framework. */

/** The most drafts that may wait. A full outbox refuses more, so that a long time offline does not fill the memory. */
export const MOST_WAITING = 50;

const RETRY_AFTER = 2000; // milliseconds

/** The result of one attempt. After `later`, the draft stays in the outbox for another attempt. */
export type Outcome = "sent" | "refused" | "later";

/**
 * Send a draft until it is sent or refused, then call `done`. Return a function that stops the attempts.
 *
 * If a response is lost, the draft is sent twice: give it an id, so that receivers can recognise the second one.
 */
export function deliver<Draft>(draft: Draft, send: (draft: Draft) => Promise<Outcome>, done: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  async function attempt() {
    const outcome = await send(draft).catch((): Outcome => "later");
    if (stopped) return;
    if (outcome === "later") timer = setTimeout(attempt, RETRY_AFTER);
    else done();
  }

  void attempt();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
