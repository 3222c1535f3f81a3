"""What was done in a run, told in sentences, step by step; `headline` has the sentence above them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from headstart.backbones.licences import marked
from headstart.novelty import ALARMS
from headstart.phrases import joined, p_words, percent, plural
from headstart.report import training
from headstart.report.enough import enough_words
from headstart.report.files import RunFiles
from headstart.report.head import HEAD_WORDS, epochs, head_words, layers
from headstart.report.headline import class_sizes, quoted
from headstart.report.numbers import count, decimal, digits_for, duration, shown
from headstart.report.parts import ACCURACY_WORDS, PART_WORDS, fitted_on, pictures
from headstart.report.tables import confusion
from headstart.schema.scores import AboutRun


def before_words(files: RunFiles) -> str:
    """What the rows called `before` are."""
    if len({named for _, named, _ in confusion(files.before, files)}) > 1:  # more than one class was ever named
        return "the head as it starts, before its first update"
    return "no training: the probabilities of every picture are the class shares of the training pictures"


def steps(files: RunFiles) -> list[tuple[str, str]]:
    """(Title, sentences) of each thing that was done, in order."""
    trained = bool(files.scores.training)
    told = [
        ("Pictures", _pictures(files)),
        ("Split", _split(files)),
        ("Network", _network(files)) if trained else ("Features", _features(files)),
        ("Views", _augmentation(files)),
        ("Training", _training(files)) if trained else ("Head", head_words(files)),
        ("Probabilities", _temperature(files)),
        ("None of these", _strangers(files)),
        ("Result", _result(files)),
        ("Is it enough?", enough_words(files.scores)),
    ]
    return [(title, text) for title, text in told if text]


def _pictures(files: RunFiles) -> str:
    n = total(files)
    names = files.classes
    listed = ", ".join(quoted(name) for name in names) if len(names) <= 12 else "listed below"
    counted = files.scores.counts.refused
    refused = len(files.refused) if counted is None else counted
    lost = f" {plural(refused, 'file')} could not be used and {'is' if refused == 1 else 'are'} listed below."
    text = f"{plural(n, 'picture')} in {plural(len(names), 'class', 'classes')} ({listed}) from {_sources(files)}."
    return text + (lost if refused else " No file was refused.")


def total(files: RunFiles) -> int:
    """Pictures of all parts; those that were judged by cross-validation may be counted under another part too."""
    sizes = {part: s.n for part, s in files.after.items()}
    crossed = sizes.pop("cv", 0)
    return int(max(crossed, sum(sizes.values())))


def _sources(files: RunFiles) -> str:
    """Where the pictures are from, with the separate source of the test part where there is one."""
    data, test = shown(files.run.data or "the data"), files.run.test
    return f"{data}, those of the test from {shown(str(test))}" if test else data


SET_APART = {
    "val": "The {} that come with the data chose the settings of the final classifier.",
    "calibration": "Another {} set its temperature.",
}
"""What the data bring beside training pictures, where cross-validation judges."""


def _crossed(files: RunFiles) -> str:
    """How cross-validation judged, and what the classifier that is kept was fitted on."""
    s = files.after["cv"]
    n, folds = count(s.n), s.folds
    how, others = (f"{folds}-fold ", f"other {folds - 1}") if folds else ("", "others")
    told = [
        words.format(pictures(part, files.after[part].n)) for part, words in SET_APART.items() if part in files.after
    ]
    text = (
        f"The classifier was judged by {how}cross-validation: each of the {n} pictures was predicted by a classifier "
        f"fitted without it, on the pictures of the {others} folds. The final classifier was fitted on all {n}."
    )
    each = _each_class(class_sizes(s))
    return " ".join((text, *told, f"{each[0].upper()}{each[1:]}."))


def _split(files: RunFiles) -> str:
    if "cv" in files.after:
        return _crossed(files)
    again = " and then to train" if "val" in fitted_on(files.scores) else ""
    uses = {
        "train": "to train",
        "val": f"to choose settings (validation){again}",
        "calibration": "to set the temperature of the probabilities (calibration)",
        "test": "held out for the test",
    }
    told = [f"{count(files.after[part].n)} {words}" for part, words in uses.items() if part in files.after]
    if not told:
        return ""
    if not files.judged:
        return f"{joined(told)}."
    each = _each_class(class_sizes(files.after[files.judged]))
    return f"{joined(told)}. Among the {PART_WORDS[files.judged]} pictures, {each}."


def _each_class(sizes: dict[str, int]) -> str:
    least, most = min(sizes.values()), max(sizes.values())
    if least == most:
        return f"every class has {plural(least, 'picture')}"
    return f"a class has between {count(least)} and {plural(most, 'picture')}"


def _features(files: RunFiles) -> str:
    run, counts = files.run, files.scores.counts
    size, n = _size(run.image_size), plural(run.n_features or 0, "number")
    if run.method == "pixels":
        at = f", at {size} pixels," if size else ""
        return f"The pixels themselves{at} were the features: {n} per picture, without any pretrained network."
    resized = f"resized and cropped to {size} pixels and " if size else ""
    engine = f" It was run by {shown(run.engine)}." if run.engine else ""
    text = (
        f"Each picture was {resized}passed once through {shown(str(run.backbone))} {_weights(run)}, "
        f"which was not changed; its layer {quoted(str(run.layer))} gave {n} per picture.{engine}"
    )
    reused, computed = counts.reused or 0, counts.computed or 0
    if not reused:
        return text
    return f"{text} {count(reused)} of {count(reused + computed)} feature rows were reused from the store."


def _network(files: RunFiles) -> str:
    """What the network was before it was trained, and which part of it stayed frozen."""
    run, told = files.run, training.told(files.scores)
    size, name = _size(run.image_size), shown(str(run.backbone))
    text = f"Each picture was resized and cropped to {size} pixels for {name} {_weights(run)}."
    if not told["whole"]:
        text += f" Its part before {quoted(str(told['trained_from']))} stayed frozen."
    return f"{text} {training.saved(files.scores)}"


def _training(files: RunFiles) -> str:
    """What was trained, from what start, for how long, and what became of the weights."""
    told, run = training.told(files.scores), files.run
    on = {choice["name"]: choice["value"] for choice in told["choices"]}
    name = run.head
    start = "was solved on the frozen features first (LP-FT)" if on.get("head_first") else "began at zero"
    head = " ".join(filter(None, (f"The head, {HEAD_WORDS.get(name, shown(name))}, {start}.", layers(files))))
    share = told.get("blend")
    mixed = "" if share in (None, 1) else f" Those used are {share:.0%} of the way from the frozen to these (WiSE-FT)."
    gives = f"The layer {quoted(str(run.layer))} now gives {count(run.n_features)} numbers per picture."
    return f"{training.what(files.scores)} {head} {epochs(files)}{mixed} {gives}"


STEP_WORDS = {"plain": "without views", "views": "with views", "averaging": "with averaging too"}


def _augmentation(files: RunFiles) -> str:
    """What was drawn, and what views and averaging each added on the pictures judged."""
    told = files.scores.augment
    if not told:
        return ""
    by = f"drawn by {quoted(told['name'])} ({_transforms(told)})"
    text = f"In every epoch the network saw other views of the training pictures, {by}."
    if told["views"]:
        text = f"Beside each training picture, {plural(told['views'], 'view')} of it {by} served to train."
    if told["tta"] > 1:
        views = plural(told["tta"], "view")
        text += f" For every answer the probabilities of {views} of a picture are averaged."
    if len(told.get("steps") or []) < 2 or not files.judged:
        return text
    steps = joined([_step(step, files) for step in told["steps"]])
    return f"{text} {ACCURACY_WORDS[files.judged]}: {steps}. A difference with p over 0.05 may well be chance."


def _transforms(told: Mapping[str, Any]) -> str:
    return ", ".join(shown(str(transform.get("name"))) for transform in told["transforms"])


def _step(step: dict[str, Any], files: RunFiles) -> str:
    """`98.1% with views (31 mistakes mended, 12 made, p = 0.005)`."""
    digits = digits_for(files.after[files.judged].n)
    text = f"{percent(step['accuracy'], digits)} {STEP_WORDS[step['step']]}"
    if "mended" not in step:
        return text
    return f"{text} ({plural(step['mended'], 'mistake')} mended, {count(step['made'])} made, {p_words(step['p'])})"


def _size(size: Any) -> str:
    if isinstance(size, list | tuple):
        return " × ".join(str(side) for side in size)
    return f"{size} × {size}" if size else ""


def _weights(run: AboutRun) -> str:
    weights = run.weights or ""
    if run.method == "scratch":
        return "with random weights"
    if weights == "none":
        return "with random weights (never trained)"
    licence = f" (licence: {shown(marked(run.licence))})" if run.licence else ""
    if weights in ("", "imagenet"):
        return f"with its ImageNet weights{licence}"
    if weights == "pretrained":
        return f"with its pretrained weights{licence}"
    return f"with the weights of {shown(PurePath(weights).name)}{licence}"


TEMPERATURES = {
    "calibration": "{} calibration pictures",
    "val": "{} validation pictures",
    "folds": "answers to {} pictures by trials of the head that had not seen them",
    "networks": "the answers of cross-validation to {} pictures",
}
"""What the temperature was fitted on."""


def _temperature(files: RunFiles) -> str:
    fitted = files.scores.calibration
    on = fitted.fitted_on
    if not on:
        few = "choice_told" in files.scores.head and not files.scores.training
        why = "too few pictures to fit one" if few else "no calibration pictures"
        return f"The probabilities are those of the head, without a temperature ({why})."
    if on == "folds" and files.scores.training:
        on = "networks"
    pictures = TEMPERATURES.get(on, "{} pictures").format(count(fitted.n))
    text = (
        f"The scores were divided by a temperature of {decimal(fitted.temperature, 3)}, fitted on {pictures}; "
        "this changes confidences, never the answer."
    )
    return " ".join(filter(None, (text, _what_the_temperature_did(files))))


def _what_the_temperature_did(files: RunFiles) -> str:
    """The log loss of the judged part with and without it."""
    s = files.after.get(files.judged)
    if s is None or s.log_loss_uncalibrated is None or s.log_loss is None:
        return ""
    then, now = s.log_loss_uncalibrated, s.log_loss
    worse = "made the probabilities worse" if now > then + 0.0005 else ""
    if files.judged == "cv":
        said = f": they {worse}" if worse else ""
        return (
            "The classifiers of the cross-validation had temperatures of their own: log loss "
            f"{decimal(then)} without them, {decimal(now)} with them{said}."
        )
    said = f": it {worse}" if worse else ""
    part = PART_WORDS[files.judged]
    return f"Log loss on the {part} pictures: {decimal(then)} without it, {decimal(now)} with it{said}."


def _strangers(files: RunFiles) -> str:
    """How many of the test pictures were taken for none of the classes, where the classifier can tell."""
    test = files.after.get("test")
    if test is None or test.strangers is None:
        return ""
    return (
        f"{percent(test.strangers, digits_for(test.n))} of the test pictures were taken for none of the classes: no "
        f"training picture is like them. The threshold is set for about {percent(ALARMS, 0)} of pictures like those."
    )


def _result(files: RunFiles) -> str:
    if not files.judged:
        return ""
    s, took = files.after[files.judged], files.scores.timings.total_s
    wrong, crossed = s.n - (s.correct or 0), files.judged == "cv"
    of = plural(s.n, "picture") if crossed else pictures(files.judged, s.n)
    by = " by a classifier that had not seen it" if wrong < 2 else " by classifiers that had not seen them"
    text = f"{count(wrong) if wrong else 'None'} of {of} {'was' if wrong < 2 else 'were'} named wrongly"
    text += f"{by if crossed else ''}."
    return text if took is None else f"{text} The whole run took {duration(took)}."
