"""Limits of time that tests set in the servers which they start in processes of their own.

``TIME_SLICES=60`` sets each ``SLICE_SECONDS`` of soketpy to 60 s. ``TIME_LIMITS`` sets constants by their full names,
as in ``soketpy.process.workers.END_PATIENCE=600``; a space separates two. Python imports this module when a process
starts, if this folder is on PYTHONPATH.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

CONSTANT = "SLICE_SECONDS"
"""The name that every module of soketpy gives to the seconds that one client may take at a time."""


def environment(limits: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return the variables for a server in which the time slices of this run and these limits hold."""
    paths = [str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    variables = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    if limits:
        variables["TIME_LIMITS"] = " ".join(f"{name}={seconds}" for name, seconds in limits.items())
    return variables


class _Limits:
    """A finder of modules that sets the constants of each module of soketpy right after its import."""

    def __init__(self, slices: float | None, limits: Mapping[str, float]) -> None:
        self._slices = slices
        self._limits: dict[str, dict[str, float]] = defaultdict(dict)
        for name, seconds in limits.items():
            module, _, constant = name.rpartition(".")
            self._limits[module][constant] = seconds

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec that Python would use, with a loader that sets the constants."""
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
        """Set the constants of a module. Raises AttributeError for a limit that it does not have."""
        if self._slices is not None and hasattr(module, CONSTANT):
            setattr(module, CONSTANT, self._slices)
        for constant, seconds in self._limits[module.__name__].items():
            getattr(module, constant)
            setattr(module, constant, seconds)


def install(slices: float | None, limits: Mapping[str, float]) -> None:
    """Set the constants of the modules that are imported from now on, and of those that are imported already."""
    finder = _Limits(slices, limits)
    sys.meta_path.insert(0, finder)
    for name, module in list(sys.modules.items()):
        if name.startswith("soketpy."):
            finder.set(module)


def _from_environment() -> None:
    slices, limits = os.environ.get("TIME_SLICES"), os.environ.get("TIME_LIMITS", "")
    if slices or limits:
        pairs = [each.partition("=") for each in limits.split()]
        install(float(slices) if slices else None, {name: float(seconds) for name, _, seconds in pairs})


_from_environment()
