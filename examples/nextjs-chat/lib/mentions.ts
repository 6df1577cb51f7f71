// A copy of examples/shared/mentions.ts, written by examples/shared/copy.py.
/** Mentions in a text: an "@" and a whole name or a first name, in upper or lower case. */

interface Person {
  id: string;
  name: string;
}

/**
 * Return the ids of the people that a text mentions.
 *
 * If several names fit after an "@", only the longest one counts: "@Ada Lovelace" does not mention every Ada. If
 * several people have that name, all of them are mentioned.
 */
export function mentionsOf(text: string, people: Person[]): string[] {
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

/** Return false if a letter or a digit follows, because then the name is a longer one. Punctuation may follow. */
const endsAt = (text: string, end: number) => !/^[\p{L}\p{M}\p{N}_]/u.test(text.slice(end));
