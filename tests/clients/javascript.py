"""pusher-js in Chromium and in Node, and npm's ``pusher``: Node programs that are told what to do in JSON lines."""

import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import Any

from tests.clients.programs import PATIENCE, Program

FOLDER = Path(__file__).parent


class Fault(Exception):
    """A verb of a script has failed; with the HTTP status and body, where a publisher's call did."""

    def __init__(self, text: str, status: int | None, body: str | None) -> None:
        super().__init__(text)
        self.status = status
        self.body = body


class Script(Program):
    """A script of ``scripts/`` that serves commands, one after the other."""

    def __init__(self, name: str, *arguments: str, on_report: Callable[[dict[str, Any]], None] | None = None) -> None:
        node = shutil.which("node")
        assert node is not None, "Node.js is missing: install it, then run `make tools`"
        assert (FOLDER / "node_modules").is_dir(), "the npm packages are missing: run `make tools`"
        self._answers: Queue[dict[str, Any] | None] = Queue()
        self._numbers = itertools.count()
        self._on_report = on_report
        super().__init__(node, str(FOLDER / "scripts" / name), *arguments, on_line=self._take)

    def _take(self, line: str | None) -> None:
        message = None if line is None else json.loads(line)
        if message is None or "id" in message:
            self._answers.put(message)
        elif self._on_report is not None:
            self._on_report(message)

    def ask(self, operation: str, args: object) -> Any:
        """Run a verb and return what it answers. Raises Fault."""
        number = next(self._numbers)
        self.write(json.dumps({"id": number, "verb": operation, "args": args}))
        answer = self._answer(operation)
        while answer["id"] < number:  # of an earlier operation, for which a test has not waited long enough
            answer = self._answer(operation)
        assert answer["id"] == number, answer
        if "fault" in answer:
            raise Fault(**answer["fault"])
        return answer["value"]

    def _answer(self, operation: str) -> dict[str, Any]:
        answer = self._answers.get(timeout=PATIENCE)
        assert answer is not None, f"the script ended instead of answering {operation}"
        return answer

    def end(self, kill: bool = False) -> None:
        """Let the script end of itself, for it may have a browser to close."""
        if not kill:
            self.close_input()
        super().end(kill)


@dataclass(frozen=True, slots=True)
class Report:
    """Something that a client has heard. ``channel`` is None for what concerns the connection."""

    channel: str | None
    event: str
    data: Any


class Client:
    """One pusher-js client."""

    def __init__(self, name: str, script: Script) -> None:
        self.heard: list[Report] = []
        self._name = name
        self._script = script
        self._read = 0
        self._closed = False
        self._more = threading.Condition()

    def take(self, report: Report) -> None:
        """Remember what the client has heard."""
        with self._more:
            self.heard.append(report)
            self._more.notify()

    def hear(self, event: str, channel: str | None = None) -> Any:
        """The data of the next such event; what was heard in between is passed over."""
        return self.hear_until(lambda report: (report.channel, report.event) == (channel, event)).data

    def hear_until(self, fits: Callable[[Report], bool]) -> Report:
        """The next report that fits; those in between are passed over."""
        patience = monotonic() + PATIENCE
        with self._more:
            while True:
                while self._read < len(self.heard):
                    self._read += 1
                    if fits(self.heard[self._read - 1]):
                        return self.heard[self._read - 1]
                assert self._more.wait(patience - monotonic()), f"it did not come; heard was {self.heard[-100:]}"

    def events(self, channel: str | None = None) -> list[str]:
        """The names of all that was heard so far on a channel, in order."""
        return [report.event for report in self.heard if report.channel == channel]

    def call(self, operation: str, **args: object) -> Any:
        """Call a verb of ``client.mjs``."""
        return self._script.ask("call", {"client": self._name, "name": operation, "args": args})

    def subscribe(self, channel: str) -> Any:
        """Subscribe; return the data of ``pusher:subscription_succeeded``."""
        self.call("subscribe", channel=channel)
        return self.hear("pusher:subscription_succeeded", channel)

    def trigger(self, channel: str, event: str, data: object) -> None:
        """Send a client event."""
        self.call("trigger", channel=channel, event=event, data=data)

    def sign_in(self) -> None:
        """Sign in, as the user of the client's own auth endpoint; wait for the watchlist, which comes right after."""
        self.call("signIn")
        self.hear_until(lambda report: report.channel == "watchlist")

    def connected(self) -> str:
        """Wait until the client is connected; its socket id."""
        socket_id: str = self.hear("connected")
        return socket_id

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self._script.ask("wait", {"client": self._name, "text": text})

    def close(self) -> None:
        """End the client, in Chromium by closing its tab; nothing the second time."""
        if not self._closed:
            self._closed = True
            self._script.ask("close", {"client": self._name})


class Runtime:
    """The environment of pusher-js: Chromium or Node."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._script = Script(script, *arguments, on_report=self._take)
        self._clients: dict[str, Client] = {}
        self._names = map(str, itertools.count())

    def _take(self, report: dict[str, Any]) -> None:
        self._clients[report["client"]].take(Report(report["channel"], report["event"], report["data"]))

    def open(self, **args: object) -> Client:
        """A new client, which connects."""
        return self._add("open", args)

    def visit(self, url: str) -> Client:
        """A new tab with an ordinary page in it."""
        return self._add("visit", {"url": url})

    def _add(self, operation: str, args: Mapping[str, object]) -> Client:
        name = next(self._names)
        client = self._clients[name] = Client(name, self._script)
        self._script.ask(operation, {"client": name, **args})
        return client

    def end(self) -> None:
        """End the script, and with it the browser."""
        with suppress(BrokenPipeError):
            self._script.end()


def chromium() -> str:
    """The path of the browser, by the rules of ``install-chromium.sh``."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name) if name else None
        if path is not None:
            return path
    raise AssertionError("Chromium is missing: run `make tools`")
