// A copy of examples/shared/connection.ts, written by examples/shared/copy.py.
/** The page's connection to the realtime server, without any framework: channels that components share, and retries. */
import Pusher, { type Channel } from "pusher-js";

import { createRetry } from "./retry";

/** The realtime server and the app. By default: the host of the page, and port 443 with TLS or 6001 without. */
export interface Address {
  key?: string;
  host?: string;
  port?: string | number;
}

export interface Connection {
  pusher: Pusher;
  /** Subscribe to a channel, or share the subscription of another component. */
  acquire(channel: string): Channel;
  /** Unsubscribe from a channel, unless another component still needs it. */
  release(channel: string): void;
  /** Close the connection and stop all retries. */
  close(): void;
}

/** The error of a failed request to the API. `status` is 0 if there was no response. */
interface AuthError {
  status?: number;
}

/** Connect, and sign in with the token. `onRefused` is called when the API does not accept the token. */
export function openConnection(address: Address, token: () => string, onRefused: () => void): Connection {
  const pusher = connect(address, token);
  const users = new Map<string, number>();
  const retry = createRetry(); // pusher-js asks the API only once for each connection

  function retrySubscription(channel: Channel) {
    channel.bind("pusher:subscription_succeeded", retry.reset);
    channel.bind("pusher:subscription_error", ({ status }: AuthError) => {
      const byServer = channel.subscriptionPending; // the API signed, and soketpy refused: the token is valid
      channel.subscriptionPending = false;
      if (!byServer && isRefusal(status)) onRefused();
      else retry.later(() => users.get(channel.name) && pusher.subscribe(channel.name));
    });
  }

  pusher.user.bind("pusher:signin_error", ({ status }: AuthError) => {
    if (isRefusal(status)) return onRefused();
    retry.later(() => {
      pusher.user.signin_requested = false; // otherwise signin() does nothing
      pusher.signin();
    });
  });
  pusher.signin();

  return {
    pusher,
    acquire(name) {
      const before = users.get(name) ?? 0;
      users.set(name, before + 1);
      const channel = pusher.subscribe(name);
      if (!before) retrySubscription(channel);
      return channel;
    },
    release(name) {
      const left = (users.get(name) ?? 1) - 1;
      users.set(name, left);
      if (left) return;
      pusher.channel(name)?.unbind_all();
      pusher.unsubscribe(name);
    },
    close() {
      retry.stop();
      pusher.user.unbind_all();
      pusher.disconnect();
    },
  };
}

function connect({ key, host, port }: Address, token: () => string): Pusher {
  const secure = window.location.protocol === "https:";
  const portNumber = Number(port || (secure ? 443 : 6001));
  const headersProvider = () => ({ Authorization: `Bearer ${token()}` });
  return new Pusher(key || "app-key", {
    wsHost: host || window.location.hostname,
    wsPort: portNumber,
    wssPort: portNumber,
    forceTLS: secure,
    enabledTransports: ["ws", "wss"],
    cluster: "",
    wsPath: `/c/${newTab()}`,
    channelAuthorization: { endpoint: "/api/pusher/auth", transport: "ajax", headersProvider },
    userAuthentication: { endpoint: "/api/pusher/user-auth", transport: "ajax", headersProvider },
  });
}

/**
 * Return a random name of this tab. The name is the same at each reconnect, so that soketpy sends what the tab has missed.
 *
 * Unlike crypto.randomUUID, this also works on a page without TLS, such as one that a phone opens by IP address.
 */
const newTab = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const isRefusal = (status?: number) => status === 401 || status === 403;
