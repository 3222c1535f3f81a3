"""Measures architectures without weights, on torch's meta device: parameters, shapes, multiply-adds.

Any name is measured as it is asked for; the usual families were, for the catalog.


python -m headstart.backbones.measure > catalog.toml      the families below: makes the catalog
python -m headstart.backbones.measure timm:resnet18       any name, as a row
"""

from __future__ import annotations

import fnmatch
import json
import sys
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from headstart.backbones.backbone import Backbone, as_pytorch
from headstart.backbones.base import BaseBackbone
from headstart.backbones.catalog import Row, alias_of, catalog_rows
from headstart.backbones.facts import Layer
from headstart.backbones.from_onnx import OnnxBackbone
from headstart.backbones.names import ALIASES
from headstart.backbones.resolution import resolve
from headstart.backbones.sources import SOURCES, Architecture

if TYPE_CHECKING:
    from torch import nn

SEARCH_LIMIT = 20
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


@dataclass(frozen=True)
class Found:
    """What a search found: at most `SEARCH_LIMIT` rows of `total` names."""

    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True)
class Description:
    """One backbone in full: `layers` are pooled, last_conv and the blocks; `modules` every module that is a layer."""

    row: Row
    backbone: BaseBackbone
    layers: tuple[Layer, ...]
    modules: tuple[Layer, ...]


def search(pattern: str, limit: int = SEARCH_LIMIT) -> Found:
    """Names of timm and torchvision that match a glob (`resnet*`; a word without `*` may stand anywhere), with figures.

    Each row is measured as it is asked for (about a second), so at most `limit` are.
    """
    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    found = [
        f"{prefix}:{name}"
        for prefix, source in SOURCES.items()
        for name in source.names()
        if fnmatch.fnmatchcase(name, glob.lower()) or fnmatch.fnmatchcase(f"{prefix}:{name}", glob.lower())
    ]
    known = {row.name: row for row in catalog_rows()}
    return Found(tuple(known.get(name) or measure_row(name) for name in found[:limit]), len(found))


def describe(name: str, weights: str = "none") -> Description:
    """Layers and figures of a backbone. Shapes do not depend on the weights, so by default none are loaded.

    Raises as `resolve` does.
    """
    backbone = resolve(name, "imagenet" if name.lower().endswith(".onnx") else weights)
    if isinstance(backbone, OnnxBackbone):
        return Description(_onnx_row(backbone), backbone, backbone.layers(), backbone.layers())
    return describe_built(backbone)


def measure_row(name: str) -> Row:
    """The figures of an architecture, by any name that `resolve` takes but an ONNX file's."""
    return describe_built(as_pytorch(resolve(name, "none"))).row


def describe_built(backbone: Backbone) -> Description:
    """The figures and layers of a resolved backbone, whose weights are not loaded."""
    try:
        return _describe(backbone, "meta")
    except (NotImplementedError, RuntimeError):  # some compute widths or indices with tensors, which need content
        return _describe(backbone, "cpu")


def _describe(backbone: Backbone, device: str) -> Description:
    network = _hollow_network(backbone, device)
    hollow = replace(backbone, built=network)
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
    return Description(row, backbone, layers, hollow.modules())


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> int:
    """For one picture: half of the operations that torch.utils.flop_counter counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 3, *size, device=device))
    return int(counter.get_total_flops()) // 2


def _hollow_network(backbone: Backbone, device: str) -> nn.Module:
    import torch

    parsed = Architecture.of(backbone.architecture)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        network = parsed.source.build(parsed.name, backbone.weights.kwargs, backbone.weights.num_classes)
    return network.requires_grad_(False).eval()


def _onnx_row(backbone: OnnxBackbone) -> Row:
    pooled, conv = backbone.outputs.get("pooled"), backbone.outputs.get("last_conv")
    size = (backbone.preprocess.height, backbone.preprocess.width)
    return Row(
        backbone.architecture, None, size, pooled[0] if pooled else None, conv, None, None, backbone.weights.licence
    )


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
    rows = [measure_row(name).to_dict() for name in names or FAMILIES]
    out = ["# Made by `python -m headstart.backbones.measure`; do not edit by hand."]
    for row in rows:
        out += ["", "[[backbone]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
