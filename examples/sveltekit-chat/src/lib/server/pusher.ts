/** The server's Pusher client: signs requests and triggers events. SvelteKit never sends it to the browser. */
import { env } from "$env/dynamic/private";
import { env as publicEnv } from "$env/dynamic/public";
import Pusher from "pusher";

export const pusher = new Pusher({
  appId: env.PUSHER_APP_ID ?? "1",
  key: publicEnv.PUBLIC_PUSHER_KEY ?? "app-key",
  secret: env.PUSHER_SECRET ?? "app-secret",
  host: env.PUSHER_HOST ?? "127.0.0.1",
  port: env.PUSHER_PORT ?? "6001",
  useTLS: env.PUSHER_TLS === "true",
  timeout: 5000,
});

/** The error of a failed trigger: `status` is the response's; `error` is the reason if there is no response. */
export interface TriggerFault {
  message: string;
  status?: number;
  error?: { code?: string };
}
