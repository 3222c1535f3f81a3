"""`headstart run`: a recipe by name or from a file, with some of its values replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.arguments import Store
from headstart.cli.progress import progress_bar

if TYPE_CHECKING:
    from headstart.recipe import Document


def run(
    recipe: Annotated[str, typer.Argument(help="The name of a recipe (see `headstart recipes`), or a TOML file.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help=(
                "Change a value, such as `weights=FILE`: `backbone`, `weights`, `layer`, `grey`, `image_size`, "
                "`data`, `limit`, `epochs`, `unfreeze`, or any key written in full, such as `training.epochs=3`; "
                "repeatable."
            ),
        ),
    ] = None,
    store: Store = True,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training in --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="The output folder; by default one named after the data.")] = None,
) -> None:
    """Run a recipe, which describes a classifier, a study or a ranking.

    If there is a split.csv next to the recipe file, you get the same split and the same scores again.

    Examples:

    `headstart run digits-sprout`

    `headstart run mnist-7v8 --set backbone=squeezenet1_0 --set weights=squeezenet1_0.safetensors --set limit=2000`

    `headstart run runs/first/recipe.toml --out runs/again`
    """
    from headstart import api
    from headstart.cli import compare, fit, rank, study
    from headstart.cli.overrides import overridden
    from headstart.errors import UserError
    from headstart.ranking.recipe import RankingRecipe
    from headstart.recipe import Recipe
    from headstart.study.recipe import StudyRecipe

    asked = overridden(load(recipe), set_ or [])
    if resume and not isinstance(asked, Recipe):
        raise UserError(
            "--resume is for training: a study continues by itself with the same --out, and a ranking always starts "
            "again."
        )
    if isinstance(asked, StudyRecipe):
        with progress_bar() as progress:
            found = api.carry_out_study(asked, out, progress, store=store, command=compare.typed())
        study.tell(found)
    elif isinstance(asked, RankingRecipe):
        with progress_bar() as progress:
            ranking = api.carry_out_ranking(asked.request(), out, progress, store=store)
        rank.tell(ranking)
    elif isinstance(asked, Recipe):
        with progress_bar() as progress:
            finished = api.carry_out(asked, out, progress, store=store, resume=resume)
        fit.tell(finished)


def load(name: str) -> Document:
    """A recipe that comes along, or one from a file, with the split.csv beside it if there is one.

    Which kind it is its keys say: `arms` make a study, `backbones` a ranking. Raises UserError, UnknownName.
    """
    from headstart.cli.recipes import names, text
    from headstart.recipe import Recipe
    from headstart.run import with_split_beside

    path = Path(name)
    if name in names() or (path.suffix != ".toml" and len(path.parts) == 1 and not path.is_file()):
        content = text(name)
        return kind(content).from_toml(content, f"the recipe {name}")
    found = kind(_read(path)).load(path)
    return with_split_beside(found, path) if isinstance(found, Recipe) else found


def kind(content: str) -> type[Document]:
    """What a TOML text describes; what cannot be read is left for `from_toml` to refuse."""
    import tomllib

    from headstart.ranking.recipe import RankingRecipe
    from headstart.recipe import Recipe
    from headstart.study.recipe import StudyRecipe

    try:
        keys = tomllib.loads(content)
    except (ValueError, RecursionError):
        return Recipe
    return StudyRecipe if "arms" in keys else RankingRecipe if "backbones" in keys else Recipe


def _read(path: Path) -> str:
    """The text of a file; empty where it cannot be read, which `Document.load` says better."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
