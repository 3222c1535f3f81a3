"""What training a network did, in sentences for the report and the command line, from scores.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.phrases import p_words, percent, plural
from headstart.report.numbers import count, digits_for, duration, plain, shown
from headstart.report.parts import TESTS
from headstart.schema.files import from_json
from headstart.schema.scores import PartScores, RunScores

ASKED = "as asked"


@dataclass(frozen=True)
class Gain:
    """The scores of one part with the network frozen and with it trained, each of plain pictures without averaging."""

    frozen: PartScores
    trained: PartScores

    def labelled(self) -> dict[str, PartScores]:
        """Both, under the names that a chart gives them."""
        return {"Frozen": self.frozen, "Trained": self.trained}

    @property
    def points(self) -> float:
        """What training added to the accuracy, in points of a hundred."""
        return 100 * (self.trained.accuracy - self.frozen.accuracy)


def gain(scores: RunScores, part: str = "test") -> Gain | None:
    """Frozen against trained on a part; None where one of them is missing (from scratch, no such part)."""
    frozen = ((scores.training or {}).get("frozen") or {}).get(part)
    trained = scores.after.get(part)
    told = scores.augment or {}
    if trained and told.get("tta", 1) > 1:  # the frozen network's answers are not averaged over views
        step = next((step for step in told.get("steps") or [] if part in TESTS and step["step"] == "views"), None)
        trained = step and from_json(PartScores, {"n": trained.n} | step)
    return Gain(from_json(PartScores, frozen), trained) if frozen and trained else None


def gain_words(scores: RunScores, part: str, words: str) -> str:
    """What training added on a part, with intervals; empty where there is nothing to compare."""
    found = gain(scores, part)
    if found is None:
        return ""
    n = found.frozen.n
    more = round(n * found.points / 100)
    digits = 2 if n >= 1000 and 0 < abs(found.points) < 1 else digits_for(n)
    points = f"{abs(found.points):.2f}".rstrip("0").rstrip(".")
    much = f"{count(abs(more))} {'more' if more > 0 else 'fewer'} ({points} points)" if more else "as many"
    frozen, trained = (_with_interval(each, digits) for each in (found.frozen, found.trained))
    once = ", each seen once," if (scores.augment or {}).get("tta", 1) > 1 else ""
    pictures = f"of the {count(n)} {words} pictures{once}"
    text = f"With the network frozen, {frozen} {pictures} were named correctly; with it trained, {trained}: {much}."
    return text + _mended(scores) if part in TESTS else text


def _mended(scores: RunScores) -> str:
    """How many mistakes training mended and made, and whether that is more than chance."""
    steps = (scores.training or {}).get("test") or []
    if len(steps) < 2:
        return ""
    step = steps[1]
    told = f" It mended {plural(step['mended'], 'mistake')} and made {count(step['made'])}"
    return f"{told}, which chance alone does with {p_words(step['p'], least=0)} (McNemar's exact test)."


def _with_interval(scored: PartScores, digits: int) -> str:
    low, high = (percent(bound, digits) for bound in (scored.accuracy_low, scored.accuracy_high))
    return f"{percent(scored.accuracy, digits)} ({low.removesuffix('%')} to {high})"


def told(scores: RunScores) -> Mapping[str, Any]:
    """What the training tells, of a run that has one."""
    assert scores.training is not None
    return scores.training


def what(scores: RunScores) -> str:
    """Which blocks were trained, and how many parameters that is."""
    report = told(scores)
    first, n = shown(str(report["trained_from"])), report["blocks"]
    some = f"The last {n} blocks, from {first} on," if n > 1 else f"The last block, {first},"
    which = "The whole network" if report["whole"] else some
    trained, own = report["parameters"], report["parameters_of_network"]
    own_head = f" (the network with its own head has {count(own)})" if own >= trained else ""
    return f"{which} and a new head were trained: {count(trained)} parameters{own_head}."


def saved(scores: RunScores) -> str:
    """How often the frozen part ran, and what storing its output saved; the notes say why where it did not."""
    report, stored = told(scores), told(scores)["stored_mb"]
    if report["whole"]:
        room = count(stored) if stored >= 1 else "under 1"
        return f"Nothing was frozen{f'; the decoded pictures were stored ({room} MB)' if stored else ''}."
    if not stored:
        return "The output of the frozen part was not stored, so it ran anew in every epoch."
    return f"{_ran(scores)} ({stored:,.1f} MB stored). {_without(scores)}"


def _ran(scores: RunScores) -> str:
    computed, reused = scores.counts.computed or 0, scores.counts.reused or 0
    if not computed:
        return f"The output of the frozen part for all {plural(reused, 'picture')} is of an earlier run"
    seconds = _seconds_each(scores)
    each = f"{f'{1000 * seconds:.3g} ms' if seconds < 0.9995 else duration(seconds)} with decoding"
    if reused:
        return f"The frozen part ran for {plural(computed, 'picture')}, {each}; {count(reused)} are of an earlier run"
    return f"The frozen part ran once for each picture, {each}"


def _without(scores: RunScores) -> str:
    runs, each = told(scores)["trunk_runs_saved"], _seconds_each(scores)
    fresh = (scores.augment or {}).get("views") == 0
    anew = "For fresh views of training pictures it ran in every epoch. " if fresh else ""
    about = f", about {duration(runs * each)}" if each else ""
    other = " of the others" if fresh else ""
    return f"{anew}Without stored activations{other} it would have run another {count(runs)} times{about}."


def _seconds_each(scores: RunScores) -> float:
    """Seconds of wall time for a picture, decoding included; 0 where no picture was computed."""
    timings, computed = scores.timings, scores.counts.computed
    return max(0.0, (timings.extract_s or 0.0) - (timings.open_s or 0.0)) / computed if computed else 0.0


def chosen(scores: RunScores) -> str:
    """The settings that are on, those that rules chose and those that were asked for, in one line."""
    report = told(scores)
    rules, asked = [], []
    for choice in report["choices"]:
        text = f"{choice['name']} {plain(choice['value'])}"
        if choice["source"] == ASKED:
            asked.append(text)
        elif choice["value"]:
            rules.append(text)
    parts = [f"by rule {', '.join(rules)}"] * bool(rules) + [f"as asked {', '.join(asked)}"] * bool(asked)
    return f"Settings: {'; '.join(parts)}; epoch {report['best_epoch']} kept."
