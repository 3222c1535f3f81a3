"""What is done with a classifier: predict, explain, evaluate, export, name objects, serve. See `headstart.api`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from headstart.api.checks import check_flags, check_share, check_whole, known_parameters, refuse_unserved
from headstart.errors import UserError
from headstart.features.extract import Settings
from headstart.paths import Place, check_name, expanded, features_dir
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.explaining.files import Explanations
    from headstart.exporting.execute import Exported
    from headstart.naming import Named
    from headstart.predictions import Predictions
    from headstart.serve.limits import Limits


@known_parameters
def predict(
    run: Place,
    pictures: Any,
    *,
    strict: bool = False,
    follow_links: bool = False,
    image_column: str | None = None,
    coverage: float | None = None,
    progress: Progress = silent,
) -> Predictions:
    """The classes of pictures by a finished run: paths of files and folders, PIL pictures, encoded bytes or arrays.

    A single path or picture is one too, and a table stands for the pictures in its `image_column`. With `strict`,
    DataError at the first picture that cannot be used; else those are in `refused`. `known` of what it returns is False
    of pictures of none of the classes; with `coverage`, such as 0.9, `sets` are the classes that hold the true one with
    that chance at least. For many calls, `load_classifier` and `Predictor` keep everything open.

    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> picture = (load_digits().images[:1] * 15).astype("uint8")
    >>> with TemporaryDirectory() as folder:
    ...     run = fit("digits", method="pixels", head="prototype", limit=100, store=False, out=f"{folder}/run")
    ...     predict(run.folder, picture).rows(topk=1)[0]["predicted"]
    '0'
    """
    from headstart import inference

    check_share(coverage=coverage)
    check_flags(strict=strict, follow_links=follow_links)
    return inference.predict(
        expanded(run),
        pictures,
        Settings(features_dir(), strict=strict),
        progress,
        coverage=coverage,
        follow_links=follow_links,
        image_column=image_column,
    )


@known_parameters
def explain(
    run: Place,
    pictures: Any,
    out: Place,
    *,
    method: str = "auto",
    check: bool = False,
    nearest: int = 3,
    follow_links: bool = False,
    image_column: str | None = None,
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
    from headstart.images.options import Reading

    check_whole(0, nearest=nearest)
    check_flags(check=check, follow_links=follow_links)
    asked = files.Asked(method, check, nearest, Reading(follow_links=follow_links, image_column=image_column))
    return files.explain(expanded(run), pictures, expanded(out), asked, Settings(features_dir()), progress)


@known_parameters
def evaluate(
    run: Place,
    data: Place,
    *,
    strict: bool = False,
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
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

    check_name(data)
    check_flags(strict=strict, follow_links=follow_links)
    return inference.evaluate(
        expanded(run),
        str(data),
        Settings(features_dir(), strict=strict),
        progress,
        follow_links=follow_links,
        image_column=image_column,
        label_column=label_column,
        split_column=split_column,
        group_column=group_column,
    )


@known_parameters
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

    if isinstance(max_drop, bool) or not isinstance(max_drop, Real) or not max_drop >= 0:
        raise UserError(f"max_drop={max_drop!r} is not possible: give points of accuracy, 0 or more.")
    if max_drop != 1.0 and precision != "int8":
        raise UserError(f"max_drop={max_drop} is for precision=int8; leave it out.")
    return execute(expanded(run), expanded(out), format, precision, max_drop, progress)


@known_parameters
def classify(
    pictures: Sequence[Any] | Place,
    *,
    backbone: Place = "mobilenetv2_100",
    weights: Place = "pretrained",
    engine: str = "auto",
    device: str = "auto",
    follow_links: bool = False,
    image_column: str | None = None,
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

    check_flags(follow_links=follow_links)
    network = naming.Network(str(backbone), str(weights), engine, device)
    settings = Settings(features_dir())
    return naming.classify(pictures, network, settings, progress, follow_links=follow_links, image_column=image_column)


@known_parameters
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
        refuse_unserved("Serving", missing)
    show = host in LOOPBACK if nearest is None else nearest
    served = load(expanded(run), Settings(features_dir()), progress, nearest=show, needed=bool(nearest))
    serve_run(served, Address(host, port, hosts), limits, started)
