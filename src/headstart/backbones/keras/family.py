"""The architectures whose Keras weights are read, and what a table of layers is. Imports no library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.preprocess import Preprocess

Kind = Literal["conv", "conv bgr", "conv classes", "depthwise", "separable", "norm", "dense", "dense map", "dense cell"]
CLASSES: dict[Kind, str] = {
    "conv": "conv2d",
    "conv bgr": "conv2d",
    "conv classes": "conv2d",
    "depthwise": "depthwise_conv2d",
    "separable": "separable_conv2d",
    "norm": "batch_normalization",
    "dense": "dense",
    "dense map": "dense",
    "dense cell": "dense",
}
"""The Keras class of a kind, in snake case. `conv bgr` takes blue, green, red; `conv classes` is a classifier on a
map of 1 x 1; `dense map` takes a flattened map and is a convolution over all of it here, `dense cell` one of 1 x 1."""
SIZE = 224
CAFFE = Preprocess(SIZE, SIZE, mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), std=(1 / 255,) * 3)
"""`preprocess_input` in mode caffe: the means are subtracted from values 0..255. Blue, green, red: see `conv bgr`."""
TF = Preprocess(SIZE, SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
"""In mode tf: values -1..1."""
TORCH = Preprocess(SIZE, SIZE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""In mode torch."""


@dataclass(frozen=True)
class Entry:
    """The Keras layer `name` is the module `path` of the network.

    `name` ends in `#i` for the layers that Keras numbers itself: the i-th that was made. `others` are names it had
    in older files. A convolution's bias goes into the running mean of the norm `bias_into`, where that is given.
    """

    name: str
    kind: Kind
    path: str
    others: tuple[str, ...] = ()
    bias_into: str = ""


@dataclass(frozen=True)
class Family:
    """`body` and `top` in the order of the layers in Keras's model; a file has the top as a whole or not at all.

    `scaled` is False where batch normalisation has no gamma; `ordered` is False where the order in the model differs
    from that of the table, so that a file without names cannot be read.
    """

    name: str
    timm: str
    preprocess: Preprocess
    body: tuple[Entry, ...]
    top: tuple[Entry, ...]
    scaled: bool = True
    ordered: bool = True

    @property
    def architecture(self) -> str:
        """For example `keras:VGG16`."""
        return f"keras:{self.name}"


def predictions(path: str, *others: str) -> tuple[Entry, ...]:
    """The top that most have: one dense layer."""
    return (Entry("predictions", "dense", path, others),)
