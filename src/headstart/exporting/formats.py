"""What a format of export is: how a graph is put together, written, and run by the format's own runtime."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.engines import Picture
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.classifier import Classifier
    from headstart.preprocess import Preprocess

Run = Callable[[Picture], NDArray[Any]]
"""(h, w, 3) uint8 -> (k,) probabilities, with the strangeness behind them where the graph gives it."""


@dataclass(frozen=True)
class Format:
    """`trunk` gives the network up to the features, None where the pixels are the features; `whole` the graph with it.

    `write` puts a graph into a folder; `run` opens it there by the format's own runtime; `fed` is what the network by
    itself is given for grey levels (1, c, h, w). A probability may differ by `tolerance`. `needs` are packages beside
    those that Headstart always has.
    """

    name: str
    trunk: Callable[[Classifier], Any | None]
    whole: Callable[[Classifier, Any | None], Any]
    write: Callable[[Any, Path], None]
    run: Callable[[Path], Run]
    fed: Callable[[Any, NDArray[np.uint8], Preprocess], Any]
    tolerance: float
    needs: tuple[str, ...]

    def check(self, precision: str) -> None:
        """Raise UserError where a package lacks."""
        for package in (*self.needs, *(("nncf",) if precision == "int8" else ())):
            if importlib.util.find_spec(package) is None:
                raise UserError(f"Exporting needs the package {package}: pip install 'headstart[export]'.")


class Formats(Mapping[str, Format]):
    """Name -> format; its module is imported when it is looked up."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Format:
        if name not in self._names:
            raise KeyError(name)
        found: Format = importlib.import_module(f"headstart.exporting.{name}").FORMAT
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


EXPORTS: Mapping[str, Format] = Formats("onnx", "openvino")
