"""Fitting a classifier, and loading one that was fitted. See `headstart.api`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.api.checks import check_flags, known_parameters, names
from headstart.errors import UserError
from headstart.features.extract import Settings
from headstart.paths import Place, absolute, absolute_network, expanded, features_dir
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.recipe import Recipe
    from headstart.run import Run


@known_parameters
def fit(
    data: Place, *,
    backbone: Place | None = None, weights: Place = "pretrained", layer: str = "auto",
    method: str = "features", training: Mapping[str, Any] | None = None,
    head: str = "logistic", head_options: Mapping[str, Any] | None = None, class_weight: str = "none",
    image_size: int | None = None, grey: str | None = None,
    augment: Place = "auto", views: int | None = None, tta: int = 1,
    classes: Sequence[str] | str | None = None, limit: int | None = None, train_per_class: int | None = None,
    test: Place | None = None, evaluate: str = "auto", split: Place | None = None,
    seed: int = 0, engine: str = "auto", device: str = "auto", precision: str = "float32",
    max_pixels: int = 50_000_000, decode: str = "exact", strict: bool = False, allow_empty_classes: bool = False,
    follow_links: bool = False, image_column: str | None = None, label_column: str | None = None,
    split_column: str | None = None, group_column: str | None = None,
    out: Place | None = None, store: bool = True, resume: bool = False, target: float | None = None,
    workers: int | None = None, cluster: str | None = None, progress: Progress = silent,
) -> Run:  # fmt: skip
    """Turn labelled pictures into a classifier, and write a run folder with scores, bundle and report.

    The choices are those of a `Recipe`, and of `headstart fit --help`; `training` are settings of a network that is
    trained (`method` finetune or scratch), such as {"epochs": 5, "unfreeze": 2}; with `workers` so many processes of a
    Ray cluster train it. With a `target`, an accuracy such as 0.95, it says how many labelled pictures that takes.
    `data` may be a folder of features that a cluster computed. Raises UserError and its kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="knn", limit=100, store=False, out=f"{folder}/run")
    ...     (run.folder / "report.html").is_file(), run.scores["after"]["cv"]["n"]
    (True, 100)
    """
    from headstart.api.idle import check_fit
    from headstart.augment import for_recipe
    from headstart.recipe import Recipe

    check_flags(strict=strict, allow_empty_classes=allow_empty_classes, follow_links=follow_links)
    values = {
        "method": method, "seed": seed,
        "data": {
            "source": absolute(data), "classes": names("classes", classes),
            "limit": limit, "train_per_class": train_per_class,
            "test": None if test is None else absolute(test), "evaluate": evaluate,
            "split": None if split is None else absolute(split), "max_pixels": max_pixels, "decode": decode,
            "strict": strict, "allow_empty_classes": allow_empty_classes, "follow_links": follow_links,
            "image_column": image_column, "label_column": label_column,
            "split_column": split_column, "group_column": group_column,
        },
        "backbone": {
            **({} if backbone is None else {"name": absolute_network(backbone)}), "weights": absolute(weights),
            "layer": layer, "image_size": image_size, "grey": grey,
        },
        "engine": {"name": engine, "device": device, "precision": precision},
        "head": {"name": head, "class_weight": class_weight, "options": dict(head_options or {})},
        "training": dict(training or {}),
        "augment": {**for_recipe(str(augment)), "views": views, "tta": tta},
    }  # fmt: skip
    recipe = Recipe.from_dict(values, "")
    check_fit(recipe)
    return carry_out(
        recipe, out, progress,
        store=store, resume=resume, target=target, workers=workers, cluster=cluster,
    )  # fmt: skip


def carry_out(
    recipe: Recipe,
    out: Place | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    resume: bool = False,
    target: float | None = None,
    workers: int | None = None,
    cluster: str | None = None,
) -> Run:
    """Carry out a recipe, and write the run folder with its report; `workers` of a Ray cluster train its network."""
    from headstart.report import write_report
    from headstart.run import execute

    check_flags(store=store, resume=resume)
    if workers is None and cluster is not None:
        raise UserError(
            f"cluster={cluster}: say how many processes of it train the network; add workers=2, for example."
        )
    if workers is not None:
        from headstart.cluster.train import Workers, train

        settings = Settings(features_dir() if store else None, strict=recipe.data.strict)
        asked = Workers(workers, cluster or "local")
        out, resume = train(recipe, out, asked, settings, progress, resume=resume), True
    finished = execute(recipe, out, progress, store=store, resume=resume, target=target)
    write_report(finished.folder, finished.thumbnail, finished.contact_sheet, finished.explained)
    return finished


def load_run(folder: Place) -> Run:
    """A finished run from its folder: scores and classifier. The pictures that it was fitted on are not read again.

    Raises UserError where the folder holds no run, BundleError where its bundle is damaged.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="prototype", limit=100, store=False, out=f"{folder}/run")
    ...     again = load_run(run.folder)
    >>> again.scores["after"] == run.scores["after"]
    True
    """
    from headstart.run import load

    return load(expanded(folder))
