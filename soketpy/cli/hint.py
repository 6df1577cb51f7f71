"""The hint at the start of a server: how to connect to it and how to send an event."""

import json
import shlex
import shutil
import sys
from pathlib import Path

from soketpy import App
from soketpy.config import Settings
from soketpy.config.addresses import bracketed, reachable
from soketpy.process.registries import described, is_in_database

EVENT = """my-channel my-event '{"message":"hello"}'"""


def hint(settings: Settings, port: int | None, plain: Settings, config: str | None) -> str:
    """Return a pusher-js snippet for a page and a command for a shell on this machine.

    ``port`` is the port of the server. ``plain`` are the settings that a command without flags reads. The hint shows no
    secret: the command reads it from the same source as the server.
    """
    if is_in_database(settings):
        return f"The server has {described(settings)}. List them with: {shlex.join([*_program(), *_listing(config)])}"
    app = next((app for app in settings.apps if app.enabled), None)
    if app is None:
        return "There is no enabled app to connect to."
    parts = [] if port is None else [_snippet(settings, app, port)]
    return "\n\n".join([*parts, f"Send an event:\n\n  {_command(settings, app, port, plain, config)}", ""])


def _snippet(settings: Settings, app: App, port: int) -> str:
    tls = settings.tls.cert is not None
    options: dict[str, object] = {
        "wsHost": bracketed(reachable(settings.host)),
        "wssPort" if tls else "wsPort": port,
        "forceTLS": tls,
        "enabledTransports": ["ws", "wss"],
        "cluster": "",
    }
    if settings.prefix:
        options["wsPath"] = settings.prefix
    lines = "".join(f"    {name}: {json.dumps(value)},\n" for name, value in options.items())
    return (
        "Connect with pusher-js:\n\n"
        '  import Pusher from "pusher-js";\n'
        f"  const pusher = new Pusher({json.dumps(app.key)}, {{\n{lines}  }});\n"
        '  pusher.subscribe("my-channel").bind("my-event", (data) => console.log(data));'
    )


def _command(settings: Settings, app: App, port: int | None, plain: Settings, config: str | None) -> str:
    words = [*_program(), "trigger"]
    if config is not None:
        words += ["--config", config]
    if settings.unix_socket != plain.unix_socket and settings.unix_socket is not None:
        words += ["--unix-socket", settings.unix_socket]
    elif settings.unix_socket is None:
        if reachable(settings.host) != reachable(plain.host) or plain.unix_socket is not None:
            words += ["--host", reachable(settings.host)]
        if port != plain.port:
            words += ["--port", str(port)]
    if app is not settings.apps[0]:
        words += ["--app-id", app.id]
    return f"{shlex.join(words)} {EVENT}"


def _listing(config: str | None) -> list[str]:
    return ["apps", "list"] if config is None else ["apps", "list", "--config", config]


def _program() -> list[str]:
    called = Path(sys.argv[0])
    if called.name != "soketpy":
        return [sys.executable, "-m", "soketpy"]
    found = shutil.which("soketpy")
    return ["soketpy"] if found is not None and Path(found).samefile(called) else [str(called)]
