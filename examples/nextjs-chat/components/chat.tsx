"use client";

import { useCallback, useEffect, useState } from "react";

import { useConnectionState } from "@/hooks/pusher";
import { type Subscription, useChannel } from "@/hooks/use-channel";
import { useOutbox } from "@/hooks/use-outbox";
import { usePresence } from "@/hooks/use-presence";
import { useTabState } from "@/hooks/use-tab-state";
import { useUser } from "@/hooks/use-user";
import {
  EVERYONE,
  type Message,
  messagesChannel,
  type Room,
  type RoomEvents,
  ROOMS,
  type Session,
  type UserEvents,
} from "@/lib/chat";
import { mentionsOf } from "@/lib/mentions";
import { type Draft, MOST_MENTIONS, post } from "@/lib/messages";

import { ConnectionBadge } from "./connection-badge";
import { RoomView } from "./room-view";

const MOST_SHOWN = 200; // messages per room

type Conversations = Record<Room, Message[]>;

interface Props {
  session: Session;
  onSignOut: (notice: string) => void;
  /** Called when the API does not accept the session's token. */
  onSessionEnd: () => void;
}

export function Chat({ session, onSignOut, onSessionEnd }: Props) {
  const [room, setRoom] = useState<Room>(ROOMS[0]);
  const [conversations, setConversations] = useState<Conversations>({ lobby: [], random: [], help: [] });
  const [seen, setSeen] = useState<Partial<Record<Room, string>>>({}); // the id of the last seen message per room
  const [texts, setTexts] = useTabState<Partial<Record<Room, string>>>("chat-texts", {}); // drafts
  const [mention, setMention] = useState<Message | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [incomplete, setIncomplete] = useState(false); // messages may be missing

  const [subscriptions, setSubscriptions] = useState<Partial<Record<Room, Subscription>>>({});
  const noteSubscription = useCallback(
    (room: Room, subscription: Subscription) => setSubscriptions((all) => ({ ...all, [room]: subscription })),
    [],
  );
  const rooms = together(ROOMS.map((each) => subscriptions[each]));

  const connection = useConnectionState();
  const everyone = usePresence(EVERYONE, {});
  // Send only when the page is subscribed to every room, so that it gets its own messages, and when the members of the
  // chat are known, so that mentions find them.
  const ready = rooms === "subscribed" && everyone.subscription !== "subscribing";
  const outbox = useOutbox<Draft>("chat-waiting", ready, async (draft) => {
    const { outcome, message, problem, sessionEnded } = await post(draft, mentionsIn(draft.text), session.token);
    if (message) add(message);
    setProblem(problem ?? null);
    if (sessionEnded) onSessionEnd();
    return outcome;
  });
  useUser<UserEvents>({ mention: (message) => isUnread(message) && setMention(message) });

  // A mention is an event of its own: it can arrive after its message has been read.
  function isUnread({ room: where, id }: Message) {
    const ids = conversations[where].map((message) => message.id);
    const position = ids.indexOf(id);
    return where !== room && (position === -1 || position > ids.indexOf(seen[where] ?? ""));
  }

  function mentionsIn(text: string): string[] {
    const authors = Object.values(conversations).flatMap((messages) => messages.map(({ author }) => author));
    const mentioned = mentionsOf(text, [...everyone.members, ...authors]);
    return mentioned.filter((id) => id !== session.user.id).slice(0, MOST_MENTIONS);
  }

  function add(message: Message) {
    setConversations((all) => {
      const before = all[message.room];
      if (before.some(({ id }) => id === message.id)) return all; // a duplicate
      return { ...all, [message.room]: [...before, message].sort((a, b) => a.at - b.at).slice(-MOST_SHOWN) };
    });
  }

  function enter(next: Room) {
    setSeen((all) => ({ ...all, [room]: conversations[room].at(-1)?.id }));
    setRoom(next);
    setMention((last) => (last?.room === next ? null : last));
  }

  function leave() {
    onSignOut(outbox.waiting.length > 0 ? "Join again to send the waiting messages." : "");
  }

  return (
    <div className="chat">
      {ROOMS.map((each) => (
        <RoomFeed
          key={each}
          room={each}
          onMessage={add}
          onGap={() => setIncomplete(true)}
          onSubscription={noteSubscription}
        />
      ))}
      <header>
        <h1>Chat</h1>
        <ConnectionBadge state={connection} rooms={rooms} incomplete={incomplete} waiting={outbox.waiting.length} />
        <button type="button" className="quiet" onClick={leave}>
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
              aria-current={each === room ? "page" : undefined}
              onClick={() => enter(each)}
            >
              <span className="room-name">#{each}</span>
              {news && <span className="news" role="img" aria-label="new messages" />}
              <span className="preview">{last ? `${last.author.name}: ${last.text}` : "No messages yet"}</span>
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
        text={texts[room] ?? ""}
        full={outbox.full}
        problem={problem}
        onText={(text) => setTexts((all) => ({ ...all, [room]: text }))}
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

/** Return "subscribed" only if all subscriptions are. */
function together(subscriptions: (Subscription | undefined)[]): Subscription {
  if (subscriptions.includes("failed")) return "failed";
  return subscriptions.every((each) => each === "subscribed") ? "subscribed" : "subscribing";
}

interface FeedProps {
  room: Room;
  onMessage: (message: Message) => void;
  /** Called after a reconnect that could not bring all messages. */
  onGap: () => void;
  onSubscription: (room: Room, subscription: Subscription) => void;
}

/** Subscribe to a room, even if another one is shown. The first messages come from the channel's history. */
function RoomFeed({ room, onMessage, onGap, onSubscription }: FeedProps) {
  const { subscription } = useChannel<RoomEvents>(messagesChannel(room), {
    message: onMessage,
    "soketpy:recovered": ({ complete }) => {
      if (!complete) onGap();
    },
  });

  useEffect(() => {
    onSubscription(room, subscription);
  }, [onSubscription, room, subscription]);

  return null;
}
