"""Model pages and folders like them: `hf-hub:ORG/NAME`, `local-dir:FOLDER`. A `config.json` says what the weights are.

timm writes such folders. Of the config only what a network and its pictures need is read, checked as a sidecar is;
weights are read as safetensors, or as PyTorch's files of weights alone. No code in them is run.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from headstart import documents
from headstart.backbones import arguments
from headstart.backbones.names import HUB, LOCAL
from headstart.errors import Offline, UserError, WeightsError
from headstart.preprocess import Preprocess

CONFIG, CARD = "config.json", "README.md"
FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
"""Weights by the names that timm gives them, the safe kind first."""
MAX_BYTES = 4 << 20
_Side = Annotated[int, Field(ge=1, le=4096)]
_Three = Annotated[tuple[float, float, float], Field(strict=False)]


@dataclass(frozen=True)
class Page:
    """What a page says: `architecture` is `timm:NAME`, `fixed_size` the only (height, width) that it is built for."""

    architecture: str
    preprocess: Preprocess
    licence: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    fixed_size: tuple[int, int] | None = None


def to_dict(page: Page) -> dict[str, Any]:
    """A page as JSON; `of` gives it back."""
    return {**asdict(page), "preprocess": page.preprocess.to_dict()}


def of(values: dict[str, Any]) -> Page:
    """A page from `to_dict`."""
    size = values["fixed_size"]
    fixed = (size[0], size[1]) if size else None
    return Page(**{**values, "preprocess": Preprocess.from_dict(values["preprocess"]), "fixed_size": fixed})


class _Pretrained(documents.Strict):
    model_config = ConfigDict(extra="ignore")

    input_size: Annotated[tuple[_Side, _Side, _Side], Field(strict=False)] = (3, 224, 224)
    fixed_input_size: bool = False
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "random"] = "bicubic"
    crop_pct: float = 0.875
    mean: _Three = (0.485, 0.456, 0.406)
    std: _Three = (0.229, 0.224, 0.225)
    license: Annotated[str, Field(max_length=200)] | None = None


class _Config(documents.Strict):
    model_config = ConfigDict(extra="ignore")

    architecture: Annotated[str, Field(max_length=200, pattern=r"^[a-zA-Z0-9_]+$")]
    num_classes: Annotated[int, Field(ge=0, le=arguments.MAX_CLASSES)] | None = None
    pretrained_cfg: _Pretrained | None = None
    args: Annotated[dict[str, Any] | None, Field(alias="model_args")] = None


def read(name: str) -> Page:
    """What the page or folder `name` says. Raises UserError, WeightsError, Offline."""
    file, card = _file(name, CONFIG), None
    if file is None:
        raise WeightsError(f"{name} has no {CONFIG} to say which network it is; timm writes one.")
    with contextlib.suppress(Offline):
        card = _file(name, CARD)
    try:
        return _parse(documents.read(file, MAX_BYTES), _licence(card))
    except (ValueError, UserError, OSError) as error:
        raise WeightsError(
            f"The {CONFIG} of {name} does not describe a usable timm network: {str(error).rstrip('.')}."
        ) from error


def weights(name: str) -> Path:
    """The weights of the page or folder, downloaded once. Raises WeightsError, Offline."""
    for each in FILES:
        if (found := _file(name, each)) is not None:
            return found
    others = sorted(Path(name.removeprefix(LOCAL)).glob("*.safetensors")) if name.startswith(LOCAL) else []
    if len(others) == 1:
        return others[0]
    raise WeightsError(f"{name} holds no usable weights: expected one of {', '.join(FILES)}.")


def _parse(values: Any, licence: str) -> Page:
    if isinstance(values, dict) and "architecture" not in values:
        raise ValueError(
            "it names no `architecture`; pages of other libraries cannot be used, but timm's copies of them can"
        )
    if isinstance(values, dict) and "pretrained_cfg" not in values:  # as timm wrote it before 2022: all in one
        values = {**values, "pretrained_cfg": dict(values)}
    found = documents.checked(_Config, values)
    cfg, kwargs = found.pretrained_cfg or _Pretrained(), dict(found.args or {})
    kwargs.pop("num_classes", None)
    channels, height, width = cfg.input_size
    if kwargs.pop("in_chans", channels) != 3 or channels != 3:
        raise ValueError("one channel is not supported, only three")
    architecture = f"timm:{found.architecture}"
    arguments.check(architecture, kwargs)
    interpolation = "bilinear" if cfg.interpolation == "random" else cfg.interpolation
    preprocess = Preprocess(
        height,
        width,
        cfg.crop_pct,
        interpolation,
        tuple(cfg.mean),
        tuple(cfg.std),
    )
    fixed = (height, width) if cfg.fixed_input_size else None
    return Page(architecture, preprocess, cfg.license or licence, kwargs, found.num_classes, fixed)


def _licence(card: Path | None) -> str:
    """The licence in the head of a model card."""
    text = card.read_text(encoding="utf-8", errors="replace")[:20_000] if card else ""
    head = text.split("---")[1] if text.startswith("---") else ""
    lines = dict(re.findall(r"^(license|license_name):[ \t]*([\w.+-]{1,80})[ \t]*$", head, re.MULTILINE))
    return lines.get("license_name") or lines.get("license") or "unknown"


def _file(name: str, file: str) -> Path | None:
    """A file of a page, downloaded, or of a folder; None where it has none."""
    if name.startswith(LOCAL):
        folder = Path(name.removeprefix(LOCAL))
        if not folder.is_dir():
            raise UserError(f"{name}: there is no such folder.")
        return folder / file if (folder / file).is_file() else None
    from headstart.backbones.hub import download

    return download(name.removeprefix(HUB), file)
