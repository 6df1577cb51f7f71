import Pusher from "pusher";

let pusher: Pusher | undefined;

/** The server's side of Pusher: signs who may join, and triggers events. It alone has the app's secret. */
export function usePusherServer(): Pusher {
  const { pusherAppId, pusherSecret, pusherHost, pusherPort, pusherTls, public: shown } = useRuntimeConfig();
  pusher ??= new Pusher({
    // Runtime configuration makes numbers of what looks like one.
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

/** The `socket_id` in the form that pusher-js sends, which stands in what is signed: it may hold nothing else. */
export function socketIdOf(form: URLSearchParams): string {
  const socketId = form.get("socket_id") ?? "";
  if (!/^\d+\.\d+$/.test(socketId)) throw createError({ statusCode: 400, statusMessage: "No socket_id" });
  return socketId;
}

/** What a trigger throws: `status` is the realtime server's, and `error` says why there is none. */
export interface TriggerFault {
  message: string;
  status?: number;
  error?: { code?: string };
}
