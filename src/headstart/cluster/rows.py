"""What a worker holds open to make rows of pictures, and how a network comes to it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones import Backbone
from headstart.cluster.pool import Columns, Compute
from headstart.errors import DataError, HeadstartError
from headstart.features.extract import Extractor, Settings
from headstart.features.shards import feature_columns
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, Refusal

if TYPE_CHECKING:
    from torch import nn


def shippable(ray: Any, source: FeatureSource) -> FeatureSource:
    """The source with its weights in the object store, so that a worker needs no file of them.

    An ONNX file is still read where it lies: every node must see it there.
    """
    backbone = source.backbone
    if not isinstance(backbone, Backbone):
        return source
    values = {each.name: getattr(backbone, each.name) for each in fields(Backbone)}
    return replace(source, backbone=Shipped(**values | {"built": None}, stored=ray.put(backbone.network())))


@dataclass(frozen=True, eq=False)
class Shipped(Backbone):
    """A network whose weights are `stored` in the cluster: fetched, and PyTorch imported, where it must be built."""

    stored: Any = field(default=None, repr=False)

    @cached_property
    def _network(self) -> nn.Module:
        import ray

        network: nn.Module = ray.get(self.stored)
        return network


def threaded(source: FeatureSource, threads: int) -> FeatureSource:
    """The source for an actor that has so many cores."""
    return replace(source, engine=replace(source.engine, threads=threads))


@dataclass(frozen=True)
class ExtractRows:
    """Opens, on a worker, what makes shards of features."""

    source: FeatureSource
    strict: bool = False

    def __call__(self, threads: int) -> Compute:
        """See `pool.Open`."""
        extractor = Extractor(threaded(self.source, threads), Settings(threads=threads, strict=self.strict))

        def compute(images: ImageSet) -> tuple[Columns, tuple[Refusal, ...]]:
            try:
                found = extractor.extract(images)
            except DataError as error:
                refused = none_usable(images, error)
                nothing = np.zeros((0, 1), np.float32)
                return feature_columns(images.take([]), nothing, np.zeros((0, 16), np.uint8), 1), refused
            check_seen(images, found.refused)
            width = found.features.shape[1]
            return feature_columns(images.take(found.kept), found.features, found.contents, width), found.refused

        return compute


def none_usable(images: ImageSet, error: DataError) -> tuple[Refusal, ...]:
    """The refused, where not one of a shard's pictures could be used; any other error is raised again."""
    if len(error.refused) < len(images):
        raise error
    check_seen(images, error.refused)
    return tuple(error.refused)


def check_seen(images: ImageSet, refused: Sequence[Refusal]) -> None:
    """Raise HeadstartError where pictures are missing because the disk that holds them is not seen from this node."""
    lost = {r.name for r in refused if r.reason == "missing-file"}
    if not lost:
        return
    for name, item in zip(images.names, images.items, strict=True):
        if name in lost and isinstance(item, Path) and not item.parent.is_dir():
            raise HeadstartError(
                f"The folder {item.parent} is not there on the node {socket.gethostname()}: every node must find the "
                "pictures at the same path (a shared disk, or an address such as s3://bucket/photos)."
            )
