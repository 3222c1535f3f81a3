"""Pictures whose features are stored as shards (`headstart features --cluster`): a head is fitted without reading them.

The features go into one matrix in the order of the pictures; where it is large that is a mapped file. `way` says how
the head is then fitted: exactly in memory, exactly by second-order statistics that are accumulated block by block
(ridge), or by mini-batches. Copies are told by their content; near copies, which would need the pictures, are not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones import resolve
from headstart.engines import choose
from headstart.errors import DataError, UserError
from headstart.features.copies import find
from headstart.features.extraction import Counts, Extraction
from headstart.features.matrix import IN_MEMORY, allocate
from headstart.features.shards import FeatureShards
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, Limits, Refusal
from headstart.images.imageset import PART
from headstart.images.names import natural_sort
from headstart.images.ranges import White
from headstart.images.remote import Remote
from headstart.machine import free_memory
from headstart.preprocess import Preprocess
from headstart.progress import Progress, silent
from headstart.recipe import AUTO, TRAINED, Recipe
from headstart.storage import is_address

COPIES = 3
"""Of the features that an exact fit holds in memory: as they are, standardised, and without the part held out."""
STREAMED = {
    "ridge": "exactly, by second-order statistics accumulated block by block",
    "linear": "by mini-batches",
    "mlp": "by mini-batches",
}
"""Heads for features that are too large for memory, and how they are fitted then."""


@dataclass(frozen=True)
class Sharded:
    """Finished shards as a source of pictures and of their features; `memory` are the bytes that a fit may take."""

    shards: FeatureShards
    memory: int

    @classmethod
    def of(cls, recipe: Recipe, memory: int | None = None) -> Sharded | None:
        """Those that a recipe names as its data; None where its data are pictures. Raises UserError."""
        place = recipe.data.source
        if not is_address(place) and not Path(place).is_dir():
            return None
        shards = FeatureShards.at(place)
        return None if shards is None else cls(shards, _room() if memory is None else memory)

    @property
    def bytes(self) -> int:
        """Of all features."""
        return self.shards.manifest.rows * (self.shards.manifest.columns or 0) * 4

    @property
    def fits(self) -> bool:
        """Whether an exact fit has room in memory."""
        return COPIES * self.bytes <= self.memory

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with the network of the shards, and a head that can be fitted on them.

        Raises UserError where the recipe names another network, needs pictures, or its head needs more memory.
        """
        made = Recipe.from_dict(dict(self.shards.manifest.recipe or {}), f"{self.shards.storage}")
        asked = recipe.backbone
        if "name" in asked.model_fields_set and asked.name != made.backbone.name and made.method != "pixels":
            raise UserError(
                f"backbone={asked.name}: the shards {self.shards.storage} hold features of {made.backbone.name}; leave "
                "`backbone` out."
            )
        if recipe.method in TRAINED:
            raise UserError(f"method={recipe.method} needs pictures, but {self.shards.storage} holds features.")
        if recipe.augment.name not in (AUTO, "none") or recipe.augment.transform or recipe.data.test:
            raise UserError(f"`augment` and `test` need pictures, but {self.shards.storage} holds features.")
        kept = {"method": made.method, "backbone": made.backbone, "engine": made.engine, "head": self._head(recipe)}
        return recipe.model_copy(update=kept)

    def _head(self, recipe: Recipe) -> Any:
        head = recipe.head
        if self.fits or head.name in STREAMED:
            return head
        if head.name == "logistic":  # its mini-batch twin
            return head.model_copy(update={"name": "linear", "options": {}})
        raise UserError(
            f"head={head.name} needs {COPIES * self.bytes / 1e9:.1f} GB of memory for these features, and there are "
            f"{self.memory / 1e9:.1f} GB: use ridge, linear or mlp."
        )

    def way(self, head: str) -> str:
        """How a head is fitted, as a sentence."""
        rows, columns = self.shards.manifest.rows, self.shards.manifest.columns
        how = "exactly, in memory" if self.fits and head != "linear" and head != "mlp" else STREAMED[head]
        return f"The head ({head}) was fitted {how}, on features of {rows:,} x {columns:,} from shards."

    @cached_property
    def images(self) -> ImageSet:
        """The pictures, by reference: where they were when their features were computed."""
        manifest, about = self.shards.manifest, self.shards.about
        classes = manifest.classes or natural_sort(sorted(set(about["label"]) - {""}))
        index = {name: k for k, name in enumerate(classes)}
        space, refused = manifest.made_by, [Refusal(r.name, r.reason, r.detail) for r in manifest.refused]
        limits = Limits(int(space.get("max_pixels", Limits().max_pixels)), white=White(*self._preprocess.white))
        source = str((manifest.recipe or {}).get("data", {}).get("source", ""))
        return ImageSet(
            [_item(source, name) for name in about["name"]], tuple(about["name"]),
            np.array([index.get(label, -1) for label in about["label"]], np.int64), tuple(classes),
            np.array(about["split"], PART), tuple(refused), manifest.title, manifest.notes, limits,
            manifest.test_drawn,
        )  # fmt: skip

    @property
    def _preprocess(self) -> Preprocess:
        return Preprocess.from_dict(dict(self.shards.manifest.made_by["preprocess"]))

    def source(self, recipe: Recipe) -> FeatureSource:
        """What made the features. Raises UserError where the network is another one here."""
        space = dict(self.shards.manifest.made_by)
        space.pop("max_pixels", None)
        if recipe.method == "pixels":
            return FeatureSource(self._preprocess)
        size = (self._preprocess.height, self._preprocess.width)
        backbone = resolve(recipe.backbone.name, recipe.backbone.weights, seed=recipe.seed).at(size)
        engine = choose(*str(space["engine"]).rsplit("-", 2))
        found = FeatureSource(self._preprocess, backbone, str(space["layer"]), engine)
        if found.space() != space:
            raise UserError(
                f"The features in {self.shards.storage} were computed with other weights of {backbone.name}, or "
                "another version of its library, than those on this machine; compute them again."
            )
        return found

    def extraction(self, images: ImageSet, progress: Progress = silent) -> Extraction:
        """The features of some of the pictures, in their order. Raises DataError for a damaged shard."""
        started = time.perf_counter()
        features = allocate((len(images), self.shards.manifest.columns or 1), np.float32, min(IN_MEMORY, self.memory))
        contents, filled, at = np.zeros((len(images), 16), np.uint8), np.zeros(len(images), bool), 0
        names, place = self.shards.about["name"], images.places
        for rows, digests in self.shards.rows():
            wanted = [(k, place[name]) for k, name in enumerate(names[at : at + len(rows)]) if name in place]
            if wanted:
                origin, target = np.array(wanted, np.int64).T
                features[target], contents[target], filled[target] = rows[origin], digests[origin], True
            at += len(rows)
            progress("extract", at, len(names))
        if not filled.all():
            raise DataError(f"{self.shards.storage} lacks the features of {images.names[int(np.argmin(filled))]}.")
        counts = Counts(images=len(images), reused=len(images))
        copies = find(contents, None)
        kept, wall_s = np.arange(len(images)), time.perf_counter() - started
        return Extraction(features, kept, (), counts, 0.0, 0.0, 0.0, wall_s, contents=contents, copies=copies)


def _item(source: str, name: str) -> Any:
    """A reference to a picture by its name; a report shows those that are still there."""
    return Remote(source, name, 1, 0) if is_address(source) else Path(source) / name


def _room() -> int:
    """Bytes of memory that a fit may take: half of what is free here."""
    return (free_memory() or 8 << 30) // 2
