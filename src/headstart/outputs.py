"""Where results may be written: checked before any work, so that nothing of the user's or of another run is lost."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from headstart import shared
from headstart.errors import DataError, UserError
from headstart.paths import expanded
from headstart.records import REFUSED, write_refused

OWN = {
    "scores.json", "predictions.csv", "split.csv", "history.csv", "fitted_on.csv", "environment.json", REFUSED,
    "verdicts.json", "pictures.json", "ranking.json", "ranking.csv", "audit.json", "audit.csv", "explanations.json",
    "manifest.json", "export.json", "golden.safetensors", "learning_rates.csv", "study.csv", "study.parquet",
    "predictions.parquet",
}  # fmt: skip
"""Files in folders written by this package, which nothing else may overwrite."""
OWN_FOLDERS = {"bundle", "cells", "maps", "training"}
"""Folders in such folders, in which nothing else may be written."""
BUNDLE = ("manifest.json", "head.safetensors")
MARKS = (("recipe.toml", "bundle"), ("study.toml", "verdicts.json"), ("study.toml", "cells"),
         ("ranking.json", "ranking.html"), ("audit.json", "audit.csv"), ("explanations.json", "maps"), BUNDLE,
         ("export.json", "golden.safetensors"))  # fmt: skip
"""How each kind of such folder is recognised: by two files in it."""
LONGEST_HEADER = 1 << 20
"""Characters of a table's first line that are looked at."""
_made: set[Path] = set()
"""The folders that `unused` made in this process."""


def claim(folder: Path, what: str = "run", file: str = "recipe.toml", beside: Collection[str] = (REFUSED,)) -> Path:
    """Check that a folder may be written, and return it; it is created with the first file.

    It may be new, empty, or hold an earlier run (`what`), recognised by its `file`, which is written anew. Files named
    in `beside` may be there without that. Raises UserError when the folder holds anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out={folder} is a file; name a folder.")
    if folder.is_dir() and {p.name for p in folder.iterdir()} - {*beside} and not (folder / file).is_file():
        raise UserError(f"out={folder} holds other files but no {what}; name a new folder or an earlier {what}'s.")
    check_own(folder)
    check_writable(folder)
    return folder


def output_folder(
    out: str | os.PathLike[str] | None, default: Path, *data: object, what: str = "run", file: str = "recipe.toml",
    beside: Collection[str] = (REFUSED,),
) -> Path:  # fmt: skip
    """The folder to write: `out`, which `claim` checks, or the first `unused` one; never inside a folder of `data`."""
    folder = default if out is None else claim(expanded(out), what, file, beside)
    check_outside(folder, *data)
    return unused(folder) if out is None else folder


def check_outside(place: Path, *data: object) -> None:
    """Raise UserError when `place` is inside a folder of pictures: `data`, or one of the lists in it.

    The next reader of those pictures would take a folder for a class, and a file for a picture.
    """
    for root in _paths(data):
        if root.is_dir() and root.resolve() in place.resolve().parents:
            raise UserError(
                f"The results would go to {place}, inside the picture folder {root}, and would later be read as "
                "pictures: name a place outside it with `out`."
            )


def check_apart(folder: Path, *inputs: object) -> None:
    """Raise UserError when one of the inputs lies in a folder that is about to be written anew."""
    for path in _paths(inputs):
        if path.exists() and folder.resolve() in path.resolve().parents:
            raise UserError(f"{path} is an input, and {folder} with it would be overwritten; name another `out`.")


def _paths(given: object) -> Iterator[Path]:
    """The paths among the values given, which may be nested lists; pictures in memory have none."""
    if isinstance(given, list | tuple):
        for each in given:
            yield from _paths(each)
    elif isinstance(given, str | os.PathLike) and os.fspath(given):
        yield expanded(os.fspath(given).removeprefix("file://"))


def unused(folder: Path, taken: Callable[[Path], bool] = lambda _: True) -> Path:
    """The folder, or the first of folder-2, folder-3, ... that does not exist: a run without --out replaces none.

    It is created at once, so that a run started at the same time takes the next. An existing one that is not `taken` is
    used again.
    """
    check_writable(folder)
    found, number = folder, 1
    while True:
        try:
            make(found, new=True)
        except FileExistsError:
            if not taken(found):
                return found
            number += 1
            found = folder.with_name(f"{folder.name}-{number}")
        else:
            _made.add(found.absolute())
            return found


@contextlib.contextmanager
def given_back(folder: Path) -> Iterator[None]:
    """Remove the folder that `unused` made if the work fails before it has written anything."""
    try:
        yield
    except BaseException:
        if folder.absolute() in _made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def listing_refused(folder: Path) -> Iterator[None]:
    """As `given_back`; but if too few pictures can be used, list the others in the folder, and say so in the error."""
    try:
        with given_back(folder):
            yield
    except DataError as error:
        if not error.refused:
            raise
        path = write_refused(folder, error.refused)
        raise DataError(f"{str(error).rstrip('.')}; {path} lists the refused.", error.refused) from error


def check_writable(folder: Path, out: Path | None = None) -> None:
    """Raise UserError when nothing can be written in `folder`, which is not created."""
    try:
        shared.check_writable(folder)
    except OSError as error:
        raise UserError(f"out={out or folder} cannot be written ({refusal(error)}); name another place.") from error


def check_file(out: Path, kinds: Sequence[str], *inputs: object) -> str:
    """The ending of `out`, one of `kinds`. Raises UserError when no such file can be written.

    Nor may it replace one of the `inputs` (paths, or lists of them) or a file that belongs to a run.
    """
    kind = out.suffix.lower()
    if kind not in kinds:
        if len(kinds) == 1:
            raise UserError(f"out={out} must end in {kinds[0]}.")
        raise UserError(f"out={out} must end in one of {', '.join(kinds)}.")
    if out.is_dir():
        raise UserError(f"out={out} is a folder; name a file.")
    if out.exists() and any(path.exists() and out.samefile(path) for path in _paths(inputs)):
        raise UserError(f"out={out} is an input and would be replaced; name another file.")
    check_own(out)
    check_writable(out.parent, out)
    return kind


def check_predictions(out: Path) -> None:
    """Raise UserError when a CSV table is there that holds no predictions: new predictions replace only older ones."""
    if out.suffix.lower() != ".csv" or not out.is_file() or not out.stat().st_size:
        return
    with out.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            columns = next(csv.reader([file.readline(LONGEST_HEADER)]), [])
        except csv.Error:
            columns = []
    if "predicted" not in columns:
        raise UserError(f"out={out} is a table without predictions and would be replaced; name another file.")


def check_own(place: Path) -> None:
    """Raise UserError when a file or folder belongs to a run, a study, a bundle or the like, or would be inside one."""
    whole = place.resolve()
    for folder in (whole, *whole.parents):
        kinds = [names for names in MARKS if all((folder / name).exists() for name in names)]
        top = "".join(whole.relative_to(folder).parts[:1])
        if kinds and (BUNDLE in kinds or top in OWN_FOLDERS or (top in OWN and place.exists())):
            raise UserError(f"out={place} would change the contents of {folder}; name another place.")


def refusal(error: OSError) -> str:
    """Why the system refuses to write a file: a clause that names the place and, of a full disk, the room left."""
    place = Path(error.filename2 or error.filename or ".")
    number = shared.full(error)
    if number == errno.EFBIG:
        return f"the file {place} would be larger than a file may be here (see `ulimit -f`)"
    if number is not None:
        return f"the disk of {place} is full{shared.room(place)}"
    return f"{place}: {error.strerror or error}"


def make(folder: Path, *, new: bool = False) -> None:
    """Create a folder and its parents. Raises UserError when the disk does not allow it.

    If it must be `new`, raises FileExistsError when the name is taken.
    """
    try:
        folder.mkdir(parents=True, exist_ok=not new)
    except OSError as error:
        if new and isinstance(error, FileExistsError) and os.path.lexists(folder):
            raise
        raise UserError(
            f"The folder {folder} cannot be created ({error.strerror}); name another with `out`."
        ) from error
