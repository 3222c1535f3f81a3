"""timm's architectures, altered until they compute what Keras's of the same name compute. Imports torch and timm.

Decision 0019 has the reasons. The epsilon of every batch normalisation is Keras's, in all families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers.pool2d_same import MaxPool2dSame
from torch import Tensor, nn

from headstart.backbones.keras.family import Family

EPSILON = {"ResNet50": 1.001e-5, "DenseNet121": 1.001e-5}
"""Of batch normalisation, where it is not Keras's default."""
DEFAULT_EPSILON = 1e-3


class RealCells(nn.Module):
    """3 x 3 means over a map with a border of zeros -> the means over the cells that are in the map.

    Keras's `AveragePooling2D` with padding `same` counts these alone. (b, c, h, w) -> (b, c, h, w).
    """

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        shares = F.avg_pool2d(torch.ones_like(x[:1, :1]), kernel_size=3, stride=1, padding=1)
        return x / shares


def build(family: Family, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
    """The network of a family with random weights; `num_classes` 0 is without the top, None 1,000."""
    classes = {} if num_classes is None else {"num_classes": num_classes}
    same = {"pad_type": "same"} if family.name.startswith("MobileNet") else {}
    network: nn.Module = timm.create_model(family.timm, pretrained=False, **classes, **same, **kwargs)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPSILON.get(family.name, DEFAULT_EPSILON)
    alter = ALTERED.get(family.name)
    if alter:
        alter(network)
    return network


def _vgg(network: Any) -> None:
    """Without a top there are no dense layers, and the last map is averaged (Keras: `pooling="avg"`)."""
    if network.num_classes == 0:
        network.pre_logits = nn.Identity()


def _resnet(network: Any) -> None:
    """The stride is in the first convolution of a block, 1 x 1, not in the second."""
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def _mobilenet(network: Any) -> None:
    """Before a depthwise convolution that halves, zeros go right and below, whether the size is even or odd."""
    for stage in network.blocks:
        old = stage[0].conv_dw
        if old.stride == (2, 2):
            new = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=2, groups=old.groups, bias=False)
            new.load_state_dict(old.state_dict())
            stage[0].conv_dw = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), new)


def _inception(network: Any) -> None:
    """Behind a mean with a border of zeros, the border is taken out again."""
    for name, block in network.named_children():
        if name.startswith("Mixed_") and hasattr(block, "branch_pool"):
            block.branch_pool = nn.Sequential(RealCells(), block.branch_pool)


def _xception(network: Any) -> None:
    """The maxima of a map of even size begin at its edge (padding `same`)."""
    for name, block in network.named_children():
        if name.startswith("block") and isinstance(block.rep[-1], nn.MaxPool2d):
            block.rep[-1] = MaxPool2dSame(3, 2)


ALTERED: dict[str, Callable[[Any], None]] = {
    "VGG16": _vgg,
    "VGG19": _vgg,
    "ResNet50": _resnet,
    "MobileNet": _mobilenet,
    "InceptionV3": _inception,
    "Xception": _xception,
}
