"use client";

import { type ChangeEvent, type FormEvent, type KeyboardEvent, useEffect, useRef } from "react";

import { LONGEST_TEXT, type Room } from "@/lib/chat";
import { MOST_WAITING } from "@/lib/outbox";

const TELL_EVERY = 1500; // milliseconds; receivers show it for three seconds

interface Props {
  room: Room;
  text: string;
  full: boolean;
  problem: string | null;
  /** Notify the others that the user types. Return false if that failed. */
  onTyping: () => boolean;
  onText: (text: string) => void;
  onSend: (text: string) => void;
}

export function Composer({ room, text, full, problem, onTyping, onText, onSend }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const told = useRef(0);

  useEffect(() => {
    // Only after joining: a user who chose a room keeps the focus on its button.
    if (document.activeElement === document.body) field.current?.focus();
  }, []);

  function type(event: ChangeEvent<HTMLTextAreaElement>) {
    onText(event.target.value);
    if (Date.now() - told.current > TELL_EVERY && onTyping()) told.current = Date.now();
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (!text.trim() || full) return;
    onSend(text.trim());
    onText("");
    told.current = 0;
  }

  function submitOnEnter(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    field.current?.form?.requestSubmit();
  }

  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={field}
        value={text}
        rows={1}
        maxLength={LONGEST_TEXT}
        placeholder={`Message #${room}`}
        aria-label={`Message to ${room}`}
        onChange={type}
        onKeyDown={submitOnEnter}
      />
      <button type="submit">Send</button>
      <p role="alert">{full ? `${MOST_WAITING} messages wait for the connection. The outbox is full.` : problem}</p>
    </form>
  );
}
