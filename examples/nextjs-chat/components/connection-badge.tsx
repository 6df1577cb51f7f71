/** Tells whether the browser is connected, and how much waits until it is. */
export function ConnectionBadge({ state, waiting }: { state: string; waiting: number }) {
  const online = state === "connected";
  const words = online ? "Connected" : state === "connecting" ? "Connecting…" : "Offline, reconnecting…";
  return (
    <p role="status" aria-label="Connection" className={online ? "badge online" : "badge"}>
      {words}
      {!online && waiting > 0 && ` ${waiting} waiting`}
    </p>
  );
}
