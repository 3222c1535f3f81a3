"""The page of an audit (`headstart audit`): self-contained, written from audit.json and the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headstart.errors import UserError
from headstart.images import ImageSet
from headstart.phrases import joined, plural
from headstart.records import write_text
from headstart.report.examples import SIDE, Thumbnail, data_uri
from headstart.report.numbers import duration, shown
from headstart.report.page import page

SHOWN = 24
"""Findings of a check that the page shows with pictures; audit.csv has all."""
LISTED = 12
"""Findings of a check that are of no picture."""
LEVELS = {
    "error": ("problem to fix", "problems to fix"),
    "warning": ("finding to check", "findings to check"),
    "note": ("note", "notes"),
}


@dataclass(frozen=True)
class Card:
    """One finding with its picture, and that of the picture it copies; `uri` is empty where it cannot be had."""

    name: str
    detail: str
    label: str
    suggested: str
    uri: str
    small: bool
    other: str
    other_uri: str
    other_small: bool


def write_audit_report(folder: Path, images: ImageSet) -> Path:
    """Write `audit.html` into an audit's folder and return its path; `images` are the pictures it was made of.

    Raises UserError: the folder holds no readable audit.json.
    """
    path = Path(folder) / "audit.html"
    write_text(path, page("audit.html", view(read(Path(folder)), partial(images.preview, side=SIDE))))
    return path


def read(folder: Path) -> dict[str, Any]:
    """The content of audit.json. Raises UserError."""
    try:
        found = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} holds no audit that can be read: {error}.") from error
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise UserError(f"{folder / 'audit.json'} is no audit of this version.")
    return found


def headline(found: Mapping[str, Any]) -> str:
    """What the audit comes to, in a sentence: pictures, and findings by their gravity."""
    counts = dict.fromkeys(LEVELS, 0)
    for check in found["checks"]:
        counts[check["level"]] += len(check["findings"])
    said = [plural(n, *LEVELS[level]) for level, n in counts.items() if n]
    n = plural(found["data"]["n"], "picture")
    return f"{n}: {joined(said)}." if said else f"{n}: nothing was found."


def view(found: Mapping[str, Any], thumbnail: Thumbnail) -> dict[str, Any]:
    """Everything the template names."""
    data, checks = found["data"], found["checks"]
    most = max(data["classes"].values(), default=1) or 1
    return {
        "title": shown(data["title"]),
        "created": shown(found["created"])[:16].replace("T", " "),
        "headline": headline(found),
        "summary": [_row(check) for check in checks if check["findings"]],
        "clean": [shown(check["title"]) for check in checks if not check["findings"]],
        "sections": [_section(check, thumbnail) for check in checks if check["findings"]],
        "classes": [(shown(name, 60), f"{n:,}", round(100 * n / most, 2)) for name, n in _classes(data["classes"])],
        "all_classes": len(data["classes"]),
        "parts": joined([f"{n:,} in {part}" for part, n in data["parts"].items()]),
        "refused": data["refused"],
        "left_out": data["n"] and found["left_out"],
        "backbone": shown(found["backbone"], 300),
        "notes": [shown(note, 1000) for note in found["notes"]],
        "seconds": duration(found["seconds"]),
    }


def _classes(classes: Mapping[str, int]) -> list[tuple[str, int]]:
    """All of them, or the ten largest and the ten smallest of many."""
    ordered = sorted(classes.items(), key=lambda item: -item[1])
    return list(classes.items()) if len(ordered) <= 30 else ordered[:10] + ordered[-10:]


def _row(check: Mapping[str, Any]) -> dict[str, Any]:
    n = len(check["findings"])
    return {"id": check["check"], "title": check["title"], "n": f"{n:,}", "level": check["level"]}


def _section(check: Mapping[str, Any], thumbnail: Thumbnail) -> dict[str, Any]:
    cards = [_card(each, thumbnail) for each in check["findings"][:SHOWN]]
    pictures = any(card.uri for card in cards)
    cards = cards if pictures else cards[:LISTED]
    left = len(check["findings"]) - len(cards)
    return {
        **_row(check),
        "words": check["words"],
        "cards": cards,
        "pictures": pictures,
        "left": f"{left:,} more in audit.csv." if left else "",
    }


def _card(found: Mapping[str, Any], thumbnail: Thumbnail) -> Card:
    uri, small = data_uri(thumbnail(found["name"]))
    other_uri, other_small = data_uri(thumbnail(found["other"])) if found["other"] else ("", False)
    label, suggested = shown(found["label"], 40), shown(found["suggested"], 40)
    names = shown(found["name"]), shown(found["detail"], 200)
    return Card(*names, label, suggested, uri, small, shown(found["other"]), other_uri, other_small)
