"""The certificate of the main port. A renewed one is loaded while the server runs, and open connections stay."""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from soketpy.config import ConfigError, Settings
from soketpy.core.containment import contain
from soketpy.process.threads import in_thread
from soketpy.process.tls import tls_context
from soketpy.process.validity import Validity, day, validity_of_file

log = logging.getLogger("soketpy.tls")

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the files. One more look passes before a fault of new files is logged."""

Stat = tuple[int, ...] | None
"""The identity of a file and its last change; None if there is no file."""


class Certificate:
    """The certificate and its key, and the TLS context that has them.

    ``context`` is the one to listen with. Each handshake gets the newest certificate: OpenSSL calls back at the
    beginning of a handshake, with or without a server name, and the callback replaces the context of this connection.
    A second ``load_cert_chain`` in one context is not enough: OpenSSL keeps the certificates of other key types.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        """Read the files. Raise ConfigError if they do not work. An expired certificate is no error at the start."""
        tls = settings.tls
        self._settings, self._now = settings, now
        self._files = tuple(each for each in (tls.cert, tls.key, tls.ca) if each is not None)
        self._loaded = _stats(self._files)  # first, so that no change is missed
        self.context, self.validity = _read(settings)
        self._newest = self.context
        self._failed: tuple[Stat, ...] | None = None  # the state of the files at the last look, if they do not work
        self._logged: tuple[tuple[Stat, ...], str] | None = None
        self._asked = asyncio.Event()
        self.context.sni_callback = self._choose

    @property
    def expires(self) -> float | None:
        """The last moment of the certificate in use, in Unix seconds, or None if that is unknown."""
        return None if self.validity is None else self.validity.ends

    def ask(self) -> None:
        """Look at the files as soon as possible, and log a fault at once."""
        self._asked.set()

    async def watch(self) -> None:
        """Load each new certificate, until the task is cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_INTERVAL)
            asked = self._asked.is_set()
            self._asked.clear()
            try:
                await self.look(asked=asked)
            except Exception as fault:
                contain(log, fault, "The files of the certificate could not be checked")

    async def look(self, *, asked: bool = False) -> None:
        """Load the certificate if a file has changed. If it does not work, keep the old one.

        The files are replaced one after the other, so a fault may be a state between two files. It is therefore logged
        only if a second look finds it too, or if the look is ``asked`` for. Each state of the files is logged once.
        Files that do not work are tried again at each look.
        """
        stats = await in_thread(partial(_stats, self._files))
        if stats == self._loaded:
            self._failed = None
            return
        try:
            context, validity = await in_thread(partial(_read, self._settings))
            self._check_time(validity)
        except (ConfigError, OSError, ValueError) as fault:
            if asked or stats == self._failed:
                self._log_once(stats, str(fault))
            self._failed = stats
            return
        self._newest, self.validity, self._loaded = context, validity, stats
        self._failed = self._logged = None
        until = "" if validity is None else f", valid until {day(validity.ends)}"
        log.info(
            "Loaded the new certificate in %(file)s%(until)s; open connections stay",
            {"event": "certificate_loaded", "file": self._settings.tls.cert, "until": until},
        )

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if connection.context is not self._newest:
            connection.context = self._newest

    def _check_time(self, validity: Validity | None) -> None:
        if validity is not None and (problem := validity.problem(self._now())) is not None:
            raise self._settings.mistake("tls.cert", f"the certificate in {self._settings.tls.cert} {problem}")

    def _log_once(self, stats: tuple[Stat, ...], fault: str) -> None:
        if self._logged != (stats, fault):
            self._logged = (stats, fault)
            log.error(
                "Kept the old certificate, because the new one does not work: %(fault)s",
                {"event": "certificate_refused", "fault": fault},
            )


def _stats(files: tuple[str, ...]) -> tuple[Stat, ...]:
    """Return the state of each file. Links are followed, since certbot and Kubernetes replace links."""
    return tuple(_stat(each) for each in files)


def _stat(file: str) -> Stat:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(settings: Settings) -> tuple[ssl.SSLContext, Validity | None]:
    """Return the context, and the validity of the certificate if it can be read. Raise ConfigError."""
    context = tls_context(settings)
    assert context is not None  # noqa: S101 - nothing calls this without TLS
    return context, validity_of_file(settings.tls.cert or "")
