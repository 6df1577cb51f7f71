"use client";

import { useEffect, useRef } from "react";

import { useChannel } from "@/hooks/use-channel";
import { usePresence } from "@/hooks/use-presence";
import { useTyping } from "@/hooks/use-typing";
import {
  type Message,
  messagesChannel,
  presenceChannel,
  type PresenceEvents,
  type Room,
  type RoomEvents,
  type User,
} from "@/lib/chat";
import type { Draft } from "@/lib/messages";

import { Avatar } from "./avatar";
import { Composer } from "./composer";

interface Props {
  room: Room;
  user: User;
  messages: Message[];
  waiting: Draft[];
  text: string;
  full: boolean;
  problem: string | null;
  onText: (text: string) => void;
  onSend: (draft: Draft) => void;
}

export function RoomView({ room, user, messages, waiting, text, full, problem, onText, onSend }: Props) {
  const typing = useTyping();
  const { members, subscription, trigger } = usePresence<PresenceEvents>(presenceChannel(room), {
    "client-typing": (_, from) => from && typing.heard(from),
  });
  useChannel<RoomEvents>(messagesChannel(room), { message: ({ author }) => typing.forget(author.id) });
  const log = useRef<HTMLDivElement>(null);
  const shown = messages.length + waiting.length;
  const arrived = new Set(messages.map(({ id }) => id));

  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [shown]);

  const typists = members.filter(({ id }) => typing.ids.includes(id)).map(({ name }) => name);
  return (
    <main className="room">
      <ul className="members" role="list" aria-label="Who is here">
        {members.map((member) => (
          <li key={member.id}>
            <Avatar user={member} />
            {member.name}
            {member.id === user.id && <small> (you)</small>}
          </li>
        ))}
        {subscription === "subscribed" && members.length < 2 && <li>Nobody else is here.</li>}
        {subscription === "failed" && <li>The members are not known yet.</li>}
      </ul>
      <div ref={log} role="log" aria-label={`Messages in ${room}`} tabIndex={0}>
        <ol>
          {shown === 0 && <li className="empty">No messages yet. Write the first one.</li>}
          {messages.map((message) => (
            <li key={message.id} className={message.author.id === user.id ? "message mine" : "message"}>
              <Avatar user={message.author} />
              <p className="by">
                {message.author.name} <time dateTime={new Date(message.at).toISOString()}>{clock(message.at)}</time>
              </p>
              <p className="text">{message.text}</p>
            </li>
          ))}
          {waiting
            .filter(({ id }) => !arrived.has(id))
            .map(({ id, text }) => (
              <li key={id} className="message mine waiting">
                <Avatar user={user} />
                <p className="by">
                  {user.name} <small>waiting to be sent</small>
                </p>
                <p className="text">{text}</p>
              </li>
            ))}
        </ol>
      </div>
      <p className="typing" role="status" aria-label="Typing">
        {typists.length > 0 && `${typists.join(", ")} ${typists.length === 1 ? "is" : "are"} typing…`}
      </p>
      <Composer
        room={room}
        text={text}
        full={full}
        problem={problem}
        onTyping={() => trigger("client-typing", {})}
        onText={onText}
        onSend={(text) => onSend({ id: newId(), room, text })}
      />
    </main>
  );
}

/** Unlike crypto.randomUUID, this also works on a page without TLS, such as one that a phone opens by IP address. */
const newId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const clock = (at: number) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
