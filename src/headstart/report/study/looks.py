"""How each arm is drawn in every chart: colour, marker, and a full line with transfer, a broken one without."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count

from headstart.report.numbers import shown
from headstart.report.study.files import Arm, Study

COLOURS = 7
"""Colours in study.css: those of Okabe and Ito (2008), darkened to a contrast of 3 on white."""
DASHES = 3
MARKERS = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "M-4.2 -4.2h8.4v8.4h-8.4z",
    "M0 -5.4l5.2 9h-10.4z",
    "M0 -5.8l5.4 5.8l-5.4 5.8l-5.4 -5.8z",
    "M0 5.4l5.2 -9h-10.4z",
    "M-1.7 -5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    "M-5 0l2.5 -4.4h5l2.5 4.4l-2.5 4.4h-5z",
    "M0 -5.8l1.5 3.8h4l-3.2 2.6l1.2 4l-3.5 -2.3l-3.5 2.3l1.2 -4l-3.2 -2.6h4z",
)
"""Circle, square, triangle, diamond, triangle downwards, plus, hexagon, star: paths around the origin."""


@dataclass(frozen=True)
class Look:
    """The words of an arm, the CSS classes of its line and its marker, and the marker's path."""

    words: str
    style: str
    marker: str


def looks(study: Study) -> dict[str, Look]:
    """By the name of the arm. The two arms of the headline have the two colours that differ most."""
    main = study.main()
    first = [main.first, main.second] if main else []
    names = sorted((arm.name for arm in study.arms), key=lambda name: first.index(name) if name in first else 2)
    words = Counter(arm.words for arm in study.arms)
    dashes = count()
    found = {}
    for i, name in enumerate(names):
        arm = study.arm(name)
        line = "" if arm.transfer else f" free dash{next(dashes) % DASHES}"
        found[name] = Look(_words(arm, words), f"arm{i % COLOURS}{line}", MARKERS[i % len(MARKERS)])
    return found


def _words(arm: Arm, used: Counter[str]) -> str:
    """What sentences call the arm; with its name where another arm is called the same."""
    return shown(arm.words if used[arm.words] == 1 else f"{arm.words} ({arm.name})", 80)
