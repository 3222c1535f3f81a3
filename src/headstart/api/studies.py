"""Comparing ways to a classifier. See `headstart.api`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.api.checks import check_flags, known_parameters, listed, names
from headstart.errors import UserError
from headstart.paths import Place, absolute, expanded
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.study.execute import Study
    from headstart.study.recipe import StudyRecipe


@known_parameters
def compare(
    data: Place, *,
    arms: Sequence[str] | str = ("pixels", "scratch", "sprout"),
    sizes: Sequence[int | str] | int | str = (5, 10, 20, 50, 100),
    repeats: int = 10, trained_repeats: int | None = None, seed: int = 0,
    test: Place | None = None, limit_test: int | None = None, margin: float = 0.01,
    classes: Sequence[str] | str | None = None, limit: int | None = None, image_size: int | None = None,
    head: str = "logistic", head_options: Mapping[str, Any] | None = None, training: Mapping[str, Any] | None = None,
    augment: Place = "auto", device: str = "auto",
    follow_links: bool = False, image_column: str | None = None, label_column: str | None = None,
    split_column: str | None = None, group_column: str | None = None,
    out: Place | None = None, store: bool = True, command: str = "", cluster: str | None = None,
    why: bool = False, progress: Progress = silent,
) -> Study:  # fmt: skip
    """Fit several arms on the same few labelled pictures, and say with evidence whether transfer helped.

    `sizes` are labelled pictures per class, and `all`; arms that train a network may have fewer `trained_repeats`;
    `margin` is an accuracy difference that does not matter, as a share; `command` is what the report says it was made
    by; `cluster` is a Ray cluster whose tasks fit the cells; with `why` the transfer arm of the claim is fitted once
    more with one choice changed at a time (`experiments`). See `headstart compare --help` for the others. A study
    that `out` holds already goes on. Raises UserError and its kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     arms = ["pixels", "sprout"]
    ...     study = compare("digits", arms=arms, sizes=[2], repeats=2, limit=200, store=False, out=f"{folder}/study")
    >>> [arm["name"] for arm in study.verdicts["arms"]]
    ['pixels', 'sprout']
    """
    recipe = study_recipe(
        data, arms=arms, sizes=sizes, repeats=repeats, trained_repeats=trained_repeats, seed=seed, test=test,
        limit_test=limit_test, margin=margin, classes=classes, limit=limit, image_size=image_size, head=head,
        head_options=head_options, training=training, augment=augment, device=device, follow_links=follow_links,
        image_column=image_column, label_column=label_column, split_column=split_column, group_column=group_column,
    )  # fmt: skip
    return carry_out_study(recipe, out, progress, store=store, command=str(command or ""), cluster=cluster, why=why)


def study_recipe(
    data: Place, *,
    arms: Sequence[str] | str, sizes: Sequence[int | str] | int | str,
    repeats: int, trained_repeats: int | None = None, seed: int = 0,
    test: Place | None = None, limit_test: int | None = None, margin: float = 0.01,
    classes: Sequence[str] | str | None = None, limit: int | None = None, image_size: int | None = None,
    head: str = "logistic", head_options: Mapping[str, Any] | None = None, training: Mapping[str, Any] | None = None,
    augment: Place = "auto", device: str = "auto",
    follow_links: bool = False, image_column: str | None = None, label_column: str | None = None,
    split_column: str | None = None, group_column: str | None = None,
) -> StudyRecipe:  # fmt: skip
    """The recipe of a study as `compare` takes it. Raises UserError and its kinds, for what would do nothing too."""
    from headstart.api.idle import check_study
    from headstart.augment import for_recipe
    from headstart.study.recipe import StudyRecipe

    values = {
        "arms": listed("arms", arms),
        "sizes": _sizes(sizes),
        "repeats": repeats,
        "trained_repeats": trained_repeats,
        "seed": seed,
        "limit_test": limit_test,
        "margin": margin,
        "image_size": image_size,
        "data": {
            "source": absolute(data),
            "classes": names("classes", classes),
            "limit": limit,
            "test": None if test is None else absolute(test),
            "follow_links": follow_links,
            "image_column": image_column,
            "label_column": label_column,
            "split_column": split_column,
            "group_column": group_column,
        },
        "engine": {"device": device},
        "head": {"name": head, "options": dict(head_options or {})},
        "training": dict(training or {}),
        "augment": for_recipe(str(augment)),
    }
    recipe = StudyRecipe.from_dict(values, "")
    check_study(recipe)
    return recipe


def _sizes(given: Sequence[int | str] | int | str) -> list[int | str]:
    """`5,20,all` -> [5, 20, 'all']."""
    found = [given] if isinstance(given, int) else listed("sizes", given)
    if wrong := [size for size in found if not str(size).isdecimal() and size != "all"]:
        raise UserError(f"sizes={wrong[0]}: write numbers of labelled pictures per class, or `all`, as 5,20,all.")
    return ["all" if size == "all" else int(size) for size in found]


def carry_out_study(
    recipe: StudyRecipe,
    out: Place | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    command: str = "",
    cluster: str | None = None,
    why: bool = False,
) -> Study:
    """Carry out a study's recipe, and write the study folder with its report; with `why`, reasons are tested too."""
    from headstart.cluster.tasks import spread_on
    from headstart.report.study import write_study_report
    from headstart.study import why as reasons
    from headstart.study.execute import compare as execute

    check_flags(store=store, why=why)
    if why:
        reasons.check(recipe)
    with spread_on(cluster) as spread:
        found = execute(recipe, out, progress, store=store, command=command, spread=spread)
    if why:
        found = reasons.why(recipe, found, progress, store=store)
    write_study_report(found.folder)
    return found


def load_study(folder: Place) -> Study:
    """A finished study from its folder. Raises UserError where it holds none.

    >>> load_study("runs/first")
    Traceback (most recent call last):
    headstart.errors.UserError: runs/first is not a finished study: it holds no verdicts.json.
    """
    from headstart.study.execute import load

    return load(expanded(folder))
