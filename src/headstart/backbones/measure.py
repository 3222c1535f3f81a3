"""Measures architectures without weights, on torch's meta device: parameters, shapes, multiply-adds.

python -m headstart.backbones.measure > catalog.toml      the families below: makes the catalog
python -m headstart.backbones.measure timm:resnet18       any name, as a row
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.catalog import Description, Row, alias_of
from headstart.backbones.names import ALIASES
from headstart.backbones.resolve import resolve
from headstart.backbones.sources import Architecture

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.facts import Layer

OTHERS = (
    "torchvision:squeezenet1_1",
    "timm:mobilenetv2_035",
    "timm:resnet18",
    "timm:efficientnet_b0",
    "timm:vit_tiny_patch16_224",
    "timm:vit_small_patch16_224",
    "timm:vit_base_patch16_224",
    "timm:swin_tiny_patch4_window7_224",
)
FAMILIES = tuple(dict.fromkeys(["embedded:sprout", "embedded:small_cnn", *ALIASES.values(), *OTHERS]))


def measure(name: str) -> Row:
    """The figures of an architecture, by any name that `resolve` takes."""
    return describe_built(resolve(name, "none")).row


def describe_built(backbone: Backbone) -> Description:
    """The figures and layers of a resolved backbone, whose weights are not loaded."""
    try:
        return _describe(backbone, "meta")
    except (NotImplementedError, RuntimeError):  # some compute widths or indices with tensors, which need content
        return _describe(backbone, "cpu")


def _describe(backbone: Backbone, device: str) -> Description:
    hollow = replace(backbone)
    hollow.__dict__["_network"] = network = _hollow_network(backbone, device)
    layers = hollow.layers()
    shapes = {layer.name: layer.shape for layer in layers}
    size = (backbone.preprocess.height, backbone.preprocess.width)
    row = Row(
        name=backbone.architecture,
        alias=alias_of(backbone.architecture),
        input_size=size,
        pooled=shapes["pooled"][0] if "pooled" in shapes else None,
        last_conv=shapes.get("last_conv"),
        parameters=sum(p.numel() for p in network.parameters()),
        multiply_adds=multiply_adds(network, size),
        licence=_licence(backbone),
        **({} if backbone.weights.kind == "file" else _published(backbone.architecture)),
    )
    return Description(row, backbone, layers, _modules(hollow))


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> int:
    """For one picture: half of the operations that torch.utils.flop_counter counts."""
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 3, *size, device=device))
    return int(counter.get_total_flops()) // 2


def _hollow_network(backbone: Backbone, device: str) -> nn.Module:
    parsed = Architecture.of(backbone.architecture)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        network = parsed.source.build(parsed.name, backbone.weights.kwargs, backbone.weights.num_classes)
    return network.requires_grad_(False).eval()


def _modules(backbone: Backbone) -> tuple[Layer, ...]:
    table = backbone._table
    return backbone.layers() if table is None else table.paths()


def _licence(backbone: Backbone) -> str:
    """The licence of the file, or of the library's default weights."""
    if backbone.weights.kind == "file" and backbone.weights.licence != "unknown":
        return backbone.weights.licence
    parsed = Architecture.of(backbone.architecture)
    return parsed.source.facts(parsed.name).licence


def _published(architecture: str) -> dict[str, Any]:
    """`top1` and `top1_size` of the library's default weights, where they are known."""
    source, _, name = architecture.partition(":")
    if source == "torchvision":
        return _of_torchvision(name)
    if source != "timm":
        return {}
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(name)
    found = _table().get(f"{name.partition('.')[0]}.{cfg.tag}") if cfg else None
    return dict(zip(("top1", "top1_size"), found, strict=True)) if found else {}


def _of_torchvision(name: str) -> dict[str, Any]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    return {"top1": weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], "top1_size": weights.transforms().crop_size[0]}


@cache
def _table() -> dict[str, tuple[float, int]]:
    text = files("headstart.backbones").joinpath("published.toml").read_text(encoding="utf-8")
    return {name: (float(top1), int(size)) for name, (top1, size) in tomllib.loads(text)["timm"].items()}


def main(names: list[str]) -> None:
    """Print rows as TOML."""
    rows = [measure(name).to_dict() for name in names or FAMILIES]
    out = ["# Made by `python -m headstart.backbones.measure`; do not edit by hand."]
    for row in rows:
        out += ["", "[[backbone]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
