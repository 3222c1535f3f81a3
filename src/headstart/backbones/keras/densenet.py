"""DenseNet-121 (Huang et al. 2017) as in Keras."""

from __future__ import annotations

from headstart.backbones.keras.family import TORCH, Entry, Family, predictions

DEPTHS = (6, 12, 24, 16)


def _body() -> list[Entry]:
    found = [Entry("conv1_conv", "conv", "features.conv0"), Entry("conv1_bn", "norm", "features.norm0")]
    for block, depth in enumerate(DEPTHS, 1):
        for i in range(1, depth + 1):
            keras, timm = f"conv{block + 1}_block{i}", f"features.denseblock{block}.denselayer{i}"
            found += [
                Entry(f"{keras}_0_bn", "norm", f"{timm}.norm1"),
                Entry(f"{keras}_1_conv", "conv", f"{timm}.conv1"),
                Entry(f"{keras}_1_bn", "norm", f"{timm}.norm2"),
                Entry(f"{keras}_2_conv", "conv", f"{timm}.conv2"),
            ]
        if block < len(DEPTHS):
            found += [
                Entry(f"pool{block + 1}_bn", "norm", f"features.transition{block}.norm"),
                Entry(f"pool{block + 1}_conv", "conv", f"features.transition{block}.conv"),
            ]
    return [*found, Entry("bn", "norm", "features.norm5")]


DENSENET121 = Family("DenseNet121", "densenet121", TORCH, tuple(_body()), predictions("classifier", "fc1000"))
