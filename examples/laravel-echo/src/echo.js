/** Echo's connection to soketpy: a Laravel application has this in resources/js/echo.js. */
import Echo from "laravel-echo";
import Pusher from "pusher-js";

const secure = window.location.protocol === "https:";
const port = import.meta.env.VITE_PUSHER_PORT ?? (secure ? 443 : 6001);

/** Connect as the user of the token. With Laravel's session cookie, leave out `bearerToken`. */
export function connect(token) {
  return new Echo({
    broadcaster: "pusher",
    Pusher,
    key: import.meta.env.VITE_PUSHER_APP_KEY,
    cluster: "", // required by pusher-js, but unused with a host
    wsHost: import.meta.env.VITE_PUSHER_HOST ?? window.location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: secure,
    enabledTransports: ["ws", "wss"],
    bearerToken: token,
  });
}
