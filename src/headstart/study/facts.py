"""What is measured about an arm: its size, its cost, and what may speak against transfer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart import documents
from headstart.backbones import Backbone, BaseBackbone, memory, sidecar
from headstart.evidence.facts import ArmFacts
from headstart.features.extraction import Extraction
from headstart.features.source import FeatureSource
from headstart.heads.logistic import NO_PENALTY
from headstart.images.looks import Looks
from headstart.study.arms import Arm
from headstart.study.measures import cut_share, dead_share, overlap, saturated_share, spread_of_scales
from headstart.study.results import ArmResults
from headstart.study.subsets import Subsets


def about_arm(arm: Arm, source: FeatureSource, extraction: Extraction | None) -> dict[str, Any]:
    """The arm's block of verdicts.json without its results; JSON-able, and kept with its cells."""
    backbone, preprocess = source.backbone, source.preprocess
    found: dict[str, Any] = {
        "backbone": backbone.name if backbone else None,
        "layer": source.layer if backbone and not arm.trained else None,
        "image_size": [preprocess.height, preprocess.width],
        "network_parameters": None if arm.trained else _parameters(backbone),
        "extraction": None,
        "notes": [*(backbone.notes if backbone else ())],
    }
    if extraction is None:
        return found
    counts, features = extraction.counts, extraction.features
    found["extraction"] = {
        "images": counts.images,
        "computed": counts.computed,
        "reused": counts.reused,
        "seconds": round(extraction.wall_s, 3),
        "images_per_s": round(extraction.images_per_s, 1),
    }
    found["measures"] = {
        "dead_share": dead_share(features),
        "saturated_share": saturated_share(features),
        "scale_spread": spread_of_scales(features),
    }
    found["notes"] += extraction.notes
    return found


def _parameters(backbone: BaseBackbone | None) -> int | None:
    """Weights of the whole network; counted once, because building it takes seconds."""
    if not isinstance(backbone, Backbone):
        return None
    question = ["parameters", backbone.fingerprint]
    known = memory.recall(question)
    if known is None:
        known = {"parameters": sum(p.numel() for p in backbone.network().parameters())}
        memory.remember(question, known)
    return int(known["parameters"])


def source_of(arm: Arm, backbone: BaseBackbone | None) -> str | None:
    """What the arm's network learnt before: `imagenet`, `sprout` (drawn pictures), None where that is not known."""
    if backbone is None or not arm.transfer:
        return None
    weights = backbone.weights
    if backbone.architecture == "embedded:sprout":
        return "sprout" if arm.recipe.backbone.weights == "pretrained" else None
    named = weights.path is not None and "imagenet" in _origin(weights.path).lower()
    return "imagenet" if weights.kind == "imagenet" or weights.num_classes == 1000 or named else None


def _origin(weights: Path) -> str:
    """What the sidecar of a weights file says of where they come from."""
    beside = sidecar.beside(weights)
    try:
        return str(documents.table(beside).get("origin", "")) if beside else ""
    except (OSError, ValueError):
        return ""


def facts(found: ArmResults, size: str, drawn: Subsets, looks: Looks) -> ArmFacts:
    """What is known about an arm fitted on `size` labelled pictures per class."""
    arm, cells = found.arm, found.at(size)
    options: Mapping[str, Any] = arm.recipe.head.options
    assert found.source is not None  # it has cells
    learnt, preprocess = source_of(arm, found.source.backbone), found.source.preprocess
    own = found.source.backbone.preprocess if found.source.backbone else preprocess
    converged = [cell.converged for cell in found.cells.values() if cell.converged is not None]
    return ArmFacts(
        name=arm.name,
        pretrained=arm.transfer,
        grey_share=0.0 if preprocess.grey == "colormap" else looks.grey_share,
        colour_source=learnt == "imagenet",
        picture_side=looks.side,
        input_side=min(preprocess.height, preprocess.width),
        own_side=min(own.height, own.width),
        constant_share=looks.constant_share,
        overlap=overlap(drawn.images.classes, learnt) if learnt else None,
        rows=min((cell.train + cell.val for cell in cells), default=0),
        features=cells[0].features if cells else 0,
        penalised=float(options.get("C", 1.0)) <= NO_PENALTY,
        standardised=bool(options.get("standardise", True)),
        **found.about.get("measures", {}),
        converged=sum(converged) / len(converged) if converged else 1.0,
        fits=len(converged),
        cuts=cut_share(preprocess, looks.height, looks.width),
    )
