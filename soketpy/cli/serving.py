"""The run of ``soketpy start``. It is a separate module, because no other command imports the server."""

import argparse
import asyncio
import logging
import os
import sys

from soketpy import __version__
from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.hint import hint
from soketpy.cli.options import CONFIG_FILE, address_flags, config_path, read_settings
from soketpy.config import ConfigError, Settings
from soketpy.config.cautions import cautions, notes
from soketpy.config.files import check_is_file
from soketpy.config.load import log_format
from soketpy.core.ports import Unreachable
from soketpy.process import workers
from soketpy.process.log import configure, log_unhandled
from soketpy.process.requirements import certificate_caution, check_requirements, number_of
from soketpy.process.single import event_loop, serve

log = logging.getLogger("soketpy")


def run(args: argparse.Namespace) -> int:
    """Serve. Raise ConfigError for a wrong configuration, and Failure if the port cannot be used.

    With ``log.format: json``, log such an error as one line of JSON instead, and return the exit code.
    """
    try:
        return _run(args)
    except (ConfigError, Failure, Mistake) as error:
        if log_format(args.config or os.environ.get(CONFIG_FILE), os.environ) != "json":
            raise
        configure(format="json")
        reason = error.in_one_line() if isinstance(error, ConfigError) else error
        log.error("%(reason)s", {"event": "start_failed", "reason": reason})  # noqa: TRY400 - no traceback
        return 1 if isinstance(error, Failure) else 2


def _run(args: argparse.Namespace) -> int:
    flags = address_flags(args)
    if args.workers is not None:
        flags["workers"] = args.workers
    if args.debug:
        flags["log.level"] = "debug"

    def read() -> Settings:
        check_is_file(config_path(args))
        return read_settings(args, flags)

    settings = read_settings(args, flags)
    check_requirements(settings)
    configure(settings.log.level, settings.log.format)
    log_unhandled()
    _announce(settings)

    ready = False
    hints = args.hint or sys.stdout.isatty()
    plain = _settings_without_flags(args, settings) if hints else settings

    def greet(port: int | None) -> None:
        nonlocal ready
        ready = True
        if hints:
            _print_hint("\n" + hint(settings, port, plain, config_path(args)))

    serving = serve if number_of(settings) == 1 else workers.serve

    try:
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            runner.run(serving(settings, read, greet))
    except Unreachable as fault:
        log.error("%(reason)s", {"event": "start_failed", "reason": fault})  # noqa: TRY400 - no traceback
        return 1
    except OSError as error:
        if ready:
            raise
        raise Failure(error.strerror or str(error)) from None
    return 0


def _settings_without_flags(args: argparse.Namespace, settings: Settings) -> Settings:
    """Return what a command without flags reads: ``settings`` if the file is a pipe, which is read only once."""
    try:
        check_is_file(config_path(args))
    except ConfigError:
        return settings
    return read_settings(args, {})


def _print_hint(text: str) -> None:
    """Print the hint. A closed standard output does not stop the server."""
    try:
        print(text, flush=True)
    except OSError as error:
        log.warning(
            "The hint could not be printed: %(reason)s",
            {"event": "hint_not_printed", "reason": error.strerror or error},
        )


def _announce(settings: Settings) -> None:
    sources = ", ".join(settings.sources) or "its defaults"
    log.info(
        "soketpy %(version)s starts with %(sources)s", {"event": "starting", "version": __version__, "sources": sources}
    )
    for note in notes(settings):
        log.info("%(note)s", {"event": "configuration_note", "note": note})
    of_certificate = certificate_caution(settings)
    for caution in (*cautions(settings), *([] if of_certificate is None else [of_certificate])):
        log.warning("%(caution)s", {"event": "configuration_warning", "caution": caution})
