"""The features of pictures as a file for other programs: names, labels, classes and parts beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart import outputs, records
from headstart.errors import DataError, UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.images import ImageSet, load
from headstart.paths import expanded, features_dir
from headstart.progress import Progress, silent
from headstart.recipe import Recipe
from headstart.shared import replacing


def features(recipe: Recipe, out: Path, progress: Progress = silent, *, labels: bool = True) -> Extraction:
    """Extract the features that a recipe's data, backbone and engine name, and write them to `out`.

    Takes unlabelled pictures where `labels` is False. Raises UserError when `out` has another ending than .npz or
    .parquet, DataError for data that cannot be read.
    """
    out = expanded(out)
    check_features_out(out, recipe.data.source)
    images = pictures_of(recipe, labels=labels)
    source = feature_source(recipe, images)
    extraction = extract(images, source, Settings(features_dir(), strict=recipe.data.strict), progress)
    write_features(images, out, extraction)
    notes = (*images.notes, *(source.backbone.notes if source.backbone else ()), *extraction.notes)
    return replace(extraction, refused=(*images.refused, *extraction.refused), notes=notes)


def pictures_of(recipe: Recipe, *, labels: bool) -> ImageSet:
    """The pictures of a recipe. Raises DataError, which says what to do where they have no labels."""
    try:
        return load(recipe.data.source, labelled=labels, allow_empty_classes=True, **recipe.data.reading())
    except DataError as error:
        if not labels:
            raise
        try:
            pictures_of(recipe, labels=False)
        except UserError:
            raise error from None
        raise DataError(f"{error} For pictures without labels, add labels=False.", error.refused) from None


def write_features(images: ImageSet, out: Path, extraction: Extraction) -> None:
    """Write features (m, d) float32 with names, labels, classes and parts to `.npz` or `.parquet`."""
    kept = images.take(extraction.kept)
    labelled = bool((kept.labels >= 0).all()) and len(kept.classes) > 0
    labels = [kept.classes[k] for k in kept.labels] if labelled else [""] * len(kept)
    if out.suffix.lower() == ".npz":
        _write_npz(out, kept, labels, extraction)
    else:
        _write_parquet(out, kept, labels, extraction)


def check_features_out(out: Path, data: str) -> None:
    """Raise UserError before the work begins if features of these data cannot be written under this name."""
    outputs.check_file(out, (".npz", ".parquet"), data)
    outputs.check_outside(out.parent, data)  # a file beside the class folders is none of them


def _write_npz(out: Path, kept: ImageSet, labels: list[str], extraction: Extraction) -> None:
    with replacing(out) as part, part.open("wb") as file:
        np.savez(
            file,
            features=extraction.features,
            names=np.array(kept.names),
            labels=np.array(labels),
            split=kept.parts.astype(str),
        )


def _write_parquet(out: Path, kept: ImageSet, labels: list[str], extraction: Extraction) -> None:
    import pyarrow as pa

    flat = pa.array(extraction.features.reshape(-1), type=pa.float32())
    table = pa.table(
        {
            "name": list(kept.names),
            "label": labels,
            "split": [str(p) for p in kept.parts],
            "features": pa.FixedSizeListArray.from_arrays(flat, extraction.features.shape[1]),
        }
    )
    records.write_parquet(out, table)
