"""A source model: a network trained from nothing on labelled pictures, written as weights that `--weights` takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from headstart import outputs
from headstart.division import trained_by
from headstart.errors import UserError
from headstart.paths import expanded
from headstart.progress import Progress, silent
from headstart.recipe import Recipe
from headstart.run import Run, execute
from headstart.shared import locked, naming

ENDING = ".safetensors"
LICENCE = "yours: trained from random weights"


@dataclass(frozen=True)
class Pretrained:
    """The weights file, with its sidecar beside it, and the run that trained it."""

    weights: Path
    run: Run


def pretrain(
    recipe: Recipe, out: Path, progress: Progress = silent, *, store: bool = True, resume: bool = False
) -> Pretrained:
    """Train the recipe's architecture from random weights and write it, without its classifier, to `out`.

    The run, with its scores and report, is the folder beside `out` that has its name and `-run`. Raises UserError when
    `out` has another ending than .safetensors or would replace what is no earlier pretraining's, and what
    `headstart.run.execute` raises.
    """
    out = expanded(out)
    if out.suffix != ENDING:
        raise UserError(
            f"out={out} must end in {ENDING}: the weights are written there, and their sidecar next to them."
        )
    outputs.check_file(out, (ENDING,))
    _check_earlier(out)
    recipe = recipe.model_copy(update={"method": "scratch"})
    run = execute(recipe, run_folder(out), progress, store=store, resume=resume)
    return Pretrained(write(run, out), run)


def _check_earlier(out: Path) -> None:
    """Raise UserError where files would be replaced that no earlier pretraining wrote, by the run beside them."""
    if not (run_folder(out) / "recipe.toml").is_file():
        for file in (out, out.with_suffix(".json")):
            if file.exists():
                raise UserError(
                    f"{file} exists and would be replaced, and no {run_folder(out).name} next to it says that it was "
                    "pretrained here; name another `out`."
                )


def run_folder(out: Path) -> Path:
    """Where the run of a source model lies."""
    return trained_by(out)


def write(run: Run, out: Path) -> Path:
    """The run's network without its classifier, which knows other classes than a target's, and its sidecar."""
    from headstart.backbones import as_pytorch
    from headstart.backbones.with_weights import headless

    source = run.classifier.source
    if source.backbone is None:
        raise UserError("Raw pixels have no weights to write; choose an architecture.")
    backbone = headless(as_pytorch(source.backbone), source.preprocess, LICENCE)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out), naming(out), TemporaryDirectory(dir=out.parent) as part:
        file = backbone.save(Path(part))
        file.with_suffix(".json").replace(out.with_suffix(".json"))
        file.replace(out)
    return out
