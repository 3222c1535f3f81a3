"""MobileNet (Howard et al. 2017) and MobileNetV2 (Sandler et al. 2018) as in Keras, with the width 1."""

from __future__ import annotations

from headstart.backbones.keras.family import TF, Entry, Family, Kind, predictions

DEPTHS_V1 = (1, 2, 2, 6, 2)
DEPTHS_V2 = (1, 2, 3, 4, 3, 3, 1)
Part = tuple[str, Kind, str]
EXPANDING: tuple[Part, ...] = (
    ("expand", "conv", "conv_pw"),
    ("depthwise", "depthwise", "conv_dw"),
    ("project", "conv", "conv_pwl"),
)
NOT_EXPANDING: tuple[Part, ...] = (("depthwise", "depthwise", "conv_dw"), ("project", "conv", "conv_pw"))
"""The first block of MobileNetV2."""


def _blocks(depths: tuple[int, ...]) -> list[str]:
    return [f"blocks.{stage}.{i}" for stage, depth in enumerate(depths) for i in range(depth)]


def _v1() -> list[Entry]:
    found = [Entry("conv1", "conv", "conv_stem"), Entry("conv1_bn", "norm", "bn1")]
    for number, block in enumerate(_blocks(DEPTHS_V1), 1):
        # `networks` puts the padding before the convolutions that halve the map: every first of a stage but one
        padded = block.endswith(".0") and number > 1
        found += [
            Entry(f"conv_dw_{number}", "depthwise", f"{block}.conv_dw{'.1' if padded else ''}"),
            Entry(f"conv_dw_{number}_bn", "norm", f"{block}.bn1"),
            Entry(f"conv_pw_{number}", "conv", f"{block}.conv_pw"),
            Entry(f"conv_pw_{number}_bn", "norm", f"{block}.bn2"),
        ]
    return found


def _v2() -> list[Entry]:
    found = [Entry("Conv1", "conv", "conv_stem"), Entry("bn_Conv1", "norm", "bn1", ("Conv1_bn",))]
    for number, block in enumerate(_blocks(DEPTHS_V2)):
        keras = f"block_{number}" if number else "expanded_conv"
        for i, (name, kind, conv) in enumerate(EXPANDING if number else NOT_EXPANDING, 1):
            found += [
                Entry(f"{keras}_{name}", kind, f"{block}.{conv}"),
                Entry(f"{keras}_{name}_BN", "norm", f"{block}.bn{i}"),
            ]
    return [*found, Entry("Conv_1", "conv", "conv_head"), Entry("Conv_1_bn", "norm", "bn2")]


MOBILENET = Family(
    "MobileNet", "mobilenetv1_100", TF, tuple(_v1()), (Entry("conv_preds", "conv classes", "classifier"),)
)
MOBILENETV2 = Family("MobileNetV2", "mobilenetv2_100", TF, tuple(_v2()), predictions("classifier", "Logits"))
