"""Xception (Chollet 2017) as in Keras, whose four shortcuts have layers that Keras numbers itself."""

from __future__ import annotations

from headstart.backbones.keras.family import TF, Entry, Family, predictions

STRIDED = (2, 3, 4, 13)
"""The blocks with a convolution on their shortcut."""


def _block(number: int) -> list[Entry]:
    """Keras's blocks 2 to 13 are timm's 1 to 12. The shortcut's layers come behind all but the last norm's pooling."""
    timm, strided = f"block{number - 1}", number in STRIDED
    first = 0 if number == 2 else 1  # the others begin with a ReLU
    found = []
    for i in range(2 if strided else 3):
        name, at = f"block{number}_sepconv{i + 1}", first + 3 * i
        found += [
            Entry(name, "separable", f"{timm}.rep.{at}"),
            Entry(f"{name}_bn", "norm", f"{timm}.rep.{at + 1}"),
        ]
    if strided:
        index = STRIDED.index(number)
        found += [
            Entry(f"conv2d#{index}", "conv", f"{timm}.skip"),
            Entry(f"batch_normalization#{index}", "norm", f"{timm}.skipbn"),
        ]
    return found


def _body() -> list[Entry]:
    found = []
    for i in (1, 2):
        found += [Entry(f"block1_conv{i}", "conv", f"conv{i}"), Entry(f"block1_conv{i}_bn", "norm", f"bn{i}")]
    found += [entry for number in range(2, 14) for entry in _block(number)]
    for i in (1, 2):
        name, timm = f"block14_sepconv{i}", i + 2
        found += [Entry(name, "separable", f"conv{timm}"), Entry(f"{name}_bn", "norm", f"bn{timm}")]
    return found


XCEPTION = Family("Xception", "legacy_xception", TF.resized(299), tuple(_body()), predictions("fc"))
