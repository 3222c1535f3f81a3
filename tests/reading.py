"""What several test modules use to look at results: a command's output, a table, a written report."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path


def headstart(cache: Path, *arguments: str | Path) -> str:
    """What `headstart ARGUMENTS` prints, in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-c", "from headstart.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by its header."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """The tags of a page with their attributes, the ids, and the text without style sheets."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.inside_style = False
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.inside_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.inside_style = False

    def handle_data(self, data: str) -> None:
        if not self.inside_style:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]
