"""What a sidecar may tell an architecture beside its number of classes: a short list, by name and by value.

Libraries take many more, some of which name files to open or code to call, and sidecars come from strangers. What is
not listed is refused before any library is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from headstart import documents
from headstart.errors import UnknownName, UserError

MAX_CLASSES = 100_000
POOLS = ("avg", "max", "avgmax", "catavgmax", "token", "map", "")


class Argument(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _among(*values: Any) -> Argument:
    words = ", ".join(map(repr, values))
    return Argument(f"one of {words}", lambda v: any(type(v) is type(each) and v == each for each in values))


def _side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 4096


TRUTH = _among(True, False)
SIZE = Argument(
    "one whole number from 1 to 4096, or two",
    lambda v: _side(v) or (isinstance(v, list | tuple) and len(v) == 2 and all(map(_side, v))),
)
EPSILON = Argument("a number from 1e-12 to 1", lambda v: isinstance(v, float) and 1e-12 <= v <= 1)

ARGUMENTS: dict[str, dict[str, Argument]] = {
    "timm": {
        "pad_type": _among("", "same"),
        "img_size": SIZE,
        "in_chans": _among(1, 3),
        "global_pool": _among(*POOLS),
        "bn_eps": EPSILON,
        "output_stride": _among(8, 16, 32),
        "dynamic_img_size": TRUTH,
        "class_token": TRUTH,
    },
    "torchvision": {
        "image_size": Argument("a whole number from 1 to 4096", _side),
        "aux_logits": TRUTH,
        "transform_input": TRUTH,
        "init_weights": TRUTH,
    },
    "embedded": {"edition": _among(1, 2)},
    "keras": {},
    "onnx": {},
}
"""By library. A new one is a line here once it is known to open nothing and to call nothing."""


def check(architecture: str, kwargs: Mapping[str, Any]) -> None:
    """Raise UserError unless every argument is listed for the library of `architecture`, with a value it may have."""
    library = architecture.partition(":")[0]
    if kwargs and library not in ARGUMENTS:
        raise UnknownName("source of backbones", library, ARGUMENTS)
    known = ARGUMENTS.get(library, {})
    for name, value in kwargs.items():
        if name == "num_classes":
            raise UserError("num_classes is a key of its own, not one of the kwargs.")
        if name not in known:
            told = f"The argument {documents.shown(name)} is not among those that a file may give a network"
            raise UserError(f"{told} of {library}: {', '.join(known) or 'there are none'}.")
        if not known[name].holds(value):
            raise UserError(f"The argument {name} is {documents.shown(value)}; it must be {known[name].words}.")
