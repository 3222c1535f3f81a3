"""Where results go: a folder or a file that can be written, and that replaces nothing of the user's or of another run.

All of it is checked before any work, and raises UserError with what to do.
"""

from __future__ import annotations

import contextlib
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
"""Files of the folders that are written here, which nothing else is written over."""
OWN_FOLDERS = {"bundle", "cells", "maps", "training"}
"""Folders in such folders, where nothing else is written at all."""
BUNDLE = ("manifest.json", "head.safetensors")
MARKS = (("recipe.toml", "bundle"), ("study.toml", "verdicts.json"), ("study.toml", "cells"),
         ("ranking.json", "ranking.html"), ("audit.json", "audit.csv"), ("explanations.json", "maps"), BUNDLE,
         ("export.json", "golden.safetensors"))  # fmt: skip
"""What is in such a folder, by its kind."""
_made: set[Path] = set()
"""The folders that `unused` made in this process."""


def claim(folder: Path, what: str = "run", file: str = "recipe.toml", beside: Collection[str] = (REFUSED,)) -> Path:
    """The folder, new or an earlier one's to write anew; it is made when the first file is written.

    An earlier run (`what`) is known by its `file`, and files that may be there without it are named in `beside`. Raises
    UserError when the folder holds something else, so that nothing of the user's is overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out={folder} is a file; name a folder.")
    if folder.is_dir() and {p.name for p in folder.iterdir()} - {*beside} and not (folder / file).is_file():
        raise UserError(f"out={folder} holds other files and no {what}; name a new folder or an earlier {what}'s.")
    check_own(folder)
    check_writable(folder)
    return folder


def output_folder(
    out: str | os.PathLike[str] | None, default: Path, *data: object, what: str = "run", file: str = "recipe.toml",
    beside: Collection[str] = (REFUSED,),
) -> Path:  # fmt: skip
    """The folder to write: `out` as `claim` has it, else the first `unused` one; never within a folder of `data`.

    Raises UserError.
    """
    folder = default if out is None else claim(expanded(out), what, file, beside)
    check_outside(folder, *data)
    return unused(folder) if out is None else folder


def check_outside(place: Path, *data: object) -> None:
    """Raise UserError when `place` is within a folder of pictures, of `data` or of lists in it.

    Its next reader would take a folder for a class there, and a file for a picture.
    """
    for root in _paths(data):
        if root.is_dir() and root.resolve() in place.resolve().parents:
            raise UserError(
                f"The results would go to {place}, inside the folder of pictures {root}, and be taken for pictures "
                "there: name a place outside it with `out`."
            )


def check_apart(folder: Path, *inputs: object) -> None:
    """Raise UserError when one of the inputs is in a folder that will be written anew."""
    for path in _paths(inputs):
        if path.exists() and folder.resolve() in path.resolve().parents:
            raise UserError(f"{path} is read here, and {folder} would be written anew; name another `out`.")


def _paths(given: object) -> Iterator[Path]:
    """The paths among what is given; pictures in memory are none."""
    if isinstance(given, list | tuple):
        for each in given:
            yield from _paths(each)
    elif isinstance(given, str | os.PathLike) and os.fspath(given):
        yield expanded(os.fspath(given).removeprefix("file://"))


def unused(folder: Path, taken: Callable[[Path], bool] = lambda _: True) -> Path:
    """The folder, or the first of folder-2, folder-3, ... that does not exist: a run without --out replaces none.

    It is made at once, so that another that starts at the same time takes the next. One that is there and not `taken`
    is gone on with.
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
    """What fails before it has written anything leaves no empty folder, if `unused` made it."""
    try:
        yield
    except BaseException:
        if folder.absolute() in _made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def listing_refused(folder: Path) -> Iterator[None]:
    """Where too few pictures could be used, those that could not are listed in the folder and the error says so.

    What fails without such a list gives its folder back.
    """
    try:
        with given_back(folder):
            yield
    except DataError as error:
        if not error.refused:
            raise
        path = write_refused(folder, error.refused)
        raise DataError(f"{str(error).rstrip('.')}; {path} lists the refused.", error.refused) from error


def check_writable(folder: Path, out: Path | None = None) -> None:
    """Raise UserError, before any work, when nothing can be written in `folder`; it is not made."""
    try:
        shared.check_writable(folder)
    except OSError as error:
        raise UserError(f"out={out or folder} cannot be written ({refusal(error)}); name another place.") from error


def check_file(out: Path, kinds: Sequence[str], *inputs: object) -> str:
    """The ending of `out`, one of `kinds`; raises UserError, before any work, when no such file can be written.

    Nothing is written over one of the `inputs`, paths or lists of them, nor over a file of a run or its like.
    """
    kind = out.suffix.lower()
    if kind not in kinds:
        if len(kinds) == 1:
            raise UserError(f"out={out} must end in {kinds[0]}.")
        raise UserError(f"out={out} ends in none of {', '.join(kinds)}; choose one of them.")
    if out.is_dir():
        raise UserError(f"out={out} is a folder; name a file.")
    if out.exists() and any(path.exists() and out.samefile(path) for path in _paths(inputs)):
        raise UserError(f"out={out} is read here, and would be replaced; name another file.")
    check_own(out)
    check_writable(out.parent, out)
    return kind


def check_own(place: Path) -> None:
    """Raise UserError where a file or folder is, or would be, a run's own, or a study's, a bundle's and so on."""
    whole = place.resolve()
    for folder in (whole, *whole.parents):
        kinds = [names for names in MARKS if all((folder / name).exists() for name in names)]
        top = "".join(whole.relative_to(folder).parts[:1])
        if kinds and (BUNDLE in kinds or top in OWN_FOLDERS or (top in OWN and place.exists())):
            raise UserError(f"out={place} belongs to what is in {folder}; name another place.")


def refusal(error: OSError) -> str:
    """What the system says against writing a file, as a clause that names the place and, of a full disk, its room."""
    place = Path(error.filename2 or error.filename or ".")
    number = shared.full(error)
    if number == errno.EFBIG:
        return f"the file {place} would be larger than a file may be here (see `ulimit -f`)"
    if number is not None:
        return f"the disk of {place} is full{shared.room(place)}"
    return f"{place}: {error.strerror or error}"


def make(folder: Path, *, new: bool = False) -> None:
    """Create a folder and its parents; raises UserError when the disk does not allow it.

    Where it must be `new`, FileExistsError if there is something of its name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=not new)
    except OSError as error:
        if new and isinstance(error, FileExistsError) and os.path.lexists(folder):
            raise
        raise UserError(f"The folder {folder} cannot be made ({error.strerror}); name another with `out`.") from error
