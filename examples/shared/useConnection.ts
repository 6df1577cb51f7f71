import { computed, onScopeDispose, readonly, ref } from "vue";

import { usePusher } from "./usePusher";

/** The state of the connection: "connecting", "connected", "unavailable", or finally "disconnected" or "failed". */
export function useConnection() {
  const { connection } = usePusher().pusher;
  const state = ref(connection.state);
  const update = ({ current }: { current: string }) => (state.value = current);

  connection.bind("state_change", update);
  onScopeDispose(() => connection.unbind("state_change", update));

  return { state: readonly(state), online: computed(() => state.value === "connected") };
}
