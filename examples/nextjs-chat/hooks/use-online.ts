"use client";

import Pusher from "pusher-js";
import { useEffect, useState } from "react";

import { ONLINE, type Online } from "@/lib/online";

// next build writes the values of these variables into the page.
const KEY = process.env.NEXT_PUBLIC_PUSHER_KEY;
const HOST = process.env.NEXT_PUBLIC_PUSHER_HOST;
const PORT = process.env.NEXT_PUBLIC_PUSHER_PORT;

/** The people in the chat, over a connection without a user. Undefined until the server has told. */
export function useOnline(): Online | undefined {
  const [online, setOnline] = useState<Online>();

  useEffect(() => {
    const secure = window.location.protocol === "https:";
    const port = Number(PORT || (secure ? 443 : 6001));
    const pusher = new Pusher(KEY || "app-key", {
      wsHost: HOST || window.location.hostname,
      wsPort: port,
      wssPort: port,
      forceTLS: secure,
      enabledTransports: ["ws", "wss"],
      cluster: "",
    });
    pusher.subscribe(ONLINE).bind("people", setOnline);
    return () => pusher.disconnect();
  }, []);

  return online;
}
