"""`export`: a finished run as one graph in a folder of its own, checked before it gets its name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import card, exported, golden, outputs, records, tensors
from headstart.bundle import load_classifier
from headstart.classifier import Classifier, Predictor
from headstart.division import data_of
from headstart.errors import UnknownName, UserError
from headstart.exported import NAME, PICTURE, PROBABILITIES, STRANGENESS, AnsweredHead
from headstart.exporting import words
from headstart.exporting.formats import EXPORTS, Format, Run
from headstart.exporting.parity import EXACT, Parity
from headstart.exporting.pictures import OwnPictures, decoded, exactly_resized, spread, unresized
from headstart.exporting.pieces import tells_strangers
from headstart.exporting.quantise import Quantisation, judged, quantised
from headstart.golden import Golden
from headstart.images import ImageSet
from headstart.paths import expanded
from headstart.progress import Progress, silent
from headstart.shared import replacing_folder

PRECISIONS = ("float32", "int8")
CHECKED_ON = 200
"""Pictures at most."""


@dataclass(frozen=True)
class Exported:
    """A finished export: its folder, how it compares with the run, and what int8 cost."""

    folder: Path
    parity: Parity
    quantisation: Quantisation | None = None


def export(
    run: Path,
    out: Path,
    kind: str = "onnx",
    precision: str = "float32",
    max_drop: float = 1.0,
    progress: Progress = silent,
) -> Exported:
    """See `headstart.api.export`."""
    made_by = _format(kind, precision)
    out = outputs.claim(expanded(out), "export", NAME, beside=())
    outputs.check_outside(out, data_of(expanded(run)))
    classifier = load_classifier(run)
    _check(classifier, precision)
    own = OwnPictures.of(expanded(run), classifier)
    progress("convert", 0, 1)
    network = made_by.trunk(classifier)
    progress("convert", 1, 1)
    with replacing_folder(out) as part:
        made_by.write(made_by.whole(classifier, network), part)
        graph = made_by.run(part)
        parity = _checked(classifier, graph, own, made_by, progress)
        quantisation = None
        if precision == "int8":
            small, n = quantised(made_by, network, classifier, own.trained)
            made_by.write(made_by.whole(classifier, small), part)
            quantisation = judged(graph, made_by.run(part), classifier, own, n, progress)
            quantisation.check(max_drop)
        _add_golden(part, made_by.run if precision == "float32" else EXPORTS["openvino"].run, classifier)
        if text := card.read(run):
            records.write_text(part / card.FILE, card.of_export(text))
        _describe(part, classifier, made_by, precision, parity, quantisation)
        with Predictor(exported.load(part)) as predictor:  # what was written is opened as anybody opens it
            predictor.predict_proba(spread(own.judged, 1))
    return Exported(out, parity, quantisation)


def _format(kind: str, precision: str) -> Format:
    if kind not in EXPORTS:
        raise UnknownName("format", kind, EXPORTS)
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    EXPORTS[kind].check(precision)
    return EXPORTS[kind]


def _check(classifier: Classifier, precision: str) -> None:
    """Raise UserError for what no graph can hold."""
    if isinstance(classifier.head, AnsweredHead):
        raise UserError("This is already an export; name the run that it was made from.")
    if classifier.averaging:
        raise UserError(
            f"This run averages {1 + len(classifier.averaging)} views of each picture, which are drawn from the digest "
            "of its file, but a graph only has the picture: fit it with tta=1 to export it."
        )
    if precision == "int8" and classifier.source.backbone is None:
        raise UserError("There is no network to quantise in a classifier on pixels; leave precision=int8 out.")


def _checked(classifier: Classifier, graph: Run, own: OwnPictures, made_by: Format, progress: Progress) -> Parity:
    """On the pictures as they are and, where grey levels may differ, exactly on pictures that need no resizing."""
    images, what = spread(own.judged, CHECKED_ON), f"{made_by.name} graph"
    with Predictor(classifier) as ours:
        if made_by.tolerance > EXACT:
            _compared(ours, graph, unresized(images, classifier.source.preprocess), own.on, EXACT).check(what)
        parity = _compared(ours, graph, images, own.on, made_by.tolerance, progress)
    parity.check(what)
    return parity


def _compared(
    predictor: Predictor, graph: Run, images: ImageSet, on: str, tolerance: float, progress: Progress = silent
) -> Parity:
    classifier = predictor.classifier
    ours, extraction = predictor.predict_proba(images, progress)
    theirs = answers(graph, images.take(extraction.kept))
    parity = Parity.of(ours, theirs[:, : ours.shape[1]], on, tolerance)
    if classifier.novelty is None or not tells_strangers(classifier):
        return parity
    strange = np.abs(classifier.novelty.score(extraction.features) - theirs[:, -1]).max()
    return replace(parity, strangeness_difference=float(strange))


def answers(graph: Run, images: ImageSet) -> NDArray[np.float64]:
    """The rows (n, k or k + 1) of n pictures by a graph, each by itself."""
    return np.stack([graph(np.asarray(image.convert("RGB"))) for _, image in decoded(images)]).astype(np.float64)


def _add_golden(folder: Path, opened: Callable[[Path], Run], classifier: Classifier) -> None:
    """Drawn pictures with what the graph gives for them, by which whoever opens the export checks it.

    In eight bits runtimes differ, so there it is what OpenVINO gives, with which Headstart opens exports.
    """
    graph, classes = opened(folder), len(classifier.classes)
    size = exactly_resized(classifier.source.preprocess)
    made = Golden.made(
        lambda pictures: np.stack([graph(each) for each in pictures]), lambda rows: rows[:, :classes], size
    )
    golden.write(made, folder)


def _describe(
    folder: Path,
    classifier: Classifier,
    made_by: Format,
    precision: str,
    parity: Parity,
    quantisation: Quantisation | None,
) -> None:
    """Write the examples, and export.json last."""
    for name, text in words.EXAMPLES[made_by.name].items():
        records.write_text(folder / name, text)
    preprocess, known = classifier.source.preprocess, set(classifier.head.classes_.tolist())
    backbone, strange = classifier.source.backbone, tells_strangers(classifier)
    records.write_json(
        folder / NAME,
        {
            "format": exported.FORMAT,
            "version": exported.VERSION,
            "kind": made_by.name,
            "precision": precision,
            "classes": list(classifier.classes),
            "untrained": [name for i, name in enumerate(classifier.classes) if i not in known],
            "input": {"name": PICTURE, "type": "uint8", "shape": [1, "height", "width", 3]},
            "outputs": {
                PROBABILITIES: {"type": "float32", "shape": [1, len(classifier.classes)]},
                **({STRANGENESS: {"type": "float32", "shape": [1], "known": "up to the threshold"}} if strange else {}),
            },
            "novelty": {"threshold": classifier.novelty.threshold} if classifier.novelty and strange else None,
            "preprocessing": words.preprocessing(preprocess, made_by.name),
            "preprocess": preprocess.to_dict(),
            "parity": parity.to_dict(),
            "quantisation": quantisation.to_dict() if quantisation else {},
            "licence": backbone.weights.licence if backbone else "none: there is no network",
            "versions": _versions(),
            "files": {name: _entry(folder / name) for name in sorted(p.name for p in folder.iterdir())},
        },
    )


def _entry(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": tensors.sha256(file)}


def _versions() -> dict[str, str]:
    found = {}
    for name in ("headstart", "openvino", "onnx", "onnxruntime", "nncf", "torch"):
        with contextlib.suppress(ModuleNotFoundError):
            found[name] = version(name)
    return found
