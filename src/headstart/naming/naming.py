"""Pictures -> probabilities of the 1,000 classes, by a network with its own classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import Backbone, OnnxBackbone, resolve
from headstart.classifier import top
from headstart.engines import choose
from headstart.errors import Offline, UserError
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, Refusal, load_unlabelled
from headstart.images.options import Reading
from headstart.logits import apply_temperature
from headstart.naming.classes import COUNT, ids_in
from headstart.phrases import first_of, plural
from headstart.progress import Progress, silent
from headstart.statistics import wilson

if TYPE_CHECKING:
    from torch import nn

LAYER = "logits"
WAY_OUT = "use weights=FILE (sprout, which comes with Headstart, cannot name ImageNet's classes)"
TRY = "name another, such as mobilenetv2_100, resnet50 or vgg16"


@dataclass(frozen=True)
class Network:
    """Which network names the pictures, as `resolve` takes it, and the engine that runs it."""

    name: str
    weights: str | Path = "pretrained"
    engine: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Score:
    """How many of `total` pictures have their class among the `k` most probable."""

    k: int
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        """The share of them."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share."""
        return wilson(self.right, self.total)


@dataclass(frozen=True, eq=False, repr=False)
class Named:
    """The m pictures that could be used, with probabilities (m, 1000) float64; `network` is its name.

    `stated` (m,) int64 are the classes that the file names tell (`ids_in`), None where they tell none.
    """

    network: str
    images: ImageSet
    probabilities: NDArray[np.float64]
    stated: NDArray[np.int64] | None
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        from headstart.naming.classes import categories

        best = Counter(categories()[k].name for k in self.probabilities.argmax(axis=1).tolist()).most_common()
        named = first_of([f"{name} {n:,}" for name, n in best], 5)
        return f"Named({plural(len(self.images), 'picture')} by {self.network}: {named or 'none'})"

    def scores(self, ks: Sequence[int] = (1, 5)) -> tuple[Score, ...]:
        """Top-k accuracy for each k; empty where the file names state no classes."""
        if self.stated is None:
            return ()
        hit = top(self.probabilities, max(ks)) == self.stated[:, None]
        return tuple(Score(k, int(hit[:, :k].any(axis=1).sum()), len(hit)) for k in ks)


def classify(
    pictures: Any,
    network: Network,
    settings: Settings | None = None,
    progress: Progress = silent,
    **reading: Unpack[Reading],
) -> Named:
    """Name what picture files, and all pictures in folders or of a table, show among ImageNet's 1,000 classes.

    `reading` is how to read them, as `images.load` takes it.

    Raises UserError when the network tells no such classes apart, DataError when no picture can be used or, if
    `settings.strict`, at the first refused one.
    """
    source = named_by(network)
    strict = settings is not None and settings.strict
    images = load_unlabelled(pictures, strict=strict, **reading)
    extraction = extract(images, source, settings, progress)
    if extraction.features.shape[1] != COUNT:
        raise UserError(f"{network.name} {_gives(extraction.features.shape[1])}; {TRY}.")
    assert source.backbone is not None
    kept = images.take(extraction.kept)
    probabilities = apply_temperature(extraction.features.astype(np.float64), 1.0)
    refused = (*images.refused, *extraction.refused)
    notes = (*images.notes, *source.backbone.notes, *extraction.notes)
    return Named(source.backbone.name, kept, probabilities, ids_in(kept.names), refused, notes)


def named_by(network: Network) -> FeatureSource:
    """What turns a picture into the network's 1,000 outputs, seen as the network was trained to see.

    Raises UserError with one sentence where the network has no classifier of ImageNet's classes.
    """
    try:
        backbone = resolve(network.name, network.weights)
    except Offline as error:
        raise Offline(error.why, WAY_OUT) from error
    if backbone.weights.kind == "none":
        raise UserError(f"{network.name} has random weights, which name nothing; leave weights=none out.")
    engine = choose(network.engine, network.device)
    if isinstance(backbone, OnnxBackbone):
        return FeatureSource(backbone.preprocess, backbone, _output(backbone), engine)
    if backbone.weights.num_classes not in (None, COUNT):  # None: a file without a sidecar, of which the shape will say
        raise UserError(f"{network.name} {_gives(backbone.weights.num_classes or 0)}; {TRY}.")
    return FeatureSource(backbone.preprocess, _Whole.of(backbone), LAYER, engine)


def ranked(named: Named, topk: int) -> list[list[tuple[int, float]]]:
    """For each picture its `topk` classes, (index, probability) with six decimals, the most probable first."""
    rows = zip(named.probabilities, top(named.probabilities, topk), strict=True)
    return [[(int(k), round(float(p[k]), 6)) for k in ranks] for p, ranks in rows]


def _gives(count: int) -> str:
    if not count:
        return "has no classifier with these weights, so it cannot name what a picture shows"
    return f"gives {count:,} numbers, not the {COUNT:,} classes of ImageNet, so it cannot name what a picture shows"


def _output(backbone: OnnxBackbone) -> str:
    """The output `logits`, or the only one of 1,000 figures."""
    wide = [name for name, shape in backbone.outputs.items() if shape == (COUNT,)]
    if LAYER in wide or len(wide) == 1:
        return LAYER if LAYER in wide else wide[0]
    listed = ", ".join(map(str, backbone.layers()))
    raise UserError(
        f"{backbone.name} has no output `{LAYER}` of {COUNT:,} classes, so it cannot name what a picture shows; "
        f"its outputs are {listed}."
    )


@dataclass(frozen=True, eq=False)
class _Whole(Backbone):
    """A backbone whose features are what the whole network puts out.

    No layer stands for that: networks may average two classifiers, or flatten what the last of their modules gives.
    """

    @classmethod
    def of(cls, backbone: Backbone) -> _Whole:
        """The same backbone; a network that is built already is taken along."""
        return cls(**{field.name: getattr(backbone, field.name) for field in fields(Backbone)})

    def features(self, layer: str) -> nn.Module:
        """The network itself, (b, 3, h, w) float32 -> (b, 1000) float32."""
        return self.network()

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """Nothing to find out: pictures have the network's own size, which it takes."""
