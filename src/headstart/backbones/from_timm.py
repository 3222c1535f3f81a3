"""timm: https://github.com/huggingface/pytorch-image-models. `NAME` or `NAME.TAG` with a tag of pretrained weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.backbones.facts import Facts
from headstart.backbones.library import Source
from headstart.errors import UserError
from headstart.preprocess import Preprocess

if TYPE_CHECKING:
    import torch
    from torch import nn

FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
"""What timm's modules call their renaming of checkpoints."""


class TimmSource(Source):
    """See `Source`."""

    package = "timm"

    def names(self) -> list[str]:
        """See `Source.names`."""
        import timm

        return list(timm.list_models())

    def has(self, name: str) -> bool:
        """See `Source.has`."""
        import timm

        base, _, tag = name.partition(".")
        if not timm.is_model(base):
            return False
        return not tag or name in timm.list_pretrained(f"{base}.*")

    def tags(self, name: str) -> list[str]:
        """The tags of pretrained weights that an architecture has."""
        import timm

        base = name.partition(".")[0]
        return sorted(each.removeprefix(f"{base}.") for each in timm.list_pretrained(f"{base}.*"))

    def facts(self, name: str) -> Facts:
        """See `Source.facts`: timm's pretrained_cfg."""
        from timm.models import get_pretrained_cfg

        cfg = get_pretrained_cfg(name)
        if cfg is None:
            return Facts(Preprocess(224, 224), "unknown", notes=(f"timm states no preprocessing for {name}.",))
        _, height, width = cfg.input_size
        crop = "squash" if cfg.crop_mode == "squash" else ""
        notes = (f"timm evaluates {name} on squashed pictures; here the centre is cropped.",) if crop else ()
        preprocess = Preprocess(
            height,
            width,
            crop_pct=cfg.crop_pct,
            interpolation=cfg.interpolation if cfg.interpolation != "random" else "bilinear",
            mean=tuple(cfg.mean),
            std=tuple(cfg.std),
        )
        fixed = (height, width) if cfg.fixed_input_size else None
        return Facts(preprocess, cfg.license or "unknown", fixed, notes)

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """See `Source.build`."""
        classes = {} if num_classes is None else {"num_classes": num_classes}
        return _created(name, {**classes, **kwargs})

    def renamed(
        self, network: nn.Module, state: Mapping[str, torch.Tensor], made_for: tuple[int, int] | None = None
    ) -> Mapping[str, torch.Tensor]:
        """See `Source.renamed`: the filter that timm itself applies to the checkpoints of such networks."""
        if made_for is not None:
            network.pretrained_model_args = {"img_size": made_for}  # type: ignore[assignment]  # where timm looks
        module = sys.modules[type(network).__module__]
        filters = [found for name in FILTERS if (found := getattr(module, name, None)) is not None]
        for change in filters:
            try:
                return dict(change(dict(state), network))
            except Exception:  # made for certain files: any other may fail in any way, and is then left as it is
                continue
        return state

    def sized(self, size: tuple[int, int]) -> Mapping[str, Any]:
        """See `Source.sized`: what timm calls fixed in size takes its size when it is built."""
        return {"img_size": list(size)}

    def pretrained(self, name: str) -> nn.Module:
        """See `Source.pretrained`."""
        from timm.models import get_pretrained_cfg

        from headstart.backbones.hub import ADDRESS, downloading

        cfg = get_pretrained_cfg(name)
        if cfg is None or not cfg.has_weights:
            raise UserError(f"timm has no ImageNet weights for {name}; give weights=FILE or weights=none.")
        url = f"{ADDRESS}/{cfg.hf_hub_id}" if cfg.hf_hub_id else cfg.url
        with downloading(f"timm:{name}", url, lambda: cfg.license or ""):
            return _created(name, {}, pretrained=True)


def _created(name: str, kwargs: Mapping[str, Any], *, pretrained: bool = False) -> nn.Module:
    """A network whose positions are worked out when it is built, where timm can also do so for each picture.

    Cut between blocks, positions that depend on a picture's size would have to be carried along with its rows.
    """
    import timm

    network: nn.Module = timm.create_model(name, pretrained=pretrained, **kwargs)
    fixed = getattr(network, "pretrained_cfg", {}).get("fixed_input_size", False)
    if fixed and getattr(network, "dynamic_img_size", False) and "dynamic_img_size" not in kwargs:
        network = timm.create_model(name, pretrained=pretrained, dynamic_img_size=False, **kwargs)
    return network
