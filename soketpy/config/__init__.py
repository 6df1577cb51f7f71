"""The configuration: typed settings from a file, environment variables and flags.

Unknown and invalid settings raise a ConfigError that names the position and the setting.
"""

from soketpy.config.errors import ConfigError
from soketpy.config.load import load
from soketpy.config.settings import Settings

__all__ = ["ConfigError", "Settings", "load"]
