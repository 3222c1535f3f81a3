"""Golden pictures: a few pictures with the probabilities that a classifier gave them when it was saved.

    bundle/golden.safetensors   `picture.00` uint8 (h, w, 3) and so on, `probabilities` float64 (16, k)

A program draws them, so a bundle holds no picture of its user (decision 0037). Whoever computes probabilities anew, on
another machine, from an export or on a server, checks itself by them before it answers: `Golden.check`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart import tensors
from headstart.drawn.waves import waves
from headstart.errors import BundleError

FILE = "golden.safetensors"
COUNT, LARGEST = 16, 1_024
"""Pictures, and pixels of a side."""
TOLERANCE = 1e-4
"""How far a probability may be from the expected one, in float32 on any machine and engine."""
AT_OPENING = 2
"""Of the pictures, how many an engine is asked each time that it is opened: a large network takes 0.2 s for each."""
_TRIED = 24
_NUDGE = 1e-4  # of a row's size: more than float32 engines differ by
Pictures = Sequence[NDArray[np.uint8]]
Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Golden:
    """`pictures` (h, w, 3) uint8, of many shapes, and their `probabilities` (16, k), calibrated, of the plain picture.

    Views are not averaged. A probability may be `tolerance` from the expected one.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    probabilities: NDArray[np.float64]
    tolerance: float = TOLERANCE

    @classmethod
    def made(
        cls,
        rows_of: Callable[[Pictures], Matrix],
        probabilities_of: Callable[[Matrix], Matrix],
        sides: tuple[int, int] | None = None,
    ) -> Golden:
        """From pictures -> features (n, d) in float32, and features -> probabilities (n, k).

        Of a few more pictures, those are kept whose answers move least when features move in their last digits: a head
        that counts neighbours would else answer differently on another machine where two are equally near. The least
        certain answers come first: they show a fault most. All are of one (width, height), `sides`, where given.
        """
        pictures = waves(_TRIED)
        if sides is not None:
            pictures = [np.asarray(Image.fromarray(picture).resize(sides)) for picture in pictures]
        rows = rows_of(pictures)
        expected = probabilities_of(rows)
        rng, moved = np.random.default_rng(0), np.zeros(len(pictures))
        size = np.sqrt(np.mean(np.square(rows, dtype=np.float64), axis=1, keepdims=True))
        for _ in range(3):
            nudged = (rows + _NUDGE * size * rng.normal(size=rows.shape)).astype(rows.dtype)
            moved = np.maximum(moved, np.abs(probabilities_of(nudged) - expected).max(axis=1))
        kept = np.argsort(moved, kind="stable")[:COUNT]
        kept = kept[np.argsort(expected[kept].max(axis=1), kind="stable")]
        return cls(tuple(pictures[i] for i in kept), expected[kept].astype(np.float64))

    def check(
        self,
        predict_proba: Callable[[Pictures], Matrix],
        classes: Sequence[str],
        what: str = "This classifier",
        count: int = COUNT,
    ) -> None:
        """Raise BundleError with the figures where `predict_proba` gives other probabilities than are expected.

        It takes the first `count` pictures and gives (count, k), columns in the order of `classes`.
        """
        found, expected = np.asarray(predict_proba(self.pictures[:count])), self.probabilities[:count]
        if found.shape != expected.shape:
            shapes = [" x ".join(map(str, each.shape)) for each in (expected, found)]
            raise BundleError(
                f"{what} should give {shapes[0]} probabilities for its golden pictures and gives {shapes[1]}."
            )
        apart = np.where(np.isfinite(found), np.abs(found - expected), np.inf)
        i, k = divmod(int(apart.argmax()), apart.shape[1])
        if apart[i, k] > self.tolerance:
            raise BundleError(
                f"{what} gives other results here than when it was saved: expected {expected[i, k]:.6f} "
                f"for the class {classes[k]} of golden picture {i + 1}, got {found[i, k]:.6f} (a difference of "
                f"{self.tolerance:g} is allowed). Install the versions of OpenVINO and PyTorch that it was made with, "
                "or fit it again "
                "here."
            )


def write(golden: Golden, folder: Path) -> None:
    """Write pictures and probabilities to `folder`."""
    arrays: dict[str, NDArray[Any]] = {f"picture.{i:02}": each for i, each in enumerate(golden.pictures)}
    tensors.write({**arrays, "probabilities": golden.probabilities}, folder / FILE)


def read(folder: Path, classes: int) -> Golden:
    """What `folder` has, for so many classes. Raises ValueError with one clause where that is something else."""
    stored = tensors.header(folder / FILE)
    names = [f"picture.{i:02}" for i in range(COUNT)]
    if stored.keys() != {*names, "probabilities"}:
        raise ValueError(f"{FILE} does not hold {COUNT} pictures and their probabilities")
    for name in names:
        shape = stored[name].shape
        if (
            stored[name].dtype != "U8"
            or len(shape) != 3
            or shape[2] != 3
            or not all(1 <= n <= LARGEST for n in shape[:2])
        ):
            raise ValueError(f"the {name} of {FILE} is not a small picture")
    if stored["probabilities"].dtype != "F64" or stored["probabilities"].shape != (COUNT, classes):
        raise ValueError(f"the probabilities of {FILE} are not {COUNT} x {classes} numbers")
    arrays = tensors.arrays(folder / FILE)
    p = arrays["probabilities"]
    if p.min() < 0 or not np.allclose(p.sum(axis=1), 1, atol=1e-6):
        raise ValueError(f"the values in {FILE} are not probabilities")
    return Golden(tuple(arrays[name] for name in names), p)
