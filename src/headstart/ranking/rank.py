"""The job: labelled pictures -> every backbone judged on the same folds -> Ranking. The test part stays unseen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.spelling import unloaded
from headstart.errors import HeadstartError, UserError
from headstart.feature_source import feature_source
from headstart.features.copies import MOST, led
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.images import ImageSet
from headstart.images.cures import list_cures
from headstart.images.usable import keep_usable
from headstart.phrases import first_of, plural
from headstart.progress import Progress, silent
from headstart.ranking.advice import advise
from headstart.ranking.candidates import Candidate, resolve_candidates
from headstart.ranking.folds import draw
from headstart.ranking.judge import Judge, Judged
from headstart.ranking.pairwise import front, ordered
from headstart.ranking.request import RankingRequest, pictures
from headstart.ranking.speed import measured
from headstart.schema.ranking import Advice, Failure
from headstart.spread import Spread

UNSEEN = "The test part was left out and never looked at ({pictures})."
ALL_SEEN = (
    "The data have no test part, so every labelled picture influenced this choice: test the classifier on other "
    "pictures, because its accuracy on these is a little too good."
)


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """What came out: `pixels` is the baseline, `backbones` are in order, `front` has labels, the fastest first.

    `images` are the n pictures that all were judged on, `refused` the number of those that could not be used.
    """

    request: RankingRequest
    images: ImageSet
    pixels: Judged
    backbones: tuple[Judged, ...]
    failures: tuple[Failure, ...]
    front: tuple[str, ...]
    advice: Advice
    notes: tuple[str, ...]
    refused: int
    seconds: float


def rank(
    request: RankingRequest,
    settings: Settings | None = None,
    progress: Progress = silent,
    spread: Spread | None = None,
) -> Ranking:
    """Judge every backbone of a request. One that fails is among the `failures`, and the others go on.

    `spread` judges them; without, one after another.

    Raises UserError where none is left, where two are the same, and for data that cannot be ranked on.
    """
    started = time.perf_counter()
    images, unseen = pictures(request)
    found, failures = resolve_candidates(
        request.backbones,
        lambda s: feature_source(request.recipe(spelled=s), images),
        found_here=request.found_here,
    )
    if not found:
        raise _none(failures)
    pixels = feature_source(request.recipe("pixels"), images)
    settings = settings or Settings()
    telling = stages(progress, 0, len(found), "raw pixels")("features")
    baseline = extract(images, pixels, settings, telling, sketches=MOST)
    judge = _judge(images, baseline, request, settings)
    judged = judge.pixels(pixels, baseline.features, stages(progress, 0, len(found), "raw pixels"))
    if spread is None:
        working, backbones, broken = _all(judge, found, progress)
    else:
        working, backbones, broken = _spread(judge, found, progress, spread)
    failures += broken
    if not backbones:
        raise _none(failures)
    backbones = measured(backbones, working, judge.images, progress)
    return Ranking(
        request,
        judge.images,
        judged,
        tuple(ordered(backbones)),
        tuple(failures),
        tuple(front(backbones)),
        advise(judged, backbones),
        (
            *judge.images.notes,
            *list_cures([*images.refused, *baseline.refused]),
            UNSEEN.format(pictures=plural(unseen, "picture")) if unseen else ALL_SEEN,
            *notes_on_rare(judge.images.labels, judge.images.classes, request.folds),
        ),
        len(images.refused) + len(baseline.refused),
        time.perf_counter() - started,
    )


def stages(progress: Progress, number: int, total: int, label: str) -> Callable[[str], Progress]:
    """One bar for each backbone, under it the phase of its work."""

    def tell(phase: str) -> Progress:
        return lambda _, done, count: progress(f"{number}/{total} {label}|{phase}", done, count)

    return tell


def _judge(images: ImageSet, baseline: Extraction, request: RankingRequest, settings: Settings) -> Judge:
    """Of the pictures that could be read, in folds that keep copies together."""
    images = keep_usable(images, baseline.kept, baseline.refused)
    together = baseline.copies.together
    fold = draw(images.labels, images.names, request.folds, request.seed, led(together))
    settings = replace(settings, strict=True)  # what was readable once must be so for every backbone
    return Judge(images, fold, together, settings)


def _all(
    judge: Judge, found: list[Candidate], progress: Progress
) -> tuple[list[Candidate], list[Judged], list[Failure]]:
    """Those that could be judged, what they came to, and why others could not."""
    working, judged, failures = [], [], []
    for number, candidate in enumerate(found, start=1):
        try:
            judged.append(judge.backbone(candidate, stages(progress, number, len(found), candidate.label)))
            working.append(candidate)
        except HeadstartError as error:
            failures.append(Failure(candidate.label, unloaded(candidate.spelled["name"], error)))
    return working, judged, failures


def _spread(
    judge: Judge, found: list[Candidate], progress: Progress, spread: Spread
) -> tuple[list[Candidate], list[Judged], list[Failure]]:
    """As `_all`, at once; in the order of the candidates."""
    came: dict[int, Judged | Failure] = {}
    gpu = any(candidate.source.engine.device == "cuda" for candidate in found)
    progress("backbones", 0, len(found))
    for (place, candidate), each in spread(_JudgeOne(judge), list(enumerate(found)), gpu=gpu):
        came[place] = each
        said = f"accuracy {each.scores.accuracy:.4f}" if isinstance(each, Judged) else each.reason
        progress(f"backbones|{candidate.label}: {said}", len(came), len(found))
    judged = [(found[place], each) for place in range(len(found)) if isinstance(each := came[place], Judged)]
    failures = [each for each in (came[place] for place in range(len(found))) if isinstance(each, Failure)]
    return [candidate for candidate, _ in judged], [each for _, each in judged], failures


@dataclass(frozen=True)
class _JudgeOne:
    """Judges a candidate, which has its place with it."""

    judge: Judge

    def __call__(self, item: tuple[int, Candidate]) -> Judged | Failure:
        candidate = item[1]
        try:
            return self.judge.backbone(candidate, lambda phase: silent)
        except HeadstartError as error:
            return Failure(candidate.label, unloaded(candidate.spelled["name"], error))


def notes_on_rare(labels: NDArray[np.int64], classes: Sequence[str], folds: int) -> list[str]:
    """Notes on classes that some fold has no picture of, and on those of one picture; `labels` (n,)."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    rare = {name: n for name, n in zip(classes, counts, strict=True) if 0 < n < folds}
    alone = [name for name, n in rare.items() if n == 1]
    notes = []
    if len(rare) == 1:
        ((name, n),) = rare.items()
        notes = [f"{name} has fewer pictures ({n}) than there are folds ({folds}), so some folds judge none of it."]
    elif rare:
        named = first_of([f"{name} ({n})" for name, n in rare.items()], 5)
        notes = [f"Fewer pictures than folds ({folds}): {named}; some folds judge none of them."]
    if alone:
        has = "has one picture" if len(alone) == 1 else "have one picture each"
        notes.append(f"{first_of(alone, 5)} {has} and cannot be named correctly: none is left to learn from.")
    return notes


def _none(failures: list[Failure]) -> UserError:
    if not failures:
        return UserError("There is no backbone to rank; name some with `backbones`.")
    return UserError(f"No backbone could be ranked. {failures[0].backbone}: {failures[0].reason}")
