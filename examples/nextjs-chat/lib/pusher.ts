/** The server's side of Pusher: signs who may join, and triggers events. Never import this into a client component. */
import Pusher from "pusher";

export const pusher = new Pusher({
  appId: process.env.PUSHER_APP_ID ?? "app-id",
  key: process.env.NEXT_PUBLIC_PUSHER_KEY ?? "app-key",
  secret: process.env.PUSHER_SECRET ?? "app-secret",
  host: process.env.PUSHER_HOST ?? "127.0.0.1",
  port: process.env.PUSHER_PORT ?? "6001",
  useTLS: process.env.PUSHER_TLS === "true",
  timeout: 5000,
});

/** What a trigger throws: `status` is the realtime server's, and `error` says why there is none. */
export interface TriggerFault {
  message: string;
  status?: number;
  error?: { code?: string };
}
