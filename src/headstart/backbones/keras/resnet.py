"""ResNet-50 (He et al. 2016), version 1, as in Keras: every convolution has a bias, and a norm behind it."""

from __future__ import annotations

from headstart.backbones.keras.family import CAFFE, Entry, Family, Kind, predictions

DEPTHS = (3, 4, 6, 3)
BRANCHES = {0: "branch1", 1: "branch2a", 2: "branch2b", 3: "branch2c"}
"""What the first files, of Keras 1 and 2, call the convolutions of a block: `res2a_branch2a`."""


def _pair(names: tuple[str, str], older: tuple[str, str], conv: str, norm: str, kind: Kind = "conv") -> list[Entry]:
    return [
        Entry(names[0], kind, conv, (older[0],), bias_into=norm),
        Entry(names[1], "norm", norm, (older[1],)),
    ]


def _block(stage: int, i: int) -> list[Entry]:
    """A bottleneck; Keras's model has the shortcut's layers before those of the third convolution."""
    found = []
    for n in (1, 2, 0, 3) if i == 0 else (1, 2, 3):
        name, older = f"conv{stage + 1}_block{i + 1}_{n}", f"{stage + 1}{'abcdef'[i]}_{BRANCHES[n]}"
        conv, norm = (f"conv{n}", f"bn{n}") if n else ("downsample.0", "downsample.1")
        at = f"layer{stage}.{i}"
        found += _pair((f"{name}_conv", f"{name}_bn"), (f"res{older}", f"bn{older}"), f"{at}.{conv}", f"{at}.{norm}")
    return found


STEM = _pair(("conv1_conv", "conv1_bn"), ("conv1", "bn_conv1"), "conv1", "bn1", "conv bgr")
BLOCKS = [entry for stage, depth in enumerate(DEPTHS, 1) for i in range(depth) for entry in _block(stage, i)]
RESNET50 = Family("ResNet50", "resnet50", CAFFE, (*STEM, *BLOCKS), predictions("fc", "probs", "fc1000"))
