"""What the command line does, as functions: each command of `headstart` calls one of these.

Paths may be `str` or `Path`. Long work tells `progress` how far it is; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import UserError
from headstart.features.extract import Settings
from headstart.paths import absolute, absolute_network, expanded, features_dir
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.explaining.files import Explanations
    from headstart.exporting.execute import Exported
    from headstart.inference import Predictions
    from headstart.labelling.album import Looks
    from headstart.labelling.suggest import Suggestion
    from headstart.naming import Named
    from headstart.ranking.files import SavedRanking
    from headstart.ranking.rank import RankingRequest
    from headstart.recipe import Recipe
    from headstart.run import Run
    from headstart.serve.limits import Limits
    from headstart.study.execute import Study
    from headstart.study.recipe import StudyRecipe

Place = str | Path
"""A file or folder."""


def fit(
    data: Place,
    *,
    backbone: Place | None = None,
    weights: Place = "pretrained",
    layer: str = "auto",
    method: str = "features",
    training: Mapping[str, Any] | None = None,
    head: str = "logistic",
    head_options: Mapping[str, Any] | None = None,
    class_weight: str = "none",
    image_size: int | None = None,
    grey: str | None = None,
    augment: Place = "auto",
    views: int | None = None,
    tta: int = 1,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    train_per_class: int | None = None,
    test: Place | None = None,
    evaluate: str = "auto",
    split: Place | None = None,
    seed: int = 0,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    max_pixels: int = 50_000_000,
    decode: str = "exact",
    strict: bool = False,
    allow_empty_classes: bool = False,
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    out: Place | None = None,
    store: bool = True,
    resume: bool = False,
    target: float | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress = silent,
) -> Run:
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
    from headstart.augment import for_recipe
    from headstart.recipe import TRAINED, Recipe

    if training and method not in TRAINED:
        raise UserError(f"{', '.join(training)}: for training a network; add method=finetune (or scratch).")
    recipe = {
        "method": method,
        "seed": seed,
        "data": {
            "source": absolute(data),
            "classes": None if classes is None else list(classes),
            "limit": limit,
            "train_per_class": train_per_class,
            "test": None if test is None else absolute(test),
            "evaluate": evaluate,
            "split": None if split is None else absolute(split),
            "max_pixels": max_pixels,
            "decode": decode,
            "strict": strict,
            "allow_empty_classes": allow_empty_classes,
            "follow_links": follow_links,
            "image_column": image_column,
            "label_column": label_column,
        },
        "backbone": {
            **({} if backbone is None else {"name": absolute_network(backbone)}),
            "weights": absolute(weights),
            "layer": layer,
            "image_size": image_size,
            "grey": grey,
        },
        "engine": {"name": engine, "device": device, "precision": precision},
        "head": {"name": head, "class_weight": class_weight, "options": dict(head_options or {})},
        "training": dict(training or {}),
        "augment": {**for_recipe(str(augment)), "views": views, "tta": tta},
    }
    return carry_out(
        Recipe.from_dict(recipe, "fit"),
        out,
        progress,
        store=store,
        resume=resume,
        target=target,
        workers=workers,
        cluster=cluster,
    )


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

    if workers is None and cluster is not None:
        raise UserError(f"cluster={cluster}: say how many of it train the network; add workers=2, for example.")
    if workers is not None:
        from headstart.cluster.train import Workers, train

        settings = Settings(features_dir() if store else None, strict=recipe.data.strict)
        asked = Workers(workers, cluster or "local")
        out, resume = train(recipe, out, asked, settings, progress, resume=resume), True
    finished = execute(recipe, out, progress, store=store, resume=resume, target=target)
    write_report(finished.folder, finished.thumbnail, finished.contact_sheet, finished.explained)
    return finished


def compare(
    data: Place,
    *,
    arms: Sequence[str] = ("pixels", "scratch", "sprout"),
    sizes: Sequence[int | str] = (5, 10, 20, 50, 100),
    repeats: int = 10,
    seed: int = 0,
    test: Place | None = None,
    limit_test: int | None = None,
    margin: float = 0.01,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    image_size: int | None = None,
    head: str = "logistic",
    head_options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    augment: Place = "auto",
    device: str = "auto",
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    out: Place | None = None,
    store: bool = True,
    command: str = "",
    cluster: str | None = None,
    progress: Progress = silent,
) -> Study:
    """Fit several arms on the same few labelled pictures, and say with evidence whether transfer helped.

    `sizes` are labelled pictures per class, and `all`; `margin` is an accuracy difference that does not matter, as a
    share; `command` is what the report says it was made by; `cluster` is a Ray cluster whose tasks fit the cells. See
    `headstart compare --help` for the others. A study that `out` holds already goes on. Raises UserError and its kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     arms = ["pixels", "sprout"]
    ...     study = compare("digits", arms=arms, sizes=[2], repeats=2, limit=200, store=False, out=f"{folder}/study")
    >>> [arm["name"] for arm in study.verdicts["arms"]]
    ['pixels', 'sprout']
    """
    recipe = study_recipe(
        data,
        arms=arms,
        sizes=sizes,
        repeats=repeats,
        seed=seed,
        test=test,
        limit_test=limit_test,
        margin=margin,
        classes=classes,
        limit=limit,
        image_size=image_size,
        head=head,
        head_options=head_options,
        training=training,
        augment=augment,
        device=device,
        follow_links=follow_links,
        image_column=image_column,
        label_column=label_column,
    )
    return carry_out_study(recipe, out, progress, store=store, command=command, cluster=cluster)


def study_recipe(
    data: Place,
    *,
    arms: Sequence[str],
    sizes: Sequence[int | str],
    repeats: int,
    seed: int = 0,
    test: Place | None = None,
    limit_test: int | None = None,
    margin: float = 0.01,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    image_size: int | None = None,
    head: str = "logistic",
    head_options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    augment: Place = "auto",
    device: str = "auto",
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
) -> StudyRecipe:
    """The recipe of a study as `compare` takes it. Raises UserError and its kinds."""
    from headstart.augment import for_recipe
    from headstart.study.recipe import StudyRecipe

    recipe = {
        "arms": list(arms),
        "sizes": list(sizes),
        "repeats": repeats,
        "seed": seed,
        "limit_test": limit_test,
        "margin": margin,
        "image_size": image_size,
        "data": {
            "source": absolute(data),
            "classes": None if classes is None else list(classes),
            "limit": limit,
            "test": None if test is None else absolute(test),
            "follow_links": follow_links,
            "image_column": image_column,
            "label_column": label_column,
        },
        "engine": {"device": device},
        "head": {"name": head, "options": dict(head_options or {})},
        "training": dict(training or {}),
        "augment": for_recipe(str(augment)),
    }
    return StudyRecipe.from_dict(recipe, "compare")


def carry_out_study(
    recipe: StudyRecipe,
    out: Place | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    command: str = "",
    cluster: str | None = None,
) -> Study:
    """Carry out a study's recipe, and write the study folder with its report."""
    from headstart.cluster.tasks import spread_on
    from headstart.report.study import write_study_report
    from headstart.study.execute import compare as execute

    with spread_on(cluster) as spread:
        found = execute(recipe, out, progress, store=store, command=command, spread=spread)
    write_study_report(found.folder)
    return found


def rank(
    data: Place,
    backbones: Sequence[str] | None = None,
    *,
    weights_folder: Place | None = None,
    limit: int | None = None,
    folds: int = 5,
    image_size: int | None = None,
    seed: int = 0,
    engine: str = "auto",
    device: str = "auto",
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    out: Place | None = None,
    store: bool = True,
    cluster: str | None = None,
    progress: Progress = silent,
) -> SavedRanking:
    """Rank backbones by how well a classifier on their features does, and write the folder with its report.

    Each is `NAME[:LAYER][@WEIGHTS]`; without `backbones`, all whose weights are here, those of `weights_folder` among
    them. The test part is never looked at. `cluster` is a Ray cluster whose tasks judge them. Raises UserError and its
    kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     saved = rank("digits", ["sprout", "sprout@none"], limit=100, store=False, out=f"{folder}/ranking")
    >>> [row["backbone"] for row in saved.ranking["backbones"]]
    ['sprout', 'sprout@none']
    """
    from headstart.backbones.spelling import parse_list
    from headstart.images.options import Reading
    from headstart.ranking.local import local_backbones
    from headstart.ranking.rank import RankingRequest

    folder = None if weights_folder is None else expanded(weights_folder)
    asked = tuple(local_backbones(folder) if backbones is None else parse_list(",".join(backbones)))
    reading = Reading(follow_links=follow_links, image_column=image_column, label_column=label_column)
    request = RankingRequest(
        absolute(data), asked, limit, image_size, seed, folds, engine, device, backbones is None, reading
    )
    return carry_out_ranking(request, out, progress, store=store, cluster=cluster)


def carry_out_ranking(
    request: RankingRequest,
    out: Place | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    cluster: str | None = None,
) -> SavedRanking:
    """Rank what a request names, and write the folder with its report."""
    from headstart import records
    from headstart.cluster.tasks import spread_on
    from headstart.ranking.files import SavedRanking, claim, write
    from headstart.ranking.rank import rank as execute
    from headstart.report.ranking import write_ranking_report

    folder = records.unused(Path("rankings") / Path(request.data).stem) if out is None else claim(expanded(out))
    with spread_on(cluster) as spread:
        found = execute(request, Settings(features_dir() if store else None), progress, spread)
    saved = SavedRanking(folder, write(found, folder))
    write_ranking_report(folder)
    return saved


def predict(
    run: Place,
    pictures: Any,
    *,
    strict: bool = False,
    follow_links: bool = False,
    coverage: float | None = None,
    progress: Progress = silent,
) -> Predictions:
    """The classes of pictures by a finished run: paths of files and folders, PIL pictures, encoded bytes or arrays.

    A single path or picture is one too. With `strict`, DataError at the first picture that cannot be used; else those
    are in `refused`. `known` of what it returns is False of pictures of none of the classes; with `coverage`, such as
    0.9, `sets` are the classes that hold the true one with that chance at least. For many calls, `load_classifier` and
    `Predictor` keep everything open.

    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> picture = (load_digits().images[:1] * 15).astype("uint8")
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="prototype", limit=100, store=False, out=f"{folder}/run")
    ...     predict(run.folder, picture).rows(topk=1)[0]["predicted"]
    '0'
    """
    from headstart import inference

    return inference.predict(
        run, pictures, Settings(features_dir(), strict=strict), progress, follow_links=follow_links, coverage=coverage
    )


def explain(
    run: Place,
    pictures: Any,
    out: Place,
    *,
    method: str = "auto",
    check: bool = False,
    nearest: int = 3,
    follow_links: bool = False,
    progress: Progress = silent,
) -> Explanations:
    """Show which parts of pictures speak for the class they are given, and the nearest training pictures.

    Writes overlays, a contact sheet and explanations.json to `out`. `method` is `cam` (exact, for linear heads),
    `gradient` (Captum), `occlusion` (any classifier) or `auto`, the first that there is; with `check` every map has its
    rank correlation with occlusion. Raises UserError where a method cannot be had; pictures that cannot be read are in
    `refused`. For many calls, see `headstart.explaining.explainer.Explainer`.

    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> picture = (load_digits().images[:1] * 15).astype("uint8")
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="ridge", limit=100, store=False, out=f"{folder}/run")
    ...     found = explain(run.folder, picture, f"{folder}/maps", nearest=0)
    >>> found.pictures[0].predicted, found.pictures[0].map.method
    ('0', 'cam')
    """
    from headstart.explaining import files

    asked = files.Asked(method, check, nearest, follow_links)
    return files.explain(expanded(run), pictures, expanded(out), asked, Settings(features_dir()), progress)


def evaluate(
    run: Place,
    data: Place,
    *,
    strict: bool = False,
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Scores of a finished run on labelled pictures: their test part if they have one, else all.

    See `headstart.inference.evaluate` for what is returned.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="prototype", limit=100, store=False, out=f"{folder}/run")
    ...     scores = evaluate(run.folder, "digits")
    >>> scores["n"], scores["seen"]
    (1797, 100)
    """
    from headstart import inference

    return inference.evaluate(
        run,
        str(data),
        Settings(features_dir(), strict=strict),
        progress,
        follow_links=follow_links,
        image_column=image_column,
        label_column=label_column,
    )


def export(
    run: Place,
    out: Place,
    *,
    format: str = "onnx",
    precision: str = "float32",
    max_drop: float = 1.0,
    progress: Progress = silent,
) -> Exported:
    """Write a finished run as one graph for other programs: a uint8 picture of any size -> probabilities.

    `format` is `onnx` or `openvino`. With `precision` int8 the network is quantised on training pictures, and
    HeadstartError raised where that costs more than `max_drop` points of accuracy. It is raised, too, where the graph
    does not give what the run gives on the run's own pictures; nothing is written then. `load_classifier` and `predict`
    take the folder as they take a run. Raises UserError for what cannot be exported.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="prototype", limit=100, store=False, out=f"{folder}/run")
    ...     found = export(run.folder, f"{folder}/export")
    ...     sorted(path.name for path in found.folder.iterdir())
    ['MODEL_CARD.md', 'example.html', 'example.py', 'export.json', 'golden.safetensors', 'model.onnx']
    >>> found.parity.pictures, found.parity.same_answer
    (100, 100)
    """
    from headstart.exporting.execute import export as execute

    return execute(expanded(run), expanded(out), format, precision, max_drop, progress)


def classify(
    pictures: Sequence[Any] | Place,
    *,
    backbone: Place = "mobilenetv2_100",
    weights: Place = "pretrained",
    engine: str = "auto",
    device: str = "auto",
    follow_links: bool = False,
    progress: Progress = silent,
) -> Named:
    """What pictures show, among the 1,000 classes of ImageNet; nothing is trained.

    `probabilities` (m, 1000) of what it returns are of the pictures that could be used. Raises UserError where the
    network does not tell these classes apart:

    >>> classify("cat.jpg", backbone="sprout")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    headstart.errors.UserError: sprout has no classifier with these weights, so it cannot name what a picture shows; ...
    """
    from headstart import naming

    network = naming.Network(str(backbone), str(weights), engine, device)
    return naming.classify(pictures, network, Settings(features_dir()), progress, follow_links=follow_links)


def serve(
    run: Place,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    hosts: Sequence[str] = (),
    nearest: bool | None = None,
    limits: Limits | None = None,
    started: Callable[[str], None] = lambda address: None,
    progress: Progress = silent,
) -> None:
    """Serve a finished run, or its bundle, over HTTP until SIGTERM or Ctrl-C; see `headstart.serve.run.serve`.

    With `nearest`, who asks why is shown the nearest training pictures; by default where this computer alone may ask.
    Raises UserError where the extra `serve` is not installed, the port is taken, or `nearest` is True and the training
    pictures cannot be had; BundleError for a broken run.
    """
    try:
        from headstart.serve.limits import Address
        from headstart.serve.load import load
        from headstart.serve.run import serve as serve_run
        from headstart.serve.shell import LOOPBACK
    except ModuleNotFoundError as missing:
        raise UserError(
            f"Serving needs {missing.name}, which is not installed: pip install 'headstart[serve]'."
        ) from missing
    show = host in LOOPBACK if nearest is None else nearest
    served = load(expanded(run), Settings(features_dir()), progress, nearest=show, needed=bool(nearest))
    serve_run(served, Address(host, port, hosts), limits, started)


def suggest(
    images: Any,
    labels: Any,
    n: int,
    *,
    backbone: Place | None = None,
    weights: Place = "pretrained",
    store: bool = True,
    progress: Progress = silent,
) -> list[Suggestion]:
    """The n pictures to label next, the most useful first: typical ones, then those a classifier is unsure of.

    `images` are a folder, paths, PIL pictures or arrays; `labels` what is known: names or paths -> class, a class or
    None for each picture, a table or class folders, or None. Look-alikes are one suggestion. Without `backbone` the
    best network looks whose weights are here. Raises UserError and its kinds.

    >>> from sklearn.datasets import load_digits
    >>> pictures = list((load_digits().images[:60] * 15).astype("uint8"))
    >>> first = suggest(pictures, None, 10, store=False)
    >>> known = [None] * 60
    >>> for one in first:
    ...     known[one.index] = str(load_digits().target[one.index])
    >>> then = suggest(pictures, known, 5, store=False)
    >>> len(first), len(then), {one.index for one in first} & {one.index for one in then}
    (10, 5, set())
    """
    from headstart.labelling.album import Looks
    from headstart.labelling.suggest import suggest as execute

    if n < 1:
        raise UserError(f"n must be at least 1, not {n}.")
    looks = Looks(None if backbone is None else absolute_network(backbone), absolute(weights))
    return execute(images, labels, n, looks, Settings(features_dir() if store else None), progress)[1]


def write_suggestions(
    images: Any, labels: Any, n: int, out: Place, looks: Looks, *, store: bool = True, progress: Progress = silent
) -> list[Suggestion]:
    """The same as a table to fill in, with columns image, label (empty), predicted, confidence and group."""
    from headstart.labelling.suggest import suggest as execute
    from headstart.labelling.suggest import write_next
    from headstart.records import check_file

    target = expanded(out)
    check_file(target, (".csv",))
    album, found = execute(images, labels, n, looks, Settings(features_dir() if store else None), progress)
    write_next(album, found, target)
    return found


def label(
    data: Place,
    *,
    out: Place = "labels.csv",
    classes: Sequence[str] = (),
    labels: Place | None = None,
    looks: Looks | None = None,
    port: int = 8000,
    store: bool = True,
    started: Callable[[str], None] = lambda address: None,
    progress: Progress = silent,
) -> None:
    """Serve a page to label pictures on, on this computer alone, until SIGTERM or Ctrl-C.

    Every label is in a journal beside `out` before it is confirmed, and then in `out`, a table for `fit`. Labels of an
    earlier `out`, and of `labels`, are taken up. Raises UserError where the extra `serve` is not installed, the port is
    taken, or another process labels to `out`.
    """
    try:
        from headstart.labelling.run import LabelRequest
        from headstart.labelling.run import label as execute
        from headstart.serve import shell  # noqa: F401 (FastAPI is there)
    except ModuleNotFoundError as missing:
        raise UserError(
            f"The page needs {missing.name}, which is not installed: pip install 'headstart[serve]'."
        ) from missing
    from headstart.labelling.album import Looks

    known = None if labels is None else absolute(labels)
    request = LabelRequest(data, expanded(out), classes, known, looks or Looks(), port)
    execute(request, Settings(features_dir() if store else None), started, progress)


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


def load_study(folder: Place) -> Study:
    """A finished study from its folder. Raises UserError where it holds none.

    >>> load_study("runs/first")
    Traceback (most recent call last):
    headstart.errors.UserError: runs/first is not a finished study: it holds no verdicts.json.
    """
    from headstart.study.execute import load

    return load(expanded(folder))
