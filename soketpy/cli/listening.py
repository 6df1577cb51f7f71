"""The run of ``soketpy listen``: connect, subscribe, print events, and reconnect as pusher-js does."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from soketpy.cli.call import Target
from soketpy.cli.decryption import MasterKey, Undecryptable
from soketpy.cli.escapes import escaped
from soketpy.cli.event_lines import event_of, json_of, line_of
from soketpy.cli.faults import Failure
from soketpy.cli.pusher_client import (
    BACK_OFF,
    MOST_BACK_OFF,
    Closed,
    Message,
    PusherConnection,
    PusherServer,
    opened,
)
from soketpy.cli.secrets import read_secret
from soketpy.cli.subscription import Subscriber
from soketpy.protocol.channels import kind_of
from soketpy.protocol.errors import Code

INTERRUPTED = 130
"""The exit code of a command that Ctrl+C ended, as shells have it: 128 and the number of SIGINT."""

SUCCEEDED = "pusher_internal:subscription_succeeded"


def listen(args: argparse.Namespace, target: Target, prefix: str, subscriber: Subscriber) -> int:
    """Print events until the count, the time, Ctrl+C or a closed standard output ends it. Return the exit code."""
    key = None if args.master_key_file is None else MasterKey(read_secret(args.master_key_file, "--master-key-file"))
    printer = Printer(args.json, args.count, key)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        asyncio.run(_listen(args, target, prefix, subscriber, printer))
    except TimeoutError:
        if args.count is not None:
            raise Failure(f"{printer.printed} of {args.count} events arrived within {args.timeout:g} s") from None
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output again at its end, and must not find the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _listen(
    args: argparse.Namespace, target: Target, prefix: str, subscriber: Subscriber, printer: "Printer"
) -> None:
    async with asyncio.timeout(args.timeout), opened(target, prefix, subscriber.key, args.origin) as server:
        await Listener(server, subscriber, tuple(dict.fromkeys(args.channels)), printer).run()


class Printer:
    """Prints events on standard output. ``count`` is the number of events after which it is full."""

    def __init__(self, as_json: bool, count: int | None, key: MasterKey | None) -> None:
        self._text = json_of if as_json else line_of
        self._count = count
        self._key = key
        self.printed = 0

    @property
    def full(self) -> bool:
        """Return whether all events that were asked for are printed."""
        return self._count is not None and self.printed >= self._count

    def print(self, message: Message) -> None:
        """Print a message if it is an event."""
        event = event_of(message)
        if event is None:
            return
        print(self._text(event, self._decrypted(message)), flush=True)
        self.printed += 1

    def _decrypted(self, message: Message) -> Message:
        """Return an event with its data decrypted, if that is possible."""
        if self._key is None or message.event.startswith("pusher") or not kind_of(message.channel or "").encrypted:
            return message
        try:
            return replace(message, data=self._key.decrypt(message.channel or "", message.decoded))
        except Undecryptable as fault:
            say(str(fault))
            return message


class Listener:
    """One connection at a time, with all channels. A lost connection is replaced, and the channels joined again."""

    def __init__(self, server: PusherServer, subscriber: Subscriber, channels: Sequence[str], printer: Printer) -> None:
        self._server = server
        self._subscriber = subscriber
        self._channels = channels
        self._printer = printer
        self._was_connected = False
        self._in_vain = False  # the newest connection has subscribed to no channel
        self._back_off = BACK_OFF

    async def run(self) -> None:
        """Listen until the printer is full. Raise Failure if the server refuses, or never was reached."""
        while (lost := await self._serve_one()) is not None:
            reason, delay = lost
            say(f"{reason}; reconnecting {f'in {delay:g} s' if delay else 'at once'}")
            await asyncio.sleep(delay)

    async def _serve_one(self) -> tuple[str, float] | None:
        """Serve one connection. Return why it ended and the seconds before the next one, or None if all is printed."""
        try:
            connection = await self._server.connect()
        except Failure as failure:
            if not self._was_connected:
                raise
            return str(failure), self._slower()
        except Closed as closed:
            return self._lost(closed, self._slower())
        again, self._in_vain, self._was_connected = self._in_vain, True, True
        try:
            await self._serve(connection)
        except Closed as closed:
            return self._lost(closed, self._slower() if again and self._in_vain else 0.0)
        finally:
            await connection.close()
        return None

    def _lost(self, closed: Closed, least: float) -> tuple[str, float]:
        """Return the reason of a close, and the seconds before the next attempt. Raise Failure if there is none."""
        if closed.delay is None:
            reason = escaped(str(closed)) + closed.hint
            raise Failure(f"{self._server.target} refuses the connection: {reason}") from None
        return f"the server closed the connection: {closed}", max(closed.delay, least)

    def _slower(self) -> float:
        """Return the seconds after a failed attempt, and double them for the next one."""
        delay, self._back_off = self._back_off, min(2 * self._back_off, MOST_BACK_OFF)
        return delay

    async def _serve(self, connection: PusherConnection) -> None:
        """Subscribe and print events. Raise Closed at the end of the connection, and Failure for a refused channel."""
        for channel in self._channels:
            await connection.send("pusher:subscribe", self._subscriber.request(channel, connection.socket_id))
        waiting = set(self._channels)
        while not self._printer.full:
            message = await connection.receive()
            if message.event == SUCCEEDED:
                waiting.discard(message.channel or "")
                self._in_vain, self._back_off = False, BACK_OFF
                say(f"subscribed to {message.channel}{_members(message)}")
            elif message.event.endswith(":subscription_error"):
                raise Failure(f"the server refuses the channel {escaped(str(message.channel))}: {_reason(message)}")
            elif message.event == "pusher:error":
                self._report(message, fatal=bool(waiting))
            else:
                self._printer.print(message)

    def _report(self, error: Message, fatal: bool) -> None:
        """Print an error of the server. Raise Failure if it is ``fatal``, except for one that a close follows."""
        code = error.decoded.get("code") if isinstance(error.decoded, dict) else None
        if isinstance(code, int) and 4000 <= code < Code.BAD_MESSAGE:
            return  # the reason of Closed
        text = f"the server answers with an error: {_reason(error)}"
        if fatal:
            raise Failure(text)
        say(text)


def say(text: str) -> None:
    """Print a line about the connection on standard error."""
    print(f"soketpy listen: {escaped(text)}", file=sys.stderr, flush=True)


def _members(message: Message) -> str:
    """Return the number of members of a presence channel, in brackets."""
    data = message.decoded
    count = data["presence"].get("count") if isinstance(data, dict) and isinstance(data.get("presence"), dict) else None
    return "" if count is None else f" ({count} member{'' if count == 1 else 's'})"


def _reason(message: Message) -> str:
    """Return the code and the text of an error."""
    data = message.decoded
    if not isinstance(data, dict):
        return escaped(str(data))
    code = data.get("code") or data.get("status")
    text = data.get("message") or data.get("error") or data.get("type")
    return escaped(" ".join(str(each) for each in (code, text) if each is not None))
