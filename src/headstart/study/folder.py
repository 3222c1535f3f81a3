"""A study's folder while it grows: every cell is a file of its own, so a study that is stopped goes on where it was.

study.toml                     what was asked
pictures.json                  what was found when the pictures were read
cells/<arm>-<identity>/arm.json, <size>-<repeat>.json
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart import documents, outputs, records
from headstart.errors import UserError
from headstart.paths import expanded
from headstart.schema import verdicts
from headstart.schema.files import MAX_BYTES
from headstart.study.cells import Cell
from headstart.study.recipe import StudyRecipe

RECIPE, PICTURES = "study.toml", "pictures.json"


def open_folder(out: Path | str | None, recipe: StudyRecipe) -> Path:
    """The folder of a study: `out`, or by default one named after the data; results in it that fit are used again.

    Raises UserError when `out` holds something else, so that nothing is overwritten.
    """
    if out is None:
        return _default(recipe)
    out = outputs.claim(expanded(out), "study", RECIPE, beside=())
    outputs.check_outside(out, recipe.data.source, recipe.data.test)
    if (out / RECIPE).is_file() and not StudyRecipe.load(out / RECIPE).grows_into(recipe):
        raise UserError(
            f"out={out} holds a study of other pictures or with other settings, see {out / RECIPE}; only arms, "
            "sizes, repeats and the margin may change. Name another folder."
        )
    return out


def _default(recipe: StudyRecipe) -> Path:
    first = Path("studies") / (Path(recipe.data.source).stem or "study")
    outputs.check_outside(first, recipe.data.source, recipe.data.test)
    return outputs.unused(first, lambda folder: not _grows(folder, recipe))


def _grows(folder: Path, recipe: StudyRecipe) -> bool:
    """Whether the folder holds a study that goes on as this one."""
    try:
        return StudyRecipe.load(folder / RECIPE).grows_into(recipe)
    except UserError:
        return False


def seen(folder: Path, mark: str) -> dict[str, Any] | None:
    """What was noted when these very pictures were looked at; None when they were not."""
    found = _read(folder / PICTURES)
    return found if found is not None and found.get("mark") == mark else None


def claimed(folder: Path) -> list[str]:
    """The arms of the claim that the study in this folder was about before; none where there is no study."""
    try:
        return StudyRecipe.load(folder / RECIPE).primary or []
    except UserError:
        return []


def spent(folder: Path) -> float:
    """Seconds that the study in this folder took before."""
    try:
        return verdicts.read(folder).study.seconds or 0.0
    except UserError:
        return 0.0


@dataclass(frozen=True)
class ArmFolder:
    """Where an arm's results lie; `identity` is all that its answers depend on, so other settings never mix."""

    folder: Path

    @classmethod
    def of(cls, study: Path, name: str, identity: Mapping[str, Any]) -> ArmFolder:
        """The folder of an arm within a study's."""
        digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=6).hexdigest()
        plain = re.sub(r"[^A-Za-z0-9_.+-]+", "_", name)[:80]
        return cls(study / "cells" / f"{plain}-{digest}")

    def cell(self, size: str, repeat: int, mark: str) -> Cell | None:
        """A finished cell of the pictures that `mark` stands for; None where there is none that can be read."""
        found = _read(self.folder / f"{size}-{repeat}.json")
        try:
            cell = Cell.from_dict(found) if found is not None else None
        except (KeyError, TypeError):
            return None
        return cell if cell is not None and cell.pictures == mark else None

    def keep(self, cell: Cell) -> None:
        """Write a finished cell, whole or not at all."""
        outputs.make(self.folder)
        records.write_json(self.folder / f"{cell.size}-{cell.repeat}.json", cell.to_dict())

    def about(self) -> dict[str, Any] | None:
        """What was learnt about the arm itself when its features were there."""
        return _read(self.folder / "arm.json")

    def keep_about(self, values: Mapping[str, Any]) -> None:
        """Write it."""
        outputs.make(self.folder)
        records.write_json(self.folder / "arm.json", values)

    def training(self, size: str, repeat: int) -> Path:
        """Where a network's training keeps its state until the cell is done."""
        return self.folder / f"training-{size}-{repeat}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return documents.table(path, MAX_BYTES)
    except (OSError, ValueError):
        return None
