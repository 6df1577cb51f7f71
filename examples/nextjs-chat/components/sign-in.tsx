"use client";

import { useActionState } from "react";

import { useOnline } from "@/hooks/use-online";
import { LONGEST_NAME, type Session } from "@/lib/chat";
import type { Online } from "@/lib/online";

interface Props {
  /** The reason why the user must sign in again. */
  notice: string;
  onSignIn: (session: Session) => void;
}

export function SignIn({ notice, onSignIn }: Props) {
  const [{ name, problem }, action, pending] = useActionState(
    async (_: unknown, form: FormData) => {
      const name = String(form.get("name")); // for the field, which React empties after an action
      try {
        const response = await fetch("/api/session", { method: "POST", body: JSON.stringify({ name }) });
        const answer = (await response.json()) as Session & { error?: string };
        if (!response.ok) return { name, problem: answer.error ?? "The request failed." };
        onSignIn(answer);
        return { name, problem: "" };
      } catch {
        return { name, problem: "The server cannot be reached." };
      }
    },
    { name: "", problem: notice },
  );

  const online = useOnline();

  return (
    <main className="sign-in">
      <form action={action} className="card">
        <h1>Chat</h1>
        <p>Next.js serves the pages, soketpy the messages. Open a second tab to talk to yourself.</p>
        <label>
          Your name
          <input name="name" defaultValue={name} required maxLength={LONGEST_NAME} autoComplete="nickname" autoFocus />
        </label>
        <button type="submit" disabled={pending}>
          Join
        </button>
        <p role="alert">{problem}</p>
        <p role="status" aria-label="Online">
          {online && wordsOf(online)}
        </p>
      </form>
    </main>
  );
}

/** Return who is online in words. Names of users that the server does not know are only counted. */
function wordsOf({ names, count }: Online): string {
  if (count === 0) return "Nobody is online.";
  const others = count - names.length;
  const unnamed = others > 0 ? [others === 1 ? "one more" : `${others} more`] : [];
  return `Online now: ${[...names, ...unnamed].join(", ")}`;
}
