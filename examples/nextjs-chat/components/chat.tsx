"use client";

import { useCallback, useEffect, useState } from "react";

import { useConnectionState } from "@/hooks/pusher";
import { useChannel } from "@/hooks/use-channel";
import { useOutbox } from "@/hooks/use-outbox";
import { useUser } from "@/hooks/use-user";
import { type Message, messagesChannel, type Room, type RoomEvents, ROOMS, type UserEvents } from "@/lib/chat";
import { type Draft, post } from "@/lib/messages";

import type { Session } from "./chat-app";
import { ConnectionBadge } from "./connection-badge";
import { RoomView } from "./room-view";

const MOST_SHOWN = 200; // messages of a room

type Conversations = Record<Room, Message[]>;

export function Chat({ session, onSignOut }: { session: Session; onSignOut: () => void }) {
  const [room, setRoom] = useState<Room>(ROOMS[0]);
  const [conversations, setConversations] = useState<Conversations>({ lobby: [], random: [], help: [] });
  const [seen, setSeen] = useState<Partial<Record<Room, string>>>({}); // the last message seen of each room
  const [mention, setMention] = useState<Message | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const [hearing, setHearing] = useState<Partial<Record<Room, boolean>>>({});
  const noteHearing = useCallback((room: Room, hears: boolean) => setHearing((all) => ({ ...all, [room]: hears })), []);

  const connection = useConnectionState();
  // Not before every room is heard, or the author would miss what goes out first.
  const outbox = useOutbox<Draft>(ROOMS.every((each) => hearing[each]), async (draft) => {
    const { outcome, problem } = await post(draft, session.token);
    setProblem(problem ?? null);
    return outcome;
  });
  useUser<UserEvents>({ mention: setMention });

  function add(message: Message) {
    setConversations((all) => {
      const before = all[message.room];
      if (before.some(({ id }) => id === message.id)) return all; // sent twice, or the cache's after a reconnect
      return { ...all, [message.room]: [...before, message].sort((a, b) => a.at - b.at).slice(-MOST_SHOWN) };
    });
  }

  function enter(next: Room) {
    setSeen((all) => ({ ...all, [room]: conversations[room].at(-1)?.id }));
    setRoom(next);
    setMention((last) => (last?.room === next ? null : last));
  }

  return (
    <div className="chat">
      {ROOMS.map((each) => (
        <RoomFeed key={each} room={each} onMessage={add} onHearing={noteHearing} />
      ))}
      <header>
        <h1>Chat</h1>
        <ConnectionBadge state={connection} waiting={outbox.waiting.length} />
        <button type="button" className="quiet" onClick={onSignOut}>
          Leave
        </button>
      </header>
      <nav aria-label="Rooms">
        {ROOMS.map((each) => {
          const last = conversations[each].at(-1);
          const news = each !== room && last !== undefined && last.id !== seen[each];
          return (
            <button
              key={each}
              type="button"
              aria-label={`#${each}`}
              aria-description={news ? "new messages" : undefined}
              aria-current={each === room ? "page" : undefined}
              onClick={() => enter(each)}
            >
              <span className="room-name">#{each}</span>
              {news && <span className="news" />}
              <span className="preview">{last ? `${last.author.name}: ${last.text}` : "Nothing said yet"}</span>
            </button>
          );
        })}
      </nav>
      <RoomView
        key={room}
        room={room}
        user={session.user}
        messages={conversations[room]}
        waiting={outbox.waiting.filter((draft) => draft.room === room)}
        full={outbox.full}
        problem={problem}
        onSend={outbox.add}
      />
      <div role="status" className="toast">
        {mention && mention.room !== room && (
          <button type="button" onClick={() => enter(mention.room)}>
            {mention.author.name} mentioned you in #{mention.room}
          </button>
        )}
      </div>
    </div>
  );
}

interface FeedProps {
  room: Room;
  onMessage: (message: Message) => void;
  onHearing: (room: Room, hears: boolean) => void;
}

/** Listens to a room, whichever is shown: its last message is in the channel's cache, and comes first. */
function RoomFeed({ room, onMessage, onHearing }: FeedProps) {
  const { subscription } = useChannel<RoomEvents>(messagesChannel(room), { message: onMessage });

  useEffect(() => {
    onHearing(room, subscription !== "subscribing");
  }, [onHearing, room, subscription]);

  return null;
}
