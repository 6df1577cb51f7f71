/** Keeps a channel joined, also after the application that signs for it was down for a while. */

const SHORTEST_PAUSE = 1000; // milliseconds
const LONGEST_PAUSE = 30_000;

/**
 * Retry with growing delays while the application does not answer: pusher-js asks it only once per connection.
 * `onRefused` is called for a refusal that a retry cannot change.
 */
export function keepJoined(pusher, channel, { onJoined, onWait, onRefused }) {
  let pause = SHORTEST_PAUSE;
  let timer;
  channel.bind("pusher:subscription_succeeded", () => {
    pause = SHORTEST_PAUSE;
    onJoined();
  });
  channel.bind("pusher:subscription_error", ({ status }) => {
    if (status === 401 || status === 403) return onRefused();
    onWait();
    clearTimeout(timer);
    timer = setTimeout(() => pusher.subscribe(channel.name), pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  });
}
