"""The search of a head that scales its rows in several ways: a curve for each, over the strength of the penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from headstart.report.charts.lines import Line, LinesDisplay

Row = Mapping[str, float]
X_LABEL = "Inverse penalty C × mean squared length of the rows"
MOST = 4
"""Curves that a chart has room for: of more, the better of whitened and not is drawn for each shape of the rows."""
CHARTS = {"val_log_loss": "Log loss out of fold", "val_accuracy": "Accuracy out of fold"}


def ways_charts(history: Sequence[Row], said: str) -> list[LinesDisplay]:
    """Log loss and accuracy on rows held out; none where nothing was searched so. The least loss is marked: `said`."""
    rows = [row for row in history if row.get("strength", 0) > 0 and math.isfinite(row.get("val_log_loss", math.nan))]
    if len({row["strength"] for row in rows}) < 2:
        return []
    best = min(rows, key=lambda row: row["val_log_loss"])
    return [_chart(rows, best, key, said) for key in CHARTS if all(key in row for row in rows)]


def _chart(rows: Sequence[Row], best: Row, key: str, said: str) -> LinesDisplay:
    lines = [
        Line(_words(way), _kind(way), [(row["strength"], row[key]) for row in rows if _way(row) == way])
        for way in _drawn(rows)
    ]
    return LinesDisplay(
        CHARTS[key], X_LABEL, lines, log=True, percent=key == "val_accuracy", mark=best["strength"],
        marked=[(best["strength"], best[key])], said=said,
    )  # fmt: skip


def _drawn(rows: Sequence[Row]) -> list[tuple[float, float, float]]:
    """The ways that get a curve, in the order of the legend."""
    ways = sorted({_way(row) for row in rows}, reverse=True)
    if len(ways) <= MOST:
        return ways
    ordered = sorted(rows, key=lambda row: row["val_log_loss"])
    better = {_way(row)[:2]: _way(row) for row in reversed(ordered)}  # the last that is put in has the least loss
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
