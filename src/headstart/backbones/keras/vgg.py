"""VGG (Simonyan and Zisserman 2015) as in Keras: five blocks of 3 x 3 convolutions, and three dense layers."""

from __future__ import annotations

from headstart.backbones.keras.family import CAFFE, Entry, Family, Kind


def _family(name: str, depths: tuple[int, ...]) -> Family:
    body: list[Entry] = []
    index = 0
    for block, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            kind: Kind = "conv" if body else "conv bgr"
            body.append(Entry(f"block{block}_conv{i}", kind, f"features.{index}"))
            index += 2  # behind it its ReLU
        index += 1  # the block's pooling
    top = (
        Entry("fc1", "dense map", "pre_logits.fc1"),
        Entry("fc2", "dense cell", "pre_logits.fc2"),
        Entry("predictions", "dense", "head.fc"),
    )
    return Family(name, name.lower(), CAFFE, tuple(body), top)


VGG16 = _family("VGG16", (2, 2, 3, 3, 3))
VGG19 = _family("VGG19", (2, 2, 4, 4, 4))
