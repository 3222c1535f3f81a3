"""The documents: their links lead somewhere, and the commands in them are commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headstart.cli.commands import COMMANDS, load

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_and_picture_of_a_document_is_there(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        place, _, anchor = target.partition("#")
        file = document.parent / place if place else document
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def commands(text: str) -> list[list[str]]:
    """The words of each line of a code block that runs headstart, without its comment."""
    blocks = "".join(re.findall(r"^```\n(.*?)^```", text, re.S | re.M)).replace("\\\n", " ")
    lines = (line.removeprefix("$ ").split(" #")[0].split() for line in blocks.splitlines())
    return [words[1:] for words in lines if words[:1] == ["headstart"]]


def named(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, a group's own command included, and the words that follow."""
    assert words and words[0] in COMMANDS, words
    command, words = load(words[0]), words[1:]
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_command_of_a_document_exists_with_its_options(document: Path) -> None:
    for words in commands(document.read_text()):
        command, rest = named(words)
        assert command.name in words, words
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, words


def test_the_check_of_commands_sees_those_of_the_readme() -> None:
    found = commands((ROOT / "README.md").read_text())
    assert [words[0] for words in found] == [
        "backbones",
        "compare",
        "fit",
        "audit",
        "label",
        "serve",
        "explain",
        "export",
    ]
    command, rest = named(["backbones", "show", "mobilenetv2_100"])
    assert command.name == "show" and rest == ["mobilenetv2_100"]
