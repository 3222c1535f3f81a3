"""The files of a run folder, each written whole or not at all.

recipe.toml  split.csv  history.csv  scores.json  predictions.csv  fitted_on.csv  refused.csv  environment.json  bundle/
report.html
"""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import io
import itertools
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import shared
from headstart.errors import DataError, UserError
from headstart.paths import expanded

PACKAGES = (
    "headstart", "torch", "torchvision", "timm", "openvino", "scikit-learn", "scipy", "numpy", "pillow", "lmdb",
    "safetensors",
)  # fmt: skip
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet would take for a formula, after any number of apostrophes."""
REFUSED = "refused.csv"
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
_claimed: set[Path] = set()
"""The folders that this process named itself."""
MANY_CLASSES = 20
"""Up to this many classes predictions.csv has a column of probabilities for each."""


def claim(folder: Path, what: str = "run", file: str = "recipe.toml", beside: Collection[str] = (REFUSED,)) -> Path:
    """The folder, new or an earlier one's to write anew; it is made when the first file is written.

    An earlier run (`what`) is known by its `file`, and files that may be there without it are named in `beside`. Raises
    UserError when the folder holds something else, so that nothing of the user's is overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out={folder} is a file; name a folder.")
    if folder.is_dir() and {p.name for p in folder.iterdir()} - {*beside} and not (folder / file).is_file():
        raise UserError(f"out={folder} holds other files and no {what}; name a new folder or an earlier {what}'s.")
    check_own(folder / "new", folder)
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
            _claimed.add(found.absolute())
            return found


@contextlib.contextmanager
def given_back(folder: Path) -> Iterator[None]:
    """What fails before it has written anything leaves no empty folder, if `unused` made it."""
    try:
        yield
    except BaseException:
        if folder.absolute() in _claimed:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


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


def check_own(file: Path, out: Path | None = None) -> None:
    """Raise UserError where `file` is, or would be, a run's own, or a study's, a bundle's and so on."""
    place = file.resolve()
    for folder in place.parents:
        kinds = [names for names in MARKS if all((folder / name).exists() for name in names)]
        top = place.relative_to(folder).parts[0]
        if kinds and (BUNDLE in kinds or top in OWN_FOLDERS or (top in OWN and file.exists())):
            raise UserError(f"out={out or file} belongs to what is in {folder}; name another place.")


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


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step; a reader sees the old content or the new, never a part."""
    with shared.replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")  # half a character, in JSON too


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON; a number that JSON cannot hold is an error, not `NaN`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header line, as a spreadsheet needs it (decision 25); `read_csv` gives the cells back.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; a table that is not all ASCII
    begins with a byte order mark. With HEADSTART_CSV=plain neither is written.
    """
    plain = os.environ.get("HEADSTART_CSV") == "plain"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in itertools.chain([columns], rows):
        cells = list(row if plain else map(_as_text, row))
        returns = any(isinstance(cell, str) and "\r" in cell for cell in cells)  # to csv no reason to quote
        (quoted if returns else writer).writerow(cells)
    text = out.getvalue()
    write_text(path, text if plain or text.isascii() else f"\ufeff{text}")


def read_csv(path: Path, errors: str = "strict") -> Iterator[list[str]]:
    """The rows of a table that `write_csv` wrote, the header first. Raises OSError, UnicodeDecodeError, csv.Error."""
    with path.open(newline="", encoding="utf-8-sig", errors=errors) as file:
        for row in csv.reader(file):
            yield list(map(as_written, row))


def as_written(cell: str) -> str:
    """A cell without the apostrophe that `write_csv` may have put before it."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _as_text(cell: Any) -> Any:
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell  # -1.5 is a number


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One line a step; the columns are the keys of all rows in the order they first appear."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    write_csv(path, columns, ([row.get(c, "") for c in columns] for row in history))


def write_refused(folder: Path, refused: Iterable[Any]) -> Path:
    """List the pictures that were left out (objects with `name`, `reason`, `detail`); the path of the table."""
    write_csv(folder / REFUSED, ["name", "reason", "detail"], ((r.name, r.reason, r.detail) for r in refused))
    return folder / REFUSED


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


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """The columns that say what was predicted: name of the class, confidence, and p:<class> for few classes."""
    return ["predicted", "confidence", *(f"p:{c}" for c in classes if len(classes) <= MANY_CLASSES)]


def prediction_cells(probabilities: NDArray[np.float64], classes: Sequence[str]) -> list[list[str]]:
    """(n, k) probabilities -> n lists of cells for `prediction_columns`."""
    best = probabilities.argmax(axis=1)
    many = len(classes) > MANY_CLASSES
    return [
        [classes[k], f"{row[k]:.6f}", *([] if many else (f"{p:.6f}" for p in row))]
        for k, row in zip(best, probabilities, strict=True)
    ]


def environment() -> dict[str, Any]:
    """What the run ran on: versions, platform, processor."""
    found = dict(_versions())
    return {
        "headstart": found.pop("headstart", "unknown"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "packages": found,
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Package -> version, of those that are installed; read once, because that takes 0.1 s."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def peak_memory_mb() -> float:
    """The largest resident memory so far of this process, or of one that it started and that ended, in MB."""
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = _high_water() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children) / 1e6


def _high_water() -> int:
    """Bytes by Linux's own count, 0 elsewhere: what `getrusage` says includes the process that started this one."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
