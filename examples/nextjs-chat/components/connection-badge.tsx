import type { Subscription } from "@/hooks/use-channel";

interface Props {
  state: string;
  rooms: Subscription;
  incomplete: boolean;
  waiting: number;
}

/** The state of the connection and of the room subscriptions, and the number of waiting messages. */
export function ConnectionBadge({ state, rooms, incomplete, waiting }: Props) {
  const trouble = troubleOf(state, rooms, incomplete);
  return (
    <p role="status" aria-label="Connection" className={trouble ? "badge" : "badge online"}>
      {trouble ?? "Connected"}
      {trouble && waiting > 0 && ` ${waiting} waiting`}
    </p>
  );
}

function troubleOf(state: string, rooms: Subscription, incomplete: boolean): string | undefined {
  if (state === "connecting") return "Connecting…";
  if (["disconnected", "failed"].includes(state)) return "The realtime server refuses this page: reload it.";
  if (state !== "connected") return "Offline, reconnecting…";
  if (rooms === "failed") return "Not in the rooms yet, trying again…";
  if (rooms === "subscribing") return "Joining the rooms…";
  if (incomplete) return "You may have missed messages: reload the page.";
}
