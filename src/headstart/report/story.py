"""What was done in a run, told in sentences, step by step; `headline` has the sentence above them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from headstart.report import training
from headstart.report.files import RunFiles
from headstart.report.headline import class_sizes, quoted
from headstart.report.numbers import count, decimal, digits_for, duration, percent, plural, shown
from headstart.report.parts import PART_WORDS
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
}
CHOICES = tuple(CHOSEN_WORDS)
CRITERIA = {"log_loss": "log loss", "loss": "log loss", "squared_error": "squared error"}


def before_words(files: RunFiles) -> str:
    """What the rows called `before` are."""
    confusion = (files.before.get(files.judged) or {}).get("confusion") or []
    if sum(map(any, zip(*confusion, strict=True))) > 1:  # more than one class was ever named
        return "the head as it starts, before its first update"
    return "no training: every picture gets the class shares of the training pictures as its probabilities"


def steps(files: RunFiles) -> list[tuple[str, str]]:
    """(Title, sentences) of each thing that was done, in order."""
    trained = bool(files.scores.get("training"))
    told = [
        ("Pictures", _pictures(files)),
        ("Split", _split(files)),
        ("Network", _network(files)) if trained else ("Features", _features(files)),
        ("Views", _augmentation(files)),
        ("Training", _training(files)) if trained else ("Head", _head(files)),
        ("Probabilities", _temperature(files)),
        ("Result", _result(files)),
    ]
    return [(title, text) for title, text in told if text]


def _pictures(files: RunFiles) -> str:
    counts, n = files.scores.get("counts") or {}, total(files)
    names = files.classes
    listed = ", ".join(quoted(name) for name in names) if len(names) <= 12 else "listed below"
    refused = counts.get("refused", len(files.refused))
    lost = f" {plural(refused, 'file')} could not be used and {'is' if refused == 1 else 'are'} listed below."
    text = f"{plural(n, 'picture')} in {plural(len(names), 'class', 'classes')} ({listed}) from {_sources(files)}."
    return text + (lost if refused else " No file was refused.")


def total(files: RunFiles) -> int:
    """Pictures of all parts; those that were judged by cross-validation may be counted under another part too."""
    sizes = {part: s["n"] for part, s in files.after.items()}
    crossed = sizes.pop("cv", 0)
    return int(max(crossed, sum(sizes.values())))


def _sources(files: RunFiles) -> str:
    """Where the pictures are from, with the separate source of the test part where there is one."""
    data, test = shown(str(files.run.get("data") or "the data")), files.run.get("test")
    return f"{data}, those of the test from {shown(str(test))}" if test else data


def _split(files: RunFiles) -> str:
    uses = {
        "train": "to train",
        "val": "to choose settings (validation)",
        "calibration": "to set the temperature of the probabilities (calibration)",
        "cv": "named in turn by classifiers fitted without them (cross-validation)",
        "test": "kept apart for the test",
    }
    told = [f"{count(files.after[part]['n'])} {words}" for part, words in uses.items() if part in files.after]
    if not told:
        return ""
    if not files.judged:
        return f"{_joined(told)}."
    each = _each_class(class_sizes(files.after[files.judged]))
    return f"{_joined(told)}. Among the {PART_WORDS[files.judged]} pictures, {each}."


def _each_class(sizes: dict[str, int]) -> str:
    least, most = min(sizes.values()), max(sizes.values())
    if least == most:
        return f"every class has {plural(least, 'picture')}"
    return f"a class has between {count(least)} and {plural(most, 'picture')}"


def _features(files: RunFiles) -> str:
    run, counts = files.run, files.scores.get("counts") or {}
    size, n = _size(run.get("image_size")), plural(run.get("n_features") or 0, "number")
    if run.get("method") == "pixels":
        at = f", at {size} pixels," if size else ""
        return f"The pixels themselves{at} were the features: {n} per picture, without any pretrained network."
    resized = f"resized to {size} pixels and " if size else ""
    engine = f" It was run by {shown(str(run['engine']))}." if run.get("engine") else ""
    text = (
        f"Each picture was {resized}passed once through {shown(str(run.get('backbone')))} {_weights(run)}, "
        f"which was not changed; its layer {quoted(str(run.get('layer')))} gave {n} per picture.{engine}"
    )
    reused, computed = counts.get("reused") or 0, counts.get("computed") or 0
    if not reused:
        return text
    return f"{text} {count(reused)} of {count(reused + computed)} feature rows were reused from the store."


def _network(files: RunFiles) -> str:
    """What the network was before it was trained, and which part of it stayed frozen."""
    run, told = files.run, files.scores["training"]
    size, name = _size(run.get("image_size")), shown(str(run.get("backbone")))
    text = f"Each picture was resized to {size} pixels for {name} {_weights(run)}."
    if not told["whole"]:
        text += f" Its part before {quoted(str(told['trained_from']))} stayed frozen."
    return f"{text} {training.saved(files.scores)}"


def _training(files: RunFiles) -> str:
    """What was trained, from what start, for how long, and what became of the weights."""
    told, run = files.scores["training"], files.run
    on = {choice["name"]: choice["value"] for choice in told["choices"]}
    name = str(run.get("head"))
    start = "was solved on the frozen features first (LP-FT)" if on.get("head_first") else "began at zero"
    head = f"The head, {HEAD_WORDS.get(name, shown(name))}, {start}."
    share = told.get("blend")
    mixed = "" if share in (None, 1) else f" Those used are {share:.0%} of the way from the frozen to these (WiSE-FT)."
    gives = f"The layer {quoted(str(run.get('layer')))} now gives {count(run.get('n_features'))} numbers per picture."
    return f"{training.what(files.scores)} {head} {_epochs(files)}{mixed} {gives}"


STEP_WORDS = {"plain": "without views", "views": "with views", "averaging": "with averaging too"}


def _augmentation(files: RunFiles) -> str:
    """What was drawn, and what views and averaging each added on the test pictures."""
    told = files.scores.get("augment")
    if not told:
        return ""
    by = f"drawn by {quoted(told['name'])} ({_transforms(told)})"
    text = f"In every epoch the network saw other views of the training pictures, {by}."
    if told["views"]:
        text = f"Beside each training picture, {plural(told['views'], 'view')} of it {by} served to train."
    if told["tta"] > 1:
        views = plural(told["tta"], "view")
        text += f" For calibration, test and prediction the probabilities of {views} of a picture are averaged."
    steps = _joined([_step(step, files) for step in told["steps"]]) if told.get("steps") else ""
    return f"{text} Test accuracy: {steps}. A difference with p over 0.05 may well be chance." if steps else text


def _transforms(told: dict[str, Any]) -> str:
    return ", ".join(shown(str(transform.get("name"))) for transform in told["transforms"])


def _step(step: dict[str, Any], files: RunFiles) -> str:
    """`98.1% with views (31 mistakes mended, 12 made, p = 0.005)`."""
    digits = digits_for((files.after.get("test") or {}).get("n") or 0)
    text = f"{percent(step['accuracy'], digits)} {STEP_WORDS[step['step']]}"
    if "mended" not in step:
        return text
    p = f"p = {step['p']:.2g}" if step["p"] >= 0.001 else "p < 0.001"
    return f"{text} ({plural(step['mended'], 'mistake')} mended, {count(step['made'])} made, {p})"


def _size(size: Any) -> str:
    if isinstance(size, list | tuple):
        return " × ".join(str(side) for side in size)
    return f"{size} × {size}" if size else ""


def _weights(run: dict[str, Any]) -> str:
    weights = str(run.get("weights") or "")
    if run.get("method") == "scratch":
        return "with random weights"
    if weights == "none":
        return "with random weights (never trained)"
    if weights in ("", "imagenet"):
        return "with its ImageNet weights"
    if weights == "pretrained":
        return "with its pretrained weights"
    return f"with the weights of {shown(PurePath(weights).name)}"


def _head(files: RunFiles) -> str:
    name = str(files.run.get("head"))
    text = f"On these features, {HEAD_WORDS.get(name, 'the head ' + shown(name))} was fitted."
    return " ".join(filter(None, (text, chosen(files), refitted(files), _epochs(files))))


def chosen(files: RunFiles) -> str:
    """What was chosen on validation pictures, if the head had anything to choose."""
    head = files.scores.get("head") or {}
    key = next((key for key in CHOICES if isinstance(head.get(key), int | float)), None)
    if key is None:
        return ""
    value = f"{CHOSEN_WORDS[key]}\u00a0=\u00a0{head[key]:g}"
    by = next((c for c in CRITERIA if any(f"val_{c}" in row for row in files.history)), "")
    tried = len({row[key] for row in files.history if row.get(key, 0) > 0})  # row 0: before training
    if not by or tried < 2 or "val" not in files.after:
        return f"It used the {value}."
    pictures = plural(files.after["val"]["n"], "validation picture")
    return f"Its {value} was chosen among {tried} values by the {CRITERIA[by]} on the {pictures}."


def refitted(files: RunFiles) -> str:
    """Whether validation pictures were used again to fit, after they had served to choose."""
    if not was_refitted(files.scores):
        return ""
    what = "row of training views and validation pictures", "rows of training views and validation pictures"
    one, many = what if files.scores.get("augment") else ("training and validation picture", "")
    n = plural(files.scores["head"]["n_refit"], one, many)
    return f"It was then fitted again on all {n}, so the validation scores below are not of unseen pictures."


def _epochs(files: RunFiles) -> str:
    epochs = [row for row in files.history if "epoch" in row]
    if not epochs:
        return ""
    best, text = best_epoch(files), f"It trained for {plural(round(epochs[-1]['epoch']), 'epoch')}"
    if best is None or "val_loss" not in epochs[-1]:
        return f"{text}; without validation pictures, the last weights were kept."
    if best == 0:
        return f"{text}; none was better on validation than the start, whose weights were kept."
    return f"{text}; the weights of epoch {best:g}, the best on validation, were kept."


def best_epoch(files: RunFiles) -> float | None:
    """The epoch whose weights were kept: as the head says, otherwise the one of least validation loss."""
    said = (files.scores.get("head") or {}).get("best_epoch")
    if isinstance(said, int | float):
        return float(said)
    rows = [row for row in files.history if "epoch" in row and "val_loss" in row]
    return min(rows, key=lambda row: row["val_loss"])["epoch"] if rows else None


def _temperature(files: RunFiles) -> str:
    fitted = files.scores.get("calibration") or {}
    if not fitted.get("fitted_on"):
        return "The probabilities are those of the head, without a temperature (no calibration pictures)."
    s = files.after.get(files.judged) or {}
    text = (
        f"The scores were divided by a temperature of {decimal(fitted.get('temperature'), 3)}, fitted on "
        f"{plural(fitted.get('n') or 0, 'calibration picture')}; this changes confidences, never the answer."
    )
    if s.get("log_loss_uncalibrated") is None:
        return text
    then, now = s["log_loss_uncalibrated"], s["log_loss"]
    part, verdict = PART_WORDS[files.judged], ": it made the probabilities worse" if now > then + 0.0005 else ""
    return f"{text} Log loss on the {part} pictures: {decimal(then)} without it, {decimal(now)} with it{verdict}."


def _result(files: RunFiles) -> str:
    if not files.judged:
        return ""
    s, took = files.after[files.judged], (files.scores.get("timings") or {}).get("total_s")
    wrong = s["n"] - s["correct"]
    of = f"{count(s['n'])} {PART_WORDS[files.judged]} pictures"
    text = f"{count(wrong) if wrong else 'None'} of {of} {'was' if wrong < 2 else 'were'} named wrongly."
    return text if took is None else f"{text} The whole run took {duration(took)}."


def _joined(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
