"""The tables of a report: scores before and after, confusions, classes, balance, refused files, resources."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from headstart.report.files import PART_WORDS, PARTS, RunFiles
from headstart.report.numbers import NOTHING, count, decimal, digits_for, duration, percent, plain, shown

MATRIX_CLASSES = 30  # a larger matrix is not readable; its worst confusions are listed instead
LISTED_CLASSES = 200
LISTED_CONFUSIONS = 25
REFUSED_BYTES = 300_000
SCORE_COLUMNS = (
    ("log_loss", "Log loss"),
    ("brier", "Brier"),
    ("macro_f1", "Macro F1"),
    ("roc_auc", "ROC AUC"),
    ("ece", "ECE"),
)


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one part, before or after training, as text."""

    stage: str
    accuracy: str
    interval: str
    cells: list[str]


@dataclass(frozen=True)
class ScoreGroup:
    """One part of the data with its rows."""

    part: str
    n: str
    rows: list[ScoreRow]


def score_groups(files: RunFiles) -> list[ScoreGroup]:
    """One group for each part that was scored: before, then after."""
    groups = []
    for part in PARTS:
        stages = [(name, block[part]) for name, block in (("before", files.before), ("after", files.after)) if part in block]
        if part in files.after:
            rows = [_score_row(stage, s) for stage, s in stages]
            groups.append(ScoreGroup(PART_WORDS[part], count(files.after[part]["n"]), rows))
    return groups


def _score_row(stage: str, s: dict[str, Any]) -> ScoreRow:
    digits = digits_for(s.get("n") or 0)
    low, high = s.get("accuracy_low"), s.get("accuracy_high")
    interval = NOTHING if low is None else f"{percent(low, digits).removesuffix('%')} to {percent(high, digits)}"
    cells = [decimal(s.get(key)) for key, _ in SCORE_COLUMNS]
    return ScoreRow(stage, percent(s.get("accuracy"), digits), interval, cells)


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix; `shade` is 0..1, `kind` is right, wrong or none."""

    n: int
    shade: float
    kind: str
    share: str
    words: str


def matrix(files: RunFiles) -> list[tuple[str, list[Cell]]]:
    """(True class, cells by predicted class); empty when there are too many classes to read."""
    names, rows = files.classes, _confusion(files)
    if not rows or len(names) > MATRIX_CLASSES:
        return []
    return [(shown(name, 40), _cells(i, row, names)) for i, (name, row) in enumerate(zip(names, rows, strict=True))]


def _cells(true: int, row: list[int], names: list[str]) -> list[Cell]:
    total, cells = max(1, sum(row)), []
    for predicted, n in enumerate(row):
        kind = "none" if n == 0 else "right" if predicted == true else "wrong"
        shade = round(0.08 + 0.82 * (n / total) ** 0.5, 3) if n else 0.0  # the root keeps rare mistakes visible
        words = f"{count(n)} of {count(total)} {shown(names[true], 40)} named {shown(names[predicted], 40)}"
        cells.append(Cell(n, shade, kind, percent(n / total), words))
    return cells


def confusions(files: RunFiles) -> list[tuple[str, str, str, str]]:
    """The most frequent mistakes: (true, predicted, pictures, share of the true class), worst first."""
    names, rows = files.classes, _confusion(files)
    pairs = [
        (n, n / sum(row), names[i], names[j]) for i, row in enumerate(rows) for j, n in enumerate(row) if n and i != j
    ]
    pairs.sort(key=lambda pair: (-pair[0], -pair[1], pair[2], pair[3]))
    return [(shown(t, 60), shown(p, 60), count(n), percent(share)) for n, share, t, p in pairs[:LISTED_CONFUSIONS]]


def _confusion(files: RunFiles) -> list[list[int]]:
    rows = (files.after.get(files.judged) or {}).get("confusion") or []
    return rows if len(rows) == len(files.classes) else []


def per_class(files: RunFiles) -> list[tuple[str, str, str, str, str]]:
    """(Class, pictures, precision, recall, F1): in class order while readable, otherwise the worst F1 first."""
    rows = list((files.after.get(files.judged) or {}).get("per_class") or [])
    if len(rows) > MATRIX_CLASSES:
        rows.sort(key=lambda row: (row["f1"] is None, row["f1"] or 0.0, str(row["class"])))
    return [
        (shown(str(row["class"]), 60), count(row["n"]), *(decimal(row[key], 3) for key in ("precision", "recall", "f1")))
        for row in rows[:LISTED_CLASSES]
    ]


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
    by_part = {p: {str(r["class"]): r["n"] for r in files.after[p]["per_class"]} for p in PARTS if p in files.after}
    totals: Counter[str] = Counter()
    for sizes in by_part.values():
        totals.update(sizes)
    names, rest = list(files.classes), ""
    if len(names) > MATRIX_CLASSES:
        ordered = sorted(names, key=lambda name: -totals[name])
        names, rest = ordered[:10] + ordered[-10:], f"The 10 largest and 10 smallest of {len(names):,} classes."
    most = max(totals.values(), default=1) or 1
    rows = [_balance_row(name, by_part, totals[name], most) for name in names]
    return Balance(list(by_part), [PART_WORDS[p] for p in by_part], rows, rest)


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
    room = REFUSED_BYTES
    for row in files.refused:
        listed = by_reason.setdefault(row.get("reason") or "unreadable", [])
        listed.append((row.get("name") or "", row.get("detail") or ""))
    groups = []
    for reason, listed in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        texts = [(shown(name), shown(detail, 160)) for name, detail in listed]
        kept = []
        for name, detail in texts:
            room -= len(name.encode()) + len(detail.encode()) + 40
            if room < 0:
                break
            kept.append((name, detail))
        groups.append(Refusals(reason, len(texts), kept, len(texts) - len(kept)))
    return groups


TIMINGS = (
    ("decode_s", "Decoding (thread-seconds)"),
    ("infer_s", "Network (thread-seconds)"),
    ("open_s", "Opening the network"),
    ("extract_s", "Features, from file to row"),
    ("fit_s", "Training the head"),
    ("total_s", "Whole run"),
)
COUNTS = (
    ("images", "Pictures"),
    ("decoded", "Decoded"),
    ("computed", "Feature rows computed"),
    ("reused", "Feature rows reused"),
    ("recomputed_corrupt", "Feature rows found damaged and recomputed"),
    ("refused", "Files refused"),
)


def resources(files: RunFiles) -> list[tuple[str, list[tuple[str, str]]]]:
    """Time, counts and memory: (title, [(what, value)])."""
    timings, counts = files.scores.get("timings") or {}, files.scores.get("counts") or {}
    speed, peak = timings.get("images_per_s"), (files.scores.get("memory") or {}).get("peak_mb")
    time = [(words, duration(timings[key])) for key, words in TIMINGS if timings.get(key) is not None]
    if speed:
        time.append(("Pictures per second", count(speed) if speed >= 10 else f"{speed:.1f}"))
    done = [(words, count(counts[key])) for key, words in COUNTS if counts.get(key) is not None]
    if peak:
        done.append(("Peak memory", f"{count(peak)} MB"))
    return [(title, rows) for title, rows in (("Time", time), ("Counts and memory", done)) if rows]


def details(block: dict[str, Any]) -> list[tuple[str, str]]:
    """Any flat block of JSON as (key, value) text; long values are cut."""
    return [(shown(str(key), 60), _cut(plain(value))) for key, value in block.items()]


def _cut(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else text[:limit] + " …"
