"""The limit of open files."""

import logging
import resource

import pytest

from soketpy.process.descriptors import SPARE, UNLIMITED, raise_limit, report_limit


@pytest.mark.parametrize(
    ("soft", "hard", "refused", "clients", "changed"),
    [
        (1024, 65_536, False, 65_536 - SPARE, [(65_536, 65_536)]),
        (1024, 65_536, True, 1024 - SPARE, [(65_536, 65_536)]),
        (65_536, 65_536, False, 65_536 - SPARE, []),
        (16, 16, False, 0, []),
    ],
)
def test_the_limit_is_raised_as_far_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch,
    soft: int,
    hard: int,
    refused: bool,
    clients: int,
    changed: list[tuple[int, int]],
) -> None:
    limits: list[tuple[int, int]] = []

    def set_limit(_: int, limit: tuple[int, int]) -> None:
        limits.append(limit)
        if refused:
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert raise_limit() == clients
    assert limits == changed


ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "most", "clients"),
    [
        (256, 24_576, 24_576 - SPARE),
        (256, 10_000, 256 - SPARE),
        (65_536, 65_536, 65_536 - SPARE),
        (256, 2**40, 1_048_576 - SPARE),
        (ENDLESS, 0, UNLIMITED),
    ],
)
def test_without_a_hard_limit_the_limit_is_raised_as_far_as_the_system_accepts(
    monkeypatch: pytest.MonkeyPatch, soft: int, most: int, clients: int
) -> None:
    def set_limit(_: int, limit: tuple[int, int]) -> None:
        if limit[0] > most:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, ENDLESS))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert raise_limit() == clients


NONE = "The limit of open files leaves none for connections: raise it, for example with ulimit -n 65536"
FITS = "At most 192 connections, by the limit of open files"


@pytest.mark.parametrize(
    ("clients", "wanted", "logged"),
    [
        (192, None, [("INFO", FITS)]),
        (192, 192, [("INFO", FITS)]),
        (192, 5000, [("WARNING", f"{FITS}; bounds.max_connections is 5000")]),
        (
            0,
            None,
            [
                (
                    "WARNING",
                    "The limit of open files leaves none for connections: raise it, for example with ulimit -n 65536",
                )
            ],
        ),
        (UNLIMITED, 5000, []),
        (UNLIMITED, None, []),
    ],
)
def test_a_limit_below_the_setting_is_a_warning(
    caplog: pytest.LogCaptureFixture, clients: int, wanted: int | None, logged: list[tuple[str, str]]
) -> None:
    caplog.set_level(logging.INFO)
    report_limit(clients, wanted)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == logged
