"""MODEL_CARD.md of a bundle: what it is, on what it was fitted, how good it is, and what it does not know.

It begins with the table of a model card on the Hugging Face hub (Mitchell et al. 2019, "Model cards for model
reporting"), and is made from scores.json and the bundle's manifest alone. It has no date, so that equal runs have equal
bundles. Nothing reads it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from headstart import manifest as manifests
from headstart.backbones.licences import mark
from headstart.bundle import folder_of
from headstart.manifest import Manifest
from headstart.novelty import ALARMS
from headstart.phrases import percent, plural
from headstart.preprocess import Preprocess
from headstart.report.headline import between, headline, share_of, without_copies
from headstart.report.numbers import count, decimal, shown
from headstart.report.parts import PART_WORDS, judged_part, pictures, scored
from headstart.schema.scores import PartScores, RunScores
from headstart.shared import replacing

FILE, MOST = "MODEL_CARD.md", 2**20
MOST_CLASSES = 200
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def write(bundle: Path, scores: RunScores) -> Path:
    """Write the card into a bundle and return its path."""
    with replacing(bundle / FILE) as part:
        part.write_text(card(scores, manifests.read(bundle)), encoding="utf-8", errors="backslashreplace")
    return bundle / FILE


def read(run: Path) -> str:
    """The card of a run, of its bundle or of an export; '' where there is none. At most `MOST` characters."""
    path = folder_of(run) / FILE
    return path.read_text("utf-8", "replace")[:MOST] if path.is_file() else ""


def of_export(text: str) -> str:
    """The card of a run as its export has it: the classifier is used in another way."""
    return text.partition("\n## Use\n")[0] + f"\n{USE_OF_EXPORT}\n"


def card(scores: RunScores, manifest: Manifest) -> str:
    """The card as text."""
    sections = [
        _warning(scores),
        f"# {_plain(_title(scores))}\n\n{_plain(headline(scores), 2000)}",
        _about(scores, manifest),
        _data(scores),
        _scores(scores),
        _unknown(scores, manifest),
        _licences(scores),
        _use(),
    ]
    return f"---\n{_header(scores)}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def _title(scores: RunScores) -> str:
    """`photos by mobilenetv2_100`."""
    return f"{_name_of(scores.run.data)} by {scores.run.backbone or 'pixels'}"


def _plain(text: str, limit: int = 120) -> str:
    """Text from outside, so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", shown(text, limit).replace("\n", " "))


def _header(scores: RunScores) -> str:
    """The hub's metadata: YAML, of which JSON is a part."""
    run = scores.run
    told: dict[str, Any] = {
        "library_name": "headstart",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", *([shown(run.backbone)] if run.backbone else [])],
        "metrics": ["accuracy", "f1"],
    }
    if run.licence:
        known = re.fullmatch(r"apache-2\.0|mit|bsd-3-clause|cc-by-(nc-)?(sa-)?4\.0", run.licence.lower())
        told["license"] = known[0] if known else "other"
        told |= {} if known else {"license_name": shown(run.licence)}
    if part := judged_part(scores):
        told["model-index"] = [{"name": shown(_title(scores)), "results": [_result(scores, part)]}]
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items())


def _result(scores: RunScores, part: str) -> dict[str, Any]:
    found, data = without_copies(scores) or scored(scores)[part], _name_of(scores.run.test or scores.run.data)
    metrics = [{"type": "accuracy", "name": "Accuracy", "value": round(found.accuracy, 6)}]
    if found.macro_f1 is not None:
        metrics.append({"type": "f1", "name": "Macro F1", "value": round(found.macro_f1, 6)})
    dataset = {"name": data, "type": data, "split": "test" if part == "test" else "train"}
    task = {"type": "image-classification", "name": "Image classification"}
    return {"task": task, "dataset": dataset, "metrics": metrics}


def _name_of(data: str) -> str:
    """The last part of a path: where a person keeps pictures is nobody else's business."""
    return shown(re.split(r"[/\\]", data.rstrip("/\\"))[-1]) or "pictures"


def _warning(scores: RunScores) -> str:
    licence = scores.run.licence or ""
    if not (told := mark(licence)):
        return ""
    why = {"not for commercial use": "do not allow commercial use"}.get(told, "have terms to accept before use")
    return f"> **The network's weights {why}** (licence: {_plain(licence)}). The same holds for this classifier."


def _about(scores: RunScores, manifest: Manifest) -> str:
    run, size = scores.run, Preprocess.from_dict(manifest.preprocess)
    network = "The head works directly on the pixels; there is no network."
    if run.backbone:
        how = {
            "features": "frozen, as it was pretrained" if run.weights != "none" else "frozen, with random weights",
            "finetune": "fine-tuned with the head",
            "scratch": "trained from random weights",
        }.get(run.method, run.method)
        network = f"Network: {_plain(run.backbone)}, {how}; features of the layer {_plain(run.layer or '')}."
    names = ", ".join(_plain(name, 60) for name in manifest.classes[:MOST_CLASSES])
    more = len(manifest.classes) - MOST_CLASSES
    return (
        "## What it does\n\n"
        f"It predicts one of {count(len(manifest.classes))} classes, with a probability for each: {names}"
        f"{f', and {more:,} more' if more > 0 else ''}.\n\n"
        f"{network} Head: {_plain(run.head)}, on {plural(manifest.head.config.n_features, 'feature')}. Pictures are "
        f"brought to {size.height} x {size.width} pixels. Made with Headstart."
    )


def _data(scores: RunScores) -> str:
    counts = [(PART_WORDS[p], getattr(scores.counts, p)) for p in ("train", "val", "calibration", "test")]
    told = ", ".join(f"{n:,} {word}" for word, n in counts if n)
    test = f" Tested on {_plain(_name_of(scores.run.test))}." if scores.run.test else ""
    refused = scores.counts.refused or 0
    left = f" {plural(refused, 'file')} could not be used and {'was' if refused == 1 else 'were'} left out."
    return f"## Data\n\n{_plain(_name_of(scores.run.data))}: {told} pictures.{test}{left if refused else ''}"


def _scores(scores: RunScores) -> str:
    part = judged_part(scores)
    if not part:
        return "## Scores\n\nNo pictures were held out to test it, so its accuracy was not measured."
    s = scored(scores)[part]
    how = "of cross-validation, each named by a classifier that had not seen it" if part == "cv" else "kept apart"
    what = plural(s.n, "picture") if part == "cv" else pictures(part, s.n)
    rows = [
        ("Accuracy", f"{share_of(s, what)}{between(s)}"),
        ("Macro F1", decimal(s.macro_f1)),
        ("Log loss", decimal(s.log_loss)),
        ("Brier score", decimal(s.brier)),
        ("Calibration error (ECE)", f"{decimal(s.ece)}; {decimal(s.ece_null_mean)} if perfectly calibrated"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        f"## Scores\n\nOn {plural(s.n, 'picture')} {how}.\n\n| score | |\n|---|---|\n{table}\n\n{_classes(s)}".rstrip()
    )


def _classes(s: PartScores) -> str:
    """The recall of each class, where they are few."""
    if not 2 <= len(s.per_class) <= 20:
        return ""
    rows = "\n".join(f"| {_plain(c.class_, 60)} | {c.n:,} | {percent(c.recall)} |" for c in s.per_class)
    return f"| class | pictures | named correctly |\n|---|---|---|\n{rows}"


def _unknown(scores: RunScores, manifest: Manifest) -> str:
    told = ["It only knows the classes above. A picture of anything else gets one of their names all the same."]
    if manifest.novelty is None or manifest.novelty.threshold is None:
        told.append(
            "It cannot recognise such pictures, because there were too few training pictures to set a threshold."
        )
    else:
        test = scores.after.get("test")
        seen = (
            "" if test is None or test.strangers is None else f"; of its test pictures {percent(test.strangers)} were"
        )
        told.append(
            f"`known` is false where a picture is unlike all training pictures. About {percent(ALARMS, 0)} of pictures "
            f"like those are called strange by mistake{seen}. A stranger that looks like a training picture is missed."
        )
    if manifest.untrained:
        names = ", ".join(_plain(name, 60) for name in manifest.untrained[:MOST_CLASSES])
        told.append(f"These classes had no training pictures and are never predicted: {names}.")
    told.append(
        "The scores are for pictures like those it was fitted on: same cameras, places and kinds of scene. Elsewhere "
        "it may do worse, and its probabilities are then too confident."
    )
    told += [_plain(note, 500) for note in scores.notes[:10]]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in told)


def _licences(scores: RunScores) -> str:
    weights = "There is no network, so no licence of weights."
    if scores.run.backbone:
        licence = scores.run.licence
        weights = f"Weights of the network: {_plain(licence)}." if licence and licence != "unknown" else (
            "The licence of the network's weights is not recorded; ask where they come from."
        )  # fmt: skip
    return (
        f"## Licences\n\n- {weights}\n- Code (Headstart): Apache-2.0.\n- Pictures: not recorded; whoever publishes "
        "this classifier must be allowed to."
    )


USE_OF_EXPORT = (
    "## Use\n\n```\npython example.py picture.jpg\n```\n\n"
    "The example needs no Headstart. `export.json` has the class names, says what to do with a picture before the "
    "graph and lists the SHA-256 of every file. `headstart predict FOLDER picture.jpg` takes the folder too."
)


def _use() -> str:
    return (
        "## Use\n\n```python\nimport headstart\n\n"
        'print(headstart.predict("bundle", ["picture.jpg"]).rows(topk=3))\n```\n\n'
        "A bundle is safetensors and JSON, with no code in it. `golden.safetensors` holds drawn pictures with the "
        "probabilities to expect; the classifier checks itself by them when it is opened."
    )
