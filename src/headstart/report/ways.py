"""The search of a head that scales its rows in several ways: a curve for each, over the strength of the penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.report.charts.lines import Line, LinesDisplay

Row = Mapping[str, float]
X_LABEL = "Inverse penalty C × mean squared length of the rows"
MOST = 4
"""Curves that a chart has room for: of more, the chosen or better of whitened and not is drawn for each shape."""
CHARTS = {"val_log_loss": "Log loss out of fold", "val_accuracy": "Accuracy out of fold"}


def ways_charts(history: Sequence[Row], head: Mapping[str, Any]) -> list[LinesDisplay]:
    """Log loss and accuracy on rows held out, with what the head chose marked; none where nothing was searched so."""
    rows = [row for row in history if row.get("strength", 0) > 0 and math.isfinite(row.get("val_log_loss", math.nan))]
    if len({row["strength"] for row in rows}) < 2:
        return []
    rows = sorted(rows, key=lambda row: (not _chosen(row, head), row["val_log_loss"]))
    return [_chart(rows, key, f"C = {head.get('C', 0.0):.4g}, chosen") for key in CHARTS if all(key in r for r in rows)]


def _chosen(row: Row, head: Mapping[str, Any]) -> bool:
    """Seldom the row of least loss where some settings were doubted from the start."""
    names = ("normalise", "root", "whiten", "strength")
    return all(row.get(name, 0.0) == head.get(name, 0.0) for name in names)


def _chart(rows: Sequence[Row], key: str, said: str) -> LinesDisplay:
    """`rows` have the one to mark first, then those of the least loss."""
    x, y = rows[0]["strength"], rows[0][key]
    lines = [
        Line(_words(way), _kind(way), sorted((row["strength"], row[key]) for row in rows if _way(row) == way))
        for way in _drawn(rows)
    ]
    percent = key == "val_accuracy"
    return LinesDisplay(CHARTS[key], X_LABEL, lines, log=True, percent=percent, mark=x, marked=[(x, y)], said=said)


def _drawn(rows: Sequence[Row]) -> list[tuple[float, float, float]]:
    """The ways that get a curve, in the order of the legend."""
    ways = sorted({_way(row) for row in rows}, reverse=True)
    if len(ways) <= MOST:
        return ways
    better = {_way(row)[:2]: _way(row) for row in reversed(rows)}  # the last that is put in is the first of its shape
    return [way for way in ways if way in better.values()]


def _way(row: Row) -> tuple[float, float, float]:
    return row.get("normalise", 0.0), row.get("root", 0.0), row.get("whiten", 0.0)


def _words(way: tuple[float, float, float]) -> str:
    length, root, whiten = way
    words = ("square roots, " if root else "") + ("length 1" if length else "own length")
    return f"{words}, whitened by {whiten:g}" if whiten else words


def _kind(way: tuple[float, float, float]) -> str:
    """The colour tells how each row is shaped, the dashes whether they are whitened."""
    length, root, whiten = way
    return f"{'unit' if length else 'own'}{'-roots' if root else ''}{'-whitened' if whiten else ''}"
