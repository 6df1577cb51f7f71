"""The time slices of a test run: ``TIME_SLICES=60`` sets each ``TURN_SECONDS`` of soketpy to 60 s.

Python imports this module when a process starts, if this folder is on PYTHONPATH. ``tests/conftest.py`` adds the folder
to PYTHONPATH, so that the servers which tests start in processes of their own get the same time slices as the test run.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

CONSTANT = "TURN_SECONDS"
"""The name that every module of soketpy gives to the seconds that one client may take at a time."""


class _Slices:
    """A finder of modules that sets the time slice of each module of soketpy right after its import."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec that Python would use, with a loader that sets the time slice."""
        if not name.startswith("soketpy."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.set(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def set(self, module: ModuleType) -> None:
        """Set the time slice of a module that has one."""
        if hasattr(module, CONSTANT):
            setattr(module, CONSTANT, self._seconds)


def install(seconds: float) -> None:
    """Set the time slices of the modules that are imported from now on, and of those that are imported already."""
    slices = _Slices(seconds)
    sys.meta_path.insert(0, slices)
    for name, module in list(sys.modules.items()):
        if name.startswith("soketpy."):
            slices.set(module)


if os.environ.get("TIME_SLICES"):
    install(float(os.environ["TIME_SLICES"]))
