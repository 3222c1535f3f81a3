"""What the head is, what was chosen for it, from what and by what, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.phrases import joined, plural
from headstart.report.files import RunFiles
from headstart.report.numbers import count, shown
from headstart.report.parts import fitted_on
from headstart.report.parts import refitted as was_refitted

HEAD_WORDS = {
    "logistic": "a multinomial logistic regression",
    "mlp": "a small neural network (multilayer perceptron)",
    "linear": "a linear layer",
    "ridge": "a ridge classifier",
    "knn": "a vote of the nearest training pictures (k nearest neighbours)",
    "prototype": "a nearest-class-mean (prototype) classifier",
}
CHOSEN_WORDS = {
    "C": "inverse penalty C",
    "alpha": "penalty alpha",
    "k": "number of neighbours k",
    "n_neighbors": "number of neighbours",
    "strength": "inverse penalty C times the mean squared length of the rows",
    "temperature": "scale of the distances",
}
CHOICES = ("C", "alpha", "k", "n_neighbors")
SPACE = "\u00a0"
ROOTS = {0.0: "features as they are", 1.0: "square roots of the features"}
LENGTHS = {0.0: "rows at their own length", 1.0: "rows brought to length 1"}
CRITERIA = {"log_loss": "log loss", "loss": "log loss", "squared_error": "squared error"}


def head_words(files: RunFiles) -> str:
    """The head, what was chosen for it and on which pictures it was fitted."""
    name = files.run.head
    text = f"On these features, {HEAD_WORDS.get(name, 'the head ' + shown(name))} was fitted."
    said = (
        layers(files),
        chosen(files),
        refitted(files),
        "" if "epochs" in _choice(files).get("chosen", {}) else epochs(files),
    )
    return " ".join(filter(None, (text, *said)))


def layers(files: RunFiles) -> str:
    """The layers of a head that says what they are."""
    told = files.scores.head.get("layers")
    return f"Its layers: {shown(told)}." if told else ""


def _choice(files: RunFiles) -> Mapping[str, Any]:
    return files.scores.head.get("choice") or {}


def chosen(files: RunFiles) -> str:
    """What was chosen from what by what, or what was used where there was nothing to choose."""
    choice = _choice(files)
    settings = choice.get("chosen")
    if not settings:
        return _chosen_on_validation(files)
    if "epochs" in settings:
        return f"It was trained for {plural(round(settings['epochs']), 'epoch')} ({choice['by']})."
    words = [_setting(name, value) for name, value in settings.items()]
    if choice["tried"] < 2:
        return f"It used the {joined(words)}: {choice['by']}."
    how, many = f"by the {choice['criterion']} of {choice['by']}", choice["tried"]
    if len(words) == 1:
        return f"Its {words[0]} was chosen among {many} values {how}."
    return f"Its settings were chosen among {many} {how}: {joined(words)}."


def _setting(name: str, value: float) -> str:
    if name == "root":
        return ROOTS.get(value, f"root = {value:g}")
    if name == "normalise":
        return LENGTHS.get(value, f"normalise = {value:g}")
    if name == "whiten":
        return f"whitening of {value:g}" if value else "no whitening"
    return f"{CHOSEN_WORDS.get(name, name)}{SPACE}={SPACE}{value:.4g}"


def _chosen_on_validation(files: RunFiles) -> str:
    """The same of a folder that says no more than the value and the history of its search."""
    head = files.scores.head
    key = next((key for key in CHOICES if isinstance(head.get(key), int | float)), None)
    if key is None:
        return ""
    value = f"{CHOSEN_WORDS[key]}{SPACE}={SPACE}{head[key]:g}"
    by = next((c for c in CRITERIA if any(f"val_{c}" in row for row in files.history)), "")
    tried = len({row[key] for row in files.history if row.get(key, 0) > 0})  # row 0: before training
    if not by or tried < 2 or "val" not in files.after:
        return f"It used the {value}."
    pictures = plural(files.after["val"].n, "validation picture")
    return f"Its {value} was chosen among {tried} values by the {CRITERIA[by]} on the {pictures}."


def refitted(files: RunFiles) -> str:
    """On which pictures the head was fitted after its settings were chosen."""
    tail = ", so the validation scores below are not of unseen pictures." if "val" in files.after else "."
    if _choice(files).get("tried", 0) > 1:
        n = sum(files.after[part].n for part in fitted_on(files.scores) if part in files.after)
        views = " and their views" if (files.scores.augment or {}).get("views") else ""
        return f"It was then fitted on all {count(n)} pictures{views}{tail}"
    if not was_refitted(files.scores):
        return ""
    what = "row of training views and validation pictures", "rows of training views and validation pictures"
    one, many = what if files.scores.augment else ("training and validation picture", "")
    return f"It was then fitted again on all {plural(files.scores.head['n_refit'], one, many)}{tail}"


def epochs(files: RunFiles) -> str:
    """How many epochs were run and which weights were kept."""
    rows = [row for row in files.history if "epoch" in row]
    if not rows:
        return ""
    best, text = best_epoch(files), f"It trained for {plural(round(rows[-1]['epoch']), 'epoch')}"
    if best is None or "val_loss" not in rows[-1]:
        return f"{text}; without validation pictures, the last weights were kept."
    if best == 0:
        return f"{text}; none was better on validation than the start, whose weights were kept."
    return f"{text}; the weights of epoch {best:g}, the best on validation, were kept."


def best_epoch(files: RunFiles) -> float | None:
    """The epoch whose weights were kept: as the head says, otherwise the one of least validation loss."""
    said = files.scores.head.get("best_epoch")
    if isinstance(said, int | float):
        return float(said)
    rows = [row for row in files.history if "epoch" in row and "val_loss" in row]
    return min(rows, key=lambda row: row["val_loss"])["epoch"] if rows else None
