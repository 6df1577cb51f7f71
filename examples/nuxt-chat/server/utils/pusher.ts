import Pusher from "pusher";

let pusher: Pusher | undefined;

/** The server's Pusher client: signs requests and triggers events. Only it has the app's secret. */
export function usePusherServer(): Pusher {
  const { pusherAppId, pusherSecret, pusherHost, pusherPort, pusherTls, public: shown } = useRuntimeConfig();
  pusher ??= new Pusher({
    // Runtime configuration turns a value that looks like a number into one.
    appId: String(pusherAppId),
    key: String(shown.pusherKey),
    secret: String(pusherSecret),
    host: pusherHost || "127.0.0.1",
    port: String(pusherPort || 6001),
    useTLS: pusherTls,
    timeout: 5000,
  });
  return pusher;
}

/** Return the `socket_id` of a request. It becomes part of a signed text, so only the form of pusher-js is valid. */
export function socketIdOf(form: URLSearchParams): string {
  const socketId = form.get("socket_id") ?? "";
  if (!/^\d+\.\d+$/.test(socketId)) throw createError({ statusCode: 400, statusMessage: "No socket_id" });
  return socketId;
}

/** The error of a failed trigger: `status` is the response's; `error` is the reason if there is no response. */
export interface TriggerFault {
  message: string;
  status?: number;
  error?: { code?: string };
}
