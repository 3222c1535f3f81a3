"""A share and its interval in a narrow table: one side of it stands for both."""

from __future__ import annotations

from collections.abc import Iterable


def with_side(share: float, low: float | None, high: float | None) -> str:
    """A share in per cent with the longer side of its interval, or its end where a side would go beyond 100 or 0.

    >>> with_side(0.938, 0.922, 0.951), with_side(0.992, 0.974, 0.998), with_side(0.0, 0.0, 0.1)
    ('93.8 ±1.6', '99.2 ≥97.4', '0.0 ≤10.0')
    """
    told = f"{100 * share:.1f}"
    if low is None or high is None:
        return told
    side = 100 * max(share - low, high - share)
    if 100 * share + side > 100:
        return f"{told} ≥{100 * low:.1f}"
    return f"{told} ≤{100 * high:.1f}" if 100 * share < side else f"{told} ±{side:.1f}"


def side_words(written: Iterable[str]) -> str:
    """What the signs mean in cells that `with_side` wrote."""
    told = "± the longer side of its 95% interval"
    return f"{told} (≥ or ≤ its end, near 100 or 0)" if any("≥" in cell or "≤" in cell for cell in written) else told
