// Serves commands that come as JSON lines on standard input. Answers and reports go out as JSON lines.
import { createInterface } from "node:readline";

export function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

/** Serves one command after the other until the input ends: `{id, verb, args}` is answered by `{id, value}` or `{id, fault}`. */
export async function serve(verbs) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, verb, args } = JSON.parse(line);
    try {
      say({ id, value: (await verbs[verb](args)) ?? null });
    } catch (fault) {
      say({ id, fault: { text: String(fault.stack ?? fault), status: fault.status ?? null, body: fault.body ?? null } });
    }
  }
}
