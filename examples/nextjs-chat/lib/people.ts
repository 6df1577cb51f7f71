/** The names of users by their ids, in the memory of one process. Put the table of your users here. */
import type { User } from "./chat";

const MOST = 10_000;

// Next.js bundles each route on its own. They share the global object.
const store = globalThis as { people?: Map<string, string> };
const people = (store.people ??= new Map());

export function remember({ id, name }: User) {
  people.delete(id); // the newest ones are at the end
  people.set(id, name);
  if (people.size > MOST) people.delete(people.keys().next().value!);
}

export const nameOf = (id: string) => people.get(id);
