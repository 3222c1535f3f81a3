"""The audit, readable top to bottom: pictures -> sketches, copies and features -> checks -> findings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.audit.checks import CHECKS
from headstart.audit.findings import Finding, Material
from headstart.backbones import catalog_rows, names
from headstart.errors import DataError, UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.features.copies import COMPARED
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, Limits, load, select, with_test
from headstart.images.options import Reading, for_test
from headstart.images.sources.table import is_table
from headstart.phrases import plural
from headstart.progress import Progress, silent
from headstart.ranking.local import local_backbones
from headstart.recipe import Recipe

SMALL = 48
"""Pictures under so many pixels a side are looked at by `sprout`, which was made for such."""
LARGEST = 30e6
"""Parameters of the largest network that is taken without being asked for."""

BEYOND = "Beyond `limit`: "
"""How the note on the pictures that a limit leaves out begins."""


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, how it is read, and with which network; None chooses one whose weights are here."""

    data: str
    test: str | None = None
    backbone: str | None = None
    weights: str = "pretrained"
    limit: int | None = None
    seed: int = 0
    engine: str = "auto"
    device: str = "auto"
    max_pixels: int = 50_000_000
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found, by check; `looked` names the network that looked, with why where nobody asked for it."""

    request: AuditRequest
    material: Material
    findings: Mapping[str, tuple[Finding, ...]]
    looked: str
    notes: tuple[str, ...]
    seconds: float

    def failing(self, checks: tuple[str, ...]) -> dict[str, int]:
        """How many findings each of these checks has, where it has some."""
        return {name: len(self.findings[name]) for name in checks if self.findings[name]}


def known(checks: str) -> tuple[str, ...]:
    """`leak, broken` -> the names of checks. Raises UnknownName."""
    asked = tuple(name.strip() for name in checks.split(",") if name.strip())
    for name in asked:
        if name not in CHECKS:
            raise UnknownName("check", name, CHECKS)
    if not asked:
        raise UserError("`fail_on` names no check; write, for example, fail_on=leak,broken.")
    return asked


def audit(
    request: AuditRequest,
    settings: Settings | None = None,
    progress: Progress = silent,
    pictures: tuple[ImageSet, str] | None = None,
) -> Audit:
    """Look at every picture and run every check. Nothing is changed. Raises UserError where nothing can be listed.

    `pictures` are those of `listed`, where they are listed already.
    """
    images, problem = pictures or listed(request)
    recipe, looked = chosen(request, images)
    done = examine(images, feature_source(recipe, images), settings or Settings(), progress, problem)
    return replace(done, request=request, looked=looked)


def examine(
    images: ImageSet, source: FeatureSource, settings: Settings, progress: Progress = silent, problem: str = ""
) -> Audit:
    """The same for pictures that are listed, with the features of any source."""
    started = time.perf_counter()
    extraction = extract(images, source, settings, progress, sketches=max(len(images), 1))
    refused = (*images.refused, *extraction.refused)
    material = Material(images.take(extraction.kept), extraction, refused, progress, problem)
    findings = {name: tuple(check.find(material)) for name, check in CHECKS.items()}
    notes = (*images.notes, *extraction.notes, *_notes(material))
    seconds = time.perf_counter() - started
    return Audit(AuditRequest(images.title), material, findings, source.layer, notes, seconds)


def listed(request: AuditRequest) -> tuple[ImageSet, str]:
    """The pictures, and what is wrong with the way they lie; without labels where that leaves none.

    Raises DataError where not even pictures are found.
    """
    limits, reading, problem = Limits(request.max_pixels), request.reading, ""
    try:
        images = load(request.data, limits=limits, **reading)
    except DataError as error:
        problem = str(error)
        try:
            images = load(request.data, limits=limits, allow_empty_classes=True, **reading)
        except DataError:
            images = load(request.data, labelled=False, limits=limits, **reading)
    if not len(images):
        raise DataError(problem or f"{images.title} holds no picture.")
    if request.test is not None and not images.classes:
        raise DataError(problem)
    if request.test is not None:
        reading = for_test(reading, is_table(request.test))
        images = with_test(images, load(request.test, allow_empty_classes=True, limits=limits, **reading))
    found = select(images, limit=request.limit, seed=request.seed)
    if (beyond := len(images) - len(found)) > 0:
        told = f"{BEYOND}{plural(beyond, 'picture')}, which were not checked and are not in the clean table."
        found = replace(found, notes=(*found.notes, told))
    return found, problem


def beyond_limit(images: ImageSet) -> str:
    """The note on the pictures that were left out by `limit`, as a sentence to add; empty where there is none."""
    return images.noted(BEYOND)


def chosen(request: AuditRequest, images: ImageSet) -> tuple[Recipe, str]:
    """The recipe whose features are looked at, and in words which network that is."""
    name, weights, why = request.backbone, request.weights, ""
    if name is None:
        name, weights, why = default(images)
    values: dict[str, Any] = {
        "data": {"source": request.data},
        "backbone": {"name": name, "weights": weights},
        "engine": {"name": request.engine, "device": request.device},
    }
    return Recipe.from_dict(values, ""), f"{Path(name).name}{why}"


def default(images: ImageSet) -> tuple[str, str, str]:
    """(Name, weights, why) of the best network that is here: nothing is downloaded for an audit.

    `sprout` for small pictures; else the most accurate on ImageNet of those whose weights are stored here
    (HEADSTART_WEIGHTS, the caches of timm and torchvision), of at most `LARGEST` parameters; else `sprout`.
    """
    probe = images.probe()
    if probe.height * probe.width < SMALL**2:
        return "sprout", "pretrained", ", which comes with the package and was made for small pictures"
    rows = {
        row.name.partition(":")[2] or row.name: row
        for row in catalog_rows()
        if row.top1 is not None and (row.parameters or 0) <= LARGEST
    }
    found = []
    for each in local_backbones(None):
        row = rows.get(names.canonical(each["name"]).rpartition(":")[2])
        if row is not None and row.top1 is not None:
            found.append((row.top1, each["name"], each["weights"]))
    if not found:
        return (
            "sprout",
            "pretrained",
            ", which comes with the package; a network for photos, such as backbone=mobilenetv2_100, sees more",
        )
    _, name, weights = max(found)
    return name, weights, ", the best of those whose weights are on this machine"


def _notes(material: Material) -> list[str]:
    n, notes = len(material.images), []
    if n > COMPARED:
        notes.append(
            f"Near duplicates are only looked for among up to {COMPARED:,} pictures; these are {n:,}: use `limit`."
        )
    if material.answers is None:
        notes.append("Labels were not checked: that takes 50 labelled pictures, and two classes that can be learnt.")
    elif len(np.unique(material.images.labels[material.labelled])) < len(material.images.classes):
        notes.append("Some classes have no picture that can be used.")
    return notes
