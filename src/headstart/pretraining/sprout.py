"""`sprout` from nothing: draw the figures, train on pictures made of them, write the weights that the package ships.

Every batch is a function of (seed, epoch, step) and of the fonts of the machine, so a killed training goes on exactly.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import outputs, records
from headstart.preprocess import Preprocess
from headstart.shared import replacing
from headstart.training.plan import Plan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headstart.drawn.bank import Bank
    from headstart.drawn.sheet import Sheet
    from headstart.training.batches import Batch
    from headstart.training.loop import Row

PREPROCESS = Preprocess(192, 192, crop_pct=0.875, mean=(0.5,) * 3, std=(0.25,) * 3, small=(48, 32))
LICENCE = "Apache-2.0"
WEIGHTS, LOG, CHECKPOINTS = "sprout.safetensors", "training-log.csv", "checkpoint"
Report = Callable[[str], None]


@dataclass(frozen=True)
class SproutRecipe:
    """The numbers of `sprout.toml`. `shares` are of the figures; `counts` = (classes, figures of each).

    `projector`: units of a layer between features and classes, which is thrown away after training.
    """

    edition: int
    projector: int
    size: int
    steps: int
    shares: dict[str, float]
    counts: dict[str, tuple[int, int]]
    textures: int
    textures_share: float
    plan: Plan

    @classmethod
    def shipped(cls) -> SproutRecipe:
        """The recipe of the weights in the package."""
        text = files("headstart.pretraining").joinpath("sprout.toml").read_text(encoding="utf-8")
        values = tomllib.loads(text)
        figures, plan = values["figures"], dict(values["plan"])
        return cls(
            edition=values["edition"],
            projector=values["projector"],
            size=values["size"],
            steps=plan.pop("steps"),
            shares={name: family["share"] for name, family in figures.items()},
            counts={n: (f["classes"], f["figures"]) for n, f in figures.items() if "classes" in f},
            textures=values["textures"]["classes"],
            textures_share=values["textures"]["share"],
            plan=Plan(**plan),
        )


class DrawnBatches:
    """Batches of drawn pictures (see `training.batches.Batches`): (b, 3, s, s) float32 normalised, (b,) int64.

    They are drawn on the device of the training: another device draws others of the same kind.
    """

    def __init__(self, bank: Bank, recipe: SproutRecipe) -> None:
        import torch

        from headstart.drawn import textures

        device = recipe.plan.device
        self.bank, self.recipe = bank.to(device), recipe
        numbers = textures.recipes(recipe.textures, torch.Generator().manual_seed(recipe.plan.seed))
        self._textures = numbers.to(device)

    @property
    def classes(self) -> int:
        """Those of the figures, then the textures."""
        return self.bank.classes + self.recipe.textures

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.recipe.steps

    def pictures(self, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) float32 in 0..1 and (b,) int64: a pure function of the seed, epoch and step."""
        import torch

        from headstart.drawn import scene
        from headstart.training.steps import seed_of

        recipe, device = self.recipe, self.recipe.plan.device
        generator = torch.Generator(device).manual_seed(seed_of(recipe.plan.seed, epoch, step))
        textured = round(recipe.textures_share * recipe.plan.batch_size)
        with torch.device(device):
            fields, labels = self.bank.draw(recipe.plan.batch_size - textured, generator)
            drawn = scene.coloured(scene.figure_masks(fields, recipe.size, generator), generator)
            which = torch.randint(recipe.textures, (textured,), generator=generator)
            woven = scene.textured(self._textures[which], recipe.size, generator)
            pictures = scene.camera(torch.cat([drawn, woven]), generator)
        return pictures, torch.cat([labels, which + self.bank.classes])

    def batch(self, epoch: int, step: int) -> Batch:
        """See `Batches.batch`."""
        import torch

        from headstart.training.batches import Batch

        pictures, labels = self.pictures(epoch, step)
        normalised = (pictures - PREPROCESS.mean[0]) / PREPROCESS.std[0]
        return Batch((normalised.contiguous(memory_format=torch.channels_last),), labels)


def pretrain_sprout(out: Path, recipe: SproutRecipe, report: Report = print) -> Path:
    """Train `sprout` and write its weights, sidecar and training log into `out`; the path of the weights.

    A training that was interrupted goes on from its checkpoint in `out`. Raises UserError when there are too few fonts,
    or when the checkpoint is of another training.
    """
    outputs.check_own(out)
    return train_sprout(out, recipe, draw_bank(recipe, report), report)


def train_sprout(out: Path, recipe: SproutRecipe, bank: Bank, report: Report) -> Path:
    """See `pretrain_sprout`, whose figures are drawn already."""
    import torch

    from headstart.training.checkpoint import Keeper
    from headstart.training.loop import Task, train

    batches = DrawnBatches(bank, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.plan.seed)
        network = _learner(recipe, batches.classes).to(memory_format=torch.channels_last)
    keeper = Keeper(out / CHECKPOINTS, _identity(recipe, bank))
    trained = train(Task(network, batches, recipe.plan), keeper, on_epoch=lambda row: report(_line(row, recipe)))
    out.mkdir(parents=True, exist_ok=True)
    _write_log(trained.history, out / LOG)
    file = write_weights(network[0].state_dict(), recipe.edition, out)
    keeper.clear()
    return file


def _learner(recipe: SproutRecipe, classes: int) -> nn.Sequential:
    """The network, the projector (Wang et al. 2022: features before it transfer better), and the classifier."""
    from torch import nn

    from headstart.backbones.sprout import EDITIONS, Sprout

    features = EDITIONS[recipe.edition].features
    projector = nn.Sequential(
        nn.Linear(features, recipe.projector, bias=False), nn.BatchNorm1d(recipe.projector), nn.ReLU()
    )
    return nn.Sequential(Sprout(edition=recipe.edition), projector, nn.Linear(recipe.projector, classes))


def draw_bank(recipe: SproutRecipe, report: Report) -> Bank:
    """All figures of the recipe, drawn once; a minute or two."""
    from headstart.drawn.bank import Bank

    sheets = _sheets(recipe, report)
    return Bank(sheets, {name: recipe.shares[name] for name in sheets})


def _sheets(recipe: SproutRecipe, report: Report) -> dict[str, Sheet]:
    from headstart.drawn import fonts, fractals, glyphs, silhouettes, strokes

    files = fonts.usable()
    report(f"{len(files)} fonts; drawing the figures.")
    seed = recipe.plan.seed
    invented = {
        "strokes": strokes.draw_strokes,
        "silhouettes": silhouettes.draw_silhouettes,
        "fractals": fractals.draw_fractals,
    }
    sheets = {"glyphs": glyphs.draw_glyphs(files)}
    sheets |= {name: draw(*recipe.counts[name], seed) for name, draw in invented.items() if name in recipe.counts}
    for name, sheet in sheets.items():
        report(f"{name}: {len(sheet.fields):,} figures of {len(sheet.classes):,} classes")
    return sheets


def write_weights(state: dict[str, torch.Tensor], edition: int, folder: Path) -> Path:
    """The network without a classifier, in half precision, with its sidecar."""
    from headstart import tensors
    from headstart.backbones import sidecar

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / WEIGHTS
    kept = {k: v for k, v in state.items() if v.is_floating_point()}
    with replacing(file) as part:
        tensors.write({k: v.half().numpy() for k, v in kept.items()}, part)
    found = sidecar.Sidecar(
        "embedded:sprout", PREPROCESS, tensors.sha256(file), {"edition": edition}, num_classes=0, licence=LICENCE
    )
    sidecar.write(found, file)
    return file


def _identity(recipe: SproutRecipe, bank: Bank) -> str:
    """What is trained: the recipe and the figures."""
    digest = hashlib.blake2b(json.dumps(asdict(recipe), sort_keys=True).encode(), digest_size=16)
    for part in bank.parts:
        digest.update(part.fields.numpy().tobytes())
    return f"sprout {digest.hexdigest()}"


def _line(row: Row, recipe: SproutRecipe) -> str:
    if "train_loss" not in row:
        return "training begins"
    return (
        f"epoch {row['epoch']:.0f} of {recipe.plan.epochs}: loss {row['train_loss']:.3f}, "
        f"accuracy {row['train_accuracy']:.3f}, {row['images_per_s']:.0f} pictures/s"
    )


def _write_log(history: list[dict[str, float]], path: Path) -> None:
    columns = ("epoch", "learning_rate", "train_loss", "train_accuracy", "images_per_s")
    rows: list[tuple[Any, ...]] = [tuple(f"{row[c]:.6g}" for c in columns) for row in history if "train_loss" in row]
    records.write_csv(path, columns, rows)


def with_settings(recipe: SproutRecipe, seed: int, epochs: int | None, device: str) -> SproutRecipe:
    """The recipe with another seed, another number of epochs where one is given, and for a device.

    A GPU computes in mixed precision.
    """
    precision = "mixed" if device == "cuda" else "float32"
    plan = replace(recipe.plan, seed=seed, epochs=epochs or recipe.plan.epochs, device=device, precision=precision)
    return replace(recipe, plan=plan)
