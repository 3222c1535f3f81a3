"""How each arm is drawn in every chart: colour, marker, and a full line with transfer, a broken one without."""

from __future__ import annotations

from collections import Counter
from itertools import count

from headstart.report.charts.style import ARMS, DASHES, MARKERS, Look
from headstart.report.numbers import shown
from headstart.schema.verdicts import ArmSummary, Verdicts

Looks = dict[str, Look]


def looks(study: Verdicts) -> Looks:
    """By the name of the arm. The two arms of the headline have the two colours that differ most."""
    main = study.main()
    first = [main.first, main.second] if main else []
    names = sorted((arm.name for arm in study.arms), key=lambda name: first.index(name) if name in first else 2)
    words = Counter(arm.words for arm in study.arms)
    dashes = count()
    found = {}
    for i, name in enumerate(names):
        arm = study.arm(name)
        line = "-" if arm.transfer else DASHES[next(dashes) % len(DASHES)]
        found[name] = Look(_words(arm, words), f"arm{i % ARMS}", MARKERS[i % len(MARKERS)], line)
    return found


def _words(arm: ArmSummary, used: Counter[str]) -> str:
    """What sentences call the arm; with its name where another arm is called the same."""
    return shown(arm.words if used[arm.words] == 1 else f"{arm.words} ({arm.name})", 80)
