"use client";

import { useEffect, useState } from "react";

import { PusherProvider } from "@/hooks/pusher";
import type { Session } from "@/lib/chat";

import { Chat } from "./chat";
import { SignIn } from "./sign-in";

const KEY = "chat-session"; // in session storage, so that two tabs can be two users

/** The sign-in form, or the chat after the sign-in. */
export function ChatApp() {
  const [session, setSession] = useState<Session | null>();
  const [notice, setNotice] = useState("");

  useEffect(() => {
    const saved = sessionStorage.getItem(KEY);
    setSession(saved ? (JSON.parse(saved) as Session) : null);
  }, []);

  function signIn(session: Session) {
    sessionStorage.setItem(KEY, JSON.stringify(session));
    setSession(session);
  }

  function signOut(notice: string) {
    sessionStorage.removeItem(KEY);
    setSession(null);
    setNotice(notice);
  }

  const endSession = () => signOut("Your session has ended: join again.");

  if (session === undefined) return null; // unknown until the browser has read its storage
  if (session === null) return <SignIn notice={notice} onSignIn={signIn} />;
  return (
    <PusherProvider token={session.token} onRefused={endSession}>
      <Chat session={session} onSignOut={signOut} onSessionEnd={endSession} />
    </PusherProvider>
  );
}
