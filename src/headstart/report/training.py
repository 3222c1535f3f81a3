"""What training a network did, in sentences for the report and the command line, from scores.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.phrases import p_words, percent
from headstart.report.numbers import count, digits_for, duration, plain, plural, shown
from headstart.report.parts import TESTS

ASKED = "as asked"
Scores = Mapping[str, Any]


@dataclass(frozen=True)
class Gain:
    """The scores of one part with the network frozen and with it trained, each of plain pictures without averaging."""

    frozen: Mapping[str, Any]
    trained: Mapping[str, Any]

    def labelled(self) -> dict[str, Mapping[str, Any]]:
        """Both, under the names that a chart gives them."""
        return {"Frozen": self.frozen, "Trained": self.trained}

    @property
    def points(self) -> float:
        """What training added to the accuracy, in points of a hundred."""
        return float(100 * (self.trained["accuracy"] - self.frozen["accuracy"]))


def gain(scores: Scores, part: str = "test") -> Gain | None:
    """Frozen against trained on a part; None where one of them is missing (from scratch, no such part)."""
    frozen = ((scores.get("training") or {}).get("frozen") or {}).get(part)
    trained = (scores.get("after") or {}).get(part)
    told = scores.get("augment") or {}
    if trained and told.get("tta", 1) > 1:  # the frozen network's answers are not averaged over views
        trained = next((step for step in told.get("steps") or [] if part in TESTS and step["step"] == "views"), None)
    return Gain(frozen, trained) if frozen and trained else None


def gain_words(scores: Scores, part: str, words: str) -> str:
    """What training added on a part, with intervals; empty where there is nothing to compare."""
    found = gain(scores, part)
    if found is None:
        return ""
    n = found.frozen["n"]
    more = round(n * found.points / 100)
    digits = 2 if n >= 1000 and 0 < abs(found.points) < 1 else digits_for(n)
    points = f"{abs(found.points):.2f}".rstrip("0").rstrip(".")
    much = f"{count(abs(more))} {'more' if more > 0 else 'fewer'} ({points} points)" if more else "as many"
    frozen, trained = (_with_interval(each, digits) for each in (found.frozen, found.trained))
    once = ", each seen once," if (scores.get("augment") or {}).get("tta", 1) > 1 else ""
    pictures = f"of the {count(n)} {words} pictures{once}"
    text = f"With the network frozen, {frozen} {pictures} were named correctly; with it trained, {trained}: {much}."
    return text + _mended(scores) if part in TESTS else text


def _mended(scores: Scores) -> str:
    """How many mistakes training mended and made, and whether that is more than chance."""
    steps = (scores.get("training") or {}).get("test") or []
    if len(steps) < 2:
        return ""
    step = steps[1]
    told = f" It mended {plural(step['mended'], 'mistake')} and made {count(step['made'])}"
    return f"{told}, which chance alone does with {p_words(step['p'], least=0)} (McNemar's exact test)."


def _with_interval(scored: Mapping[str, Any], digits: int) -> str:
    low, high = (percent(scored[key], digits) for key in ("accuracy_low", "accuracy_high"))
    return f"{percent(scored['accuracy'], digits)} ({low.removesuffix('%')} to {high})"


def what(scores: Scores) -> str:
    """Which blocks were trained, and how many parameters that is."""
    told = scores["training"]
    first, n = shown(str(told["trained_from"])), told["blocks"]
    some = f"The last {n} blocks, from {first} on," if n > 1 else f"The last block, {first},"
    which = "The whole network" if told["whole"] else some
    trained, whole = count(told["parameters"]), count(told["parameters_of_network"])
    return f"{which} and a new head were trained: {trained} parameters (the network with its own head has {whole})."


def saved(scores: Scores) -> str:
    """How often the frozen part ran, and what storing its output saved; the notes say why where it did not."""
    told, stored = scores["training"], scores["training"]["stored_mb"]
    if told["whole"]:
        room = count(stored) if stored >= 1 else "under 1"
        return f"Nothing was frozen{f'; the decoded pictures were stored ({room} MB)' if stored else ''}."
    if not stored:
        return "The output of the frozen part was not stored, so it ran anew in every epoch."
    return f"{_ran(scores)} ({stored:,.1f} MB stored). {_without(scores)}"


def _ran(scores: Scores) -> str:
    counts = scores["counts"]
    computed, reused = counts["computed"], counts["reused"]
    if not computed:
        return f"The output of the frozen part for all {plural(reused, 'picture')} is of an earlier run"
    seconds = _seconds_each(scores)
    each = f"{f'{1000 * seconds:.3g} ms' if seconds < 0.9995 else duration(seconds)} with decoding"
    if reused:
        return f"The frozen part ran for {plural(computed, 'picture')}, {each}; {count(reused)} are of an earlier run"
    return f"The frozen part ran once for each picture, {each}"


def _without(scores: Scores) -> str:
    runs, each = scores["training"]["trunk_runs_saved"], _seconds_each(scores)
    fresh = (scores.get("augment") or {}).get("views") == 0
    anew = "For fresh views of training pictures it ran in every epoch. " if fresh else ""
    about = f", about {duration(runs * each)}" if each else ""
    other = " of the others" if fresh else ""
    return f"{anew}Without stored activations{other} it would have run another {count(runs)} times{about}."


def _seconds_each(scores: Scores) -> float:
    """Seconds of wall time for a picture, decoding included; 0 where no picture was computed."""
    timings, computed = scores["timings"], scores["counts"]["computed"]
    return max(0.0, timings["extract_s"] - timings.get("open_s", 0.0)) / computed if computed else 0.0


def chosen(scores: Scores) -> str:
    """The settings that are on, those that rules chose and those that were asked for, in one line."""
    told = scores["training"]
    rules, asked = [], []
    for choice in told["choices"]:
        text = f"{choice['name']} {plain(choice['value'])}"
        if choice["source"] == ASKED:
            asked.append(text)
        elif choice["value"]:
            rules.append(text)
    parts = [f"by rule {', '.join(rules)}"] * bool(rules) + [f"as asked {', '.join(asked)}"] * bool(asked)
    return f"Settings: {'; '.join(parts)}; epoch {told['best_epoch']} kept."
