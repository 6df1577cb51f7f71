"use client";

import { type FormEvent, type KeyboardEvent, useRef } from "react";

import { MOST_WAITING } from "@/hooks/use-outbox";
import { LONGEST_TEXT, type Room } from "@/lib/chat";

const TELL_EVERY = 1500; // milliseconds: others show for three seconds that somebody types

interface Props {
  room: Room;
  full: boolean;
  problem: string | null;
  /** Tells the others; false if they could not be told. */
  onTyping: () => boolean;
  onSend: (text: string) => void;
}

export function Composer({ room, full, problem, onTyping, onSend }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const told = useRef(0);

  function type() {
    if (Date.now() - told.current > TELL_EVERY && onTyping()) told.current = Date.now();
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("text")).trim();
    if (!text || full) return;
    onSend(text);
    event.currentTarget.reset();
    told.current = 0;
  }

  function submitOnEnter(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    form.current?.requestSubmit();
  }

  return (
    <form ref={form} className="composer" onSubmit={submit}>
      <textarea
        name="text"
        rows={1}
        maxLength={LONGEST_TEXT}
        placeholder={`Message #${room}`}
        aria-label={`Message to ${room}`}
        onInput={type}
        onKeyDown={submitOnEnter}
      />
      <button type="submit">Send</button>
      <p role="alert">{full ? `${MOST_WAITING} messages wait for the connection; no more can.` : problem}</p>
    </form>
  );
}
