/** The server's Pusher client: signs requests and triggers events. Never import it into a client component. */
import Pusher from "pusher";

export const pusher = new Pusher({
  appId: process.env.PUSHER_APP_ID ?? "1",
  key: process.env.NEXT_PUBLIC_PUSHER_KEY ?? "app-key",
  secret: process.env.PUSHER_SECRET ?? "app-secret",
  host: process.env.PUSHER_HOST ?? "127.0.0.1",
  port: process.env.PUSHER_PORT ?? "6001",
  useTLS: process.env.PUSHER_TLS === "true",
  timeout: 5000,
});

/** The error of a failed trigger: `status` is the response's; `error` is the reason if there is no response. */
export interface TriggerFault {
  message: string;
  status?: number;
  error?: { code?: string };
}
