"""soketpy: a self-hosted realtime server that speaks the Pusher Channels protocol."""

from soketpy.apps import App, Key
from soketpy.config import ConfigError, Settings
from soketpy.server import Server

__all__ = ["App", "ConfigError", "Key", "Server", "Settings", "__version__"]

__version__ = "0.1.0"
