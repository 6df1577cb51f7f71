"use client";

import { useActionState } from "react";

import { LONGEST_NAME } from "@/lib/chat";

import type { Session } from "./chat-app";

export function SignIn({ onSignIn }: { onSignIn: (session: Session) => void }) {
  const [problem, action, pending] = useActionState(async (_: string | null, form: FormData) => {
    try {
      const response = await fetch("/api/session", { method: "POST", body: JSON.stringify({ name: form.get("name") }) });
      const answer = (await response.json()) as Session & { error?: string };
      if (!response.ok) return answer.error ?? "That did not work.";
      onSignIn(answer);
      return null;
    } catch {
      return "The server cannot be reached.";
    }
  }, null);

  return (
    <main className="sign-in">
      <form action={action} className="card">
        <h1>Chat</h1>
        <p>Next.js serves the pages, soketpy the messages. Open a second tab to talk to yourself.</p>
        <label>
          Your name
          <input name="name" required maxLength={LONGEST_NAME} autoComplete="nickname" autoFocus />
        </label>
        <button type="submit" disabled={pending}>
          Join
        </button>
        <p role="alert">{problem}</p>
      </form>
    </main>
  );
}
