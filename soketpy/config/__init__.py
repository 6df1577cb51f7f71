"""The configuration: one tree of typed settings, out of a file, environment variables and flags.

Strict throughout: what is not understood is a ConfigError that names the place and the setting, never a default.
"""

from soketpy.config.errors import ConfigError
from soketpy.config.load import load
from soketpy.config.settings import Settings

__all__ = ["ConfigError", "Settings", "load"]
