"""soketpy: a self-hosted realtime server that speaks the Pusher Channels protocol.

The names of the package are imported at their first use, so that ``soketpy --version`` and the pytest plugin do not
import the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soketpy.config import ConfigError, Settings
    from soketpy.core.apps import App, Key
    from soketpy.core.webhooks import Filter, Webhook
    from soketpy.process.server import Server
    from soketpy.protocol.webhooks import WebhookEvent

__all__ = ["App", "ConfigError", "Filter", "Key", "Server", "Settings", "Webhook", "WebhookEvent", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "App": "soketpy.core.apps",
    "ConfigError": "soketpy.config",
    "Filter": "soketpy.core.webhooks",
    "Key": "soketpy.core.apps",
    "Server": "soketpy.process.server",
    "Settings": "soketpy.config",
    "Webhook": "soketpy.core.webhooks",
    "WebhookEvent": "soketpy.protocol.webhooks",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Import a name of the package at its first use. Raise AttributeError for a name that the package does not have."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return all names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
