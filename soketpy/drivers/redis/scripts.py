"""The texts of the Lua scripts. ``webhooks/events.lua`` is in front of each one."""

from importlib.resources import files

_FOLDER = files("soketpy.drivers.redis")
SOURCES = {
    name: _FOLDER.joinpath(name).read_text() for name in ("roster.lua", "webhooks/events.lua", "webhooks/webhooks.lua")
}


def text(name: str, publishes: str, grace: float) -> str:
    """Return the text of a script that publishes with a command. ``grace`` is the grace period in seconds."""
    start = f"local PUBLISH, GRACE = '{publishes}', {round(1000 * grace)}\n"
    return start + SOURCES["webhooks/events.lua"] + SOURCES[name]
