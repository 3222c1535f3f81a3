"""Which pictures to label next, and a page to label them on. See `headstart.api`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headstart.api.checks import check_flags, check_whole, known_parameters, names, refuse_unserved
from headstart.features.extract import Settings
from headstart.paths import Place, absolute, absolute_network, expanded, features_dir
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.labelling.album import Looks
    from headstart.labelling.suggest import Suggestion


@known_parameters
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

    `images` are a folder, paths, PIL pictures or arrays; `labels` what is known: names, paths or places -> class, a
    class or None for each picture given, a table or class folders, or None. Look-alikes are one suggestion. Without
    `backbone` the best network looks whose weights are here. Raises UserError and its kinds.

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

    check_whole(n=n)
    check_flags(store=store)
    looks = Looks(None if backbone is None else absolute_network(backbone), absolute(weights))
    return execute(images, labels, n, looks, Settings(features_dir() if store else None), progress)[1]


def write_suggestions(
    images: Any, labels: Any, n: int, out: Place, looks: Looks, *, store: bool = True, progress: Progress = silent
) -> list[Suggestion]:
    """The same as a table to fill in, with columns image, label (empty), predicted, confidence and group."""
    from headstart.labelling.suggest import check_replaced, write_next
    from headstart.labelling.suggest import suggest as execute
    from headstart.outputs import check_file

    check_flags(store=store)
    target = expanded(out)
    check_replaced(target)
    check_file(target, (".csv",), images, labels)
    album, found = execute(images, labels, n, looks, Settings(features_dir() if store else None), progress)
    write_next(album, found, target)
    return found


@known_parameters
def label(
    data: Place,
    *,
    out: Place = "labels.csv",
    classes: Sequence[str] | str | None = None,
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
    taken, another process labels to `out`, or `out` is the table of other pictures.
    """
    try:
        from headstart.labelling.run import LabelRequest
        from headstart.labelling.run import label as execute
        from headstart.serve import shell  # noqa: F401 (FastAPI is there)
    except ModuleNotFoundError as missing:
        refuse_unserved("The page", missing)
    from headstart.labelling.album import Looks

    check_flags(store=store)
    known = None if labels is None else absolute(labels)
    request = LabelRequest(data, expanded(out), names("classes", classes) or (), known, looks or Looks(), port)
    execute(request, Settings(features_dir() if store else None), started, progress)
