"""Predictions for any number of pictures as Parquet shards, by a cluster: the same as by one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart import inference, predictions
from headstart.bundle import identity, load_classifier
from headstart.classifier import Classifier, Predictor
from headstart.cluster.connect import connected
from headstart.cluster.pool import Columns, Compute, Made, Plan, finished, make, plan_of, shards_at
from headstart.cluster.rows import check_seen, none_usable, shippable, threaded
from headstart.division import with_columns
from headstart.errors import DataError
from headstart.features.extract import Settings
from headstart.images import ImageSet, Refusal, load_unlabelled
from headstart.images.options import Reading
from headstart.progress import Progress, silent


@dataclass(frozen=True)
class Asked:
    """What is asked of a run: how many classes to name, and the coverage of sets of them (None: no sets)."""

    topk: int = 1
    coverage: float | None = None
    reading: Reading = field(default_factory=Reading)


def predict(
    run: str, pictures: Sequence[str], out: str, cluster: str, asked: Asked | None = None, progress: Progress = silent
) -> Made:
    """Predictions of a finished run for pictures, as `inference.predict` gives them, as shards in `out`.

    The columns are those of `Predictions.rows`. Raises as `inference.predict` does, and UserError where `out` holds
    something else, DataError where no picture can be used.
    """
    asked = asked or Asked()
    classifier = load_classifier(run)
    predictions.check_coverage(classifier, asked.coverage)
    limits = classifier.limits
    images = load_unlabelled(list(pictures), limits=limits, **with_columns(asked.reading, run, list(pictures)))
    storage = shards_at(out)
    made_by = {"run": identity(run), "topk": asked.topk, "coverage": asked.coverage, "max_pixels": limits.max_pixels}
    manifest, jobs = plan_of("predictions", images, made_by)
    notes = () if asked.coverage is None else predictions.coverage_notes(classifier, asked.coverage)
    manifest = replace(manifest, classes=classifier.classes, notes=(*images.notes, *notes))
    found = finished(storage, manifest)
    if found is None:
        gpus = classifier.source.engine.device == "cuda"
        with connected(cluster) as ray:
            classifier = replace(classifier, source=shippable(ray, classifier.source))
            plan = Plan(images, storage, PredictRows(classifier, asked), manifest, gpus)
            found = make(ray, plan, jobs, progress)
    if not found.manifest.rows:
        raise DataError(f"None of the {len(images):,} pictures of {images.title} can be used; {storage} lists why.")
    return found


@dataclass(frozen=True)
class PredictRows:
    """Opens, on a worker, what makes shards of predictions."""

    classifier: Classifier
    asked: Asked

    def __call__(self, threads: int) -> Compute:
        """See `pool.Open`."""
        classifier = replace(self.classifier, source=threaded(self.classifier.source, threads))
        predictor = Predictor(classifier, Settings(threads=threads))

        def compute(images: ImageSet) -> tuple[Columns, tuple[Refusal, ...]]:
            try:
                found = inference.predicted(predictor, replace(images, refused=()), self.asked.coverage)
            except DataError as error:
                return columns_of(()), none_usable(images, error)
            check_seen(images, found.refused)
            return columns_of(found.rows(self.asked.topk)), found.refused

        return compute


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of predictions as columns of pyarrow."""
    import pyarrow as pa

    if not rows:
        return {"name": pa.array([], pa.string()), "predicted": pa.array([], pa.string())}
    return {key: pa.array([row[key] for row in rows]) for key in rows[0]}
