"""What went in and what it cost: class balance, refused files, time, counts and memory, flat details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.images.parts import PARTS
from headstart.report.files import RunFiles
from headstart.report.headline import class_sizes
from headstart.report.numbers import count, duration, plain, shown
from headstart.report.parts import PART_WORDS

LISTED_CLASSES = 30
REFUSED_BYTES = 300_000


@dataclass(frozen=True)
class BalanceRow:
    """Pictures of one class by part, and the width of each part's bar in percent of the largest class."""

    name: str
    counts: list[str]
    total: str
    bars: list[tuple[str, float]]


@dataclass(frozen=True)
class Balance:
    """Class balance: the parts that exist, a row for each listed class, and a sentence about the rest."""

    parts: list[str]
    words: list[str]
    rows: list[BalanceRow]
    rest: str


def balance(files: RunFiles) -> Balance:
    """Pictures by class and part, from the scores; the largest and smallest classes when there are many."""
    by_part = {part: class_sizes(files.after[part]) for part in _parts(files)}
    totals: Counter[str] = Counter()
    for sizes in by_part.values():
        totals.update(sizes)
    names, rest = list(files.classes), ""
    if len(names) > LISTED_CLASSES:
        ordered = sorted(names, key=lambda name: -totals[name])
        names, rest = ordered[:10] + ordered[-10:], f"The 10 largest and 10 smallest of {len(names):,} classes."
    most = max(totals.values(), default=1) or 1
    rows = [_balance_row(name, by_part, totals[name], most) for name in names]
    return Balance(list(by_part), [PART_WORDS[p] for p in by_part], rows, rest)


def _parts(files: RunFiles) -> list[str]:
    """The parts that the pictures are in; cross-validation judges pictures of train and val, which are listed there."""
    return [part for part in PARTS if part in files.after] or [part for part in ("cv",) if part in files.after]


def _balance_row(name: str, by_part: dict[str, dict[str, int]], total: int, most: int) -> BalanceRow:
    sizes = {part: sizes.get(name, 0) for part, sizes in by_part.items()}
    bars = [(part, round(100 * n / most, 2)) for part, n in sizes.items() if n]
    return BalanceRow(shown(name, 60), [count(n) for n in sizes.values()], count(total), bars)


@dataclass(frozen=True)
class Refusals:
    """Refused files of one reason; `left` of them are only in refused.csv because the page would grow too large."""

    reason: str
    n: int
    files: list[tuple[str, str]]
    left: int


def refusals(files: RunFiles) -> list[Refusals]:
    """Every refused file under its reason, the commonest reason first, within `REFUSED_BYTES` of text."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for row in files.refused:
        text = shown(row.get("name") or ""), shown(row.get("detail") or "", 160)
        by_reason.setdefault(row.get("reason") or "unreadable", []).append(text)
    groups, room = [], REFUSED_BYTES
    for reason, listed in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        kept, room = _within(listed, room)
        groups.append(Refusals(reason, len(listed), kept, len(listed) - len(kept)))
    return groups


def _within(listed: list[tuple[str, str]], room: int) -> tuple[list[tuple[str, str]], int]:
    """As many rows as fit into `room` bytes of page, and the room that is left."""
    kept: list[tuple[str, str]] = []
    for name, detail in listed:
        size = len(name.encode()) + len(detail.encode()) + 40  # 40: the row's tags
        if size > room:
            return kept, 0
        kept.append((name, detail))
        room -= size
    return kept, room


TIMINGS = (
    ("decode_s", "Decoding (thread-seconds)"),
    ("infer_s", "Network (thread-seconds)"),
    ("open_s", "Opening the network"),
    ("extract_s", "Features, from file to row"),
    ("fit_s", "Training the head"),
    ("judge_s", "Judging by cross-validation"),
    ("total_s", "Whole run"),
)
TRAINED = {"extract_s": "Rows for the trained part, from file to row", "fit_s": "Training the network and the head"}
"""Other words for some of them where the network was trained."""
COUNTS = (
    ("images", "Pictures"),
    ("decoded", "Decoded"),
    ("computed", "Feature rows computed"),
    ("reused", "Feature rows reused"),
    ("repeated", "Equal to another picture"),
    ("corrupt", "Feature rows found damaged and recomputed"),
    ("refused", "Files refused"),
)


def resources(files: RunFiles) -> list[tuple[str, list[tuple[str, str]]]]:
    """Time, counts and memory: (title, [(what, value)])."""
    timings, counts = files.scores.timings, files.scores.counts
    speed, peak = timings.images_per_s, files.scores.memory.peak_mb
    named = {**dict(TIMINGS), **(TRAINED if files.scores.training else {})}
    seconds = [(words, getattr(timings, key)) for key, words in named.items()]
    time = [(words, duration(each)) for words, each in seconds if each is not None]
    if drawn := files.scores.augment:
        time.append(("Views, from file to row", duration(drawn["seconds"])))
    if speed and counts.computed != 0:  # where nothing was computed it is the speed of reading the store
        time.append(("Pictures per second", count(speed) if speed >= 10 else f"{speed:.1f}"))
    pictures = [(words, getattr(counts, key)) for key, words in COUNTS]
    done = [(words, count(each)) for words, each in pictures if each is not None]
    if peak:
        done.append(("Peak memory", f"{count(peak)} MB"))
    return [(title, rows) for title, rows in (("Time", time), ("Counts and memory", done)) if rows]


def head(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a head reports, with its choice as the sentence that tells it."""
    return details({key.removesuffix("_told"): value for key, value in told.items() if key != "choice" and value != ""})


def details(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Any flat block of JSON as (key, value) text; long values are cut."""
    return [(shown(str(key), 60), _cut(plain(value))) for key, value in block.items()]


def _cut(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else text[:limit] + " …"
