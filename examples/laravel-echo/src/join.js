const SHORTEST_PAUSE = 1000; // milliseconds
const LONGEST_PAUSE = 30_000;

/**
 * Keep a private or presence channel joined: pusher-js asks the application only once per connection, so retry with
 * growing delays while the application does not answer. `onRefused` is called for a refusal that a retry cannot change.
 */
export function keepJoined(echo, channel, { onJoined, onWait, onRefused }) {
  let pause = SHORTEST_PAUSE;
  let timer;
  channel.subscribed(() => {
    pause = SHORTEST_PAUSE;
    onJoined();
  });
  channel.error(({ status }) => {
    if (status === 401 || status === 403) return onRefused();
    onWait();
    clearTimeout(timer);
    timer = setTimeout(() => echo.connector.pusher.subscribe(channel.name), pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  });
}
