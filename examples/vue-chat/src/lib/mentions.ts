/** Whom a text mentions: an "@", and then a whole name or a first name, in upper or lower case. */
import type { User } from "./chat";

/**
 * Return the ids of the people whom a text mentions.
 *
 * Of the names that follow an "@", the longest counts: "@Ada Lovelace" is not for every Ada. Everyone with that name is
 * mentioned.
 */
export function mentionsOf(text: string, people: User[]): string[] {
  const folded = fold(text);
  const named = people.flatMap(({ id, name }) => namesOf(name).map((each) => ({ id, name: each })));
  const mentioned = new Set<string>();
  for (const { index } of folded.matchAll(/(?<![\p{L}\p{N}])@/gu)) {
    const rest = folded.slice(index + 1);
    const fitting = named.filter(({ name }) => rest.startsWith(name) && endsAt(rest, name.length));
    const longest = Math.max(...fitting.map(({ name }) => name.length));
    for (const { id, name } of fitting) if (name.length === longest) mentioned.add(id);
  }
  return [...mentioned];
}

function namesOf(name: string): string[] {
  const whole = fold(name);
  return [whole, whole.split(" ")[0] ?? whole];
}

const fold = (text: string) => text.normalize().toLowerCase().replace(/\s+/g, " ");

/** Punctuation may follow a name. A letter or a digit makes it another name. */
const endsAt = (text: string, end: number) => !/^[\p{L}\p{M}\p{N}_]/u.test(text.slice(end));
