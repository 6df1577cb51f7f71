"""The texts of the Lua scripts. Each consists of several files."""

from importlib.resources import files

ROSTER = "webhooks/events.lua", "roster.lua", "history.lua", "session.lua"
WEBHOOKS = "webhooks/events.lua", "webhooks/holder.lua", "webhooks/queue.lua"

_FOLDER = files("soketpy.drivers.redis")
SOURCES = {name: _FOLDER.joinpath(name).read_text() for name in {*ROSTER, *WEBHOOKS}}


def text(names: tuple[str, ...], publishes: str, grace: float) -> str:
    """Return the text of a script that publishes with a command. ``grace`` is the grace period in seconds."""
    start = f"local PUBLISH, GRACE = '{publishes}', {round(1000 * grace)}\n"
    return start + "".join(SOURCES[name] for name in names)
