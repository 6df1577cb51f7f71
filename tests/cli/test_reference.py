"""``docs/cli.md`` has every command and every option, and no others."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from soketpy.cli import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
OPTION = re.compile(r"`(--[a-z-]+)")


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of a parser by their names."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a command and of its forms, except ``--help``."""
    for action in parser._actions:
        yield from (name for name in action.option_strings if name not in ("-h", "--help"))
    for form in commands_of(parser).values():
        yield from options_of(form)


def section_of(heading: str) -> str:
    """Return the text below a heading."""
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def written_in(section: str) -> Iterator[str]:
    """Yield the options in the table and in the shared options of a section."""
    for row in re.findall(r"^\| (`--.*?) \| ", section, flags=re.M):
        yield from OPTION.findall(row)
    for line in re.findall(r"^Shared options: (.*)$", section, flags=re.M):
        yield from OPTION.findall(line)


COMMANDS = commands_of(_parser())


def test_every_command_has_a_section_and_a_row() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, flags=re.M)
    assert headings == ["Shared options", *COMMANDS]
    assert re.findall(r"^\| \[`(.*)`\]\(#(?:.*)\) \|", PAGE, flags=re.M) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_section(name: str) -> None:
    written = list(written_in(section_of(name)))
    assert len(written) == len(set(written))
    assert set(written) == set(options_of(COMMANDS[name]))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_form_of_a_command_is_named_in_its_section(name: str) -> None:
    for form in commands_of(COMMANDS[name]):
        assert f"`{form}`" in section_of(name), form


def test_a_shared_option_is_explained_once() -> None:
    explained = set(written_in(section_of("Shared options")))
    shared = {
        option
        for name in COMMANDS
        for line in re.findall(r"^Shared options: (.*)$", section_of(name), flags=re.M)
        for option in OPTION.findall(line)
    }
    assert explained == shared
