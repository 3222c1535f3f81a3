"""The columns of a table, and what their cells mean: which column, which file, which label."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import DataError, UnknownName, nearest
from headstart.images.labels import is_missing, whole, without_point
from headstart.images.names import nfc
from headstart.paths import expanded
from headstart.phrases import twice

USUAL = {
    "image": (
        "file",
        "filename",
        "filepath",
        "path",
        "imagepath",
        "imagefile",
        "imageid",
        "imagename",
        "imageindex",
        "img",
        "imgid",
        "imgname",
        "picture",
        "photo",
        "id",
        "idcode",
    ),
    "label": ("class", "classname", "target", "category", "species", "y", "tag", "breed", "diagnosis", "dx"),
}
"""Other names that people give to a column, without '-', '_' and spaces."""
NOT_A_NUMBER = ("nan", "NaN", "<NA>", "#N/A", "NaT")
"""How programs write a missing value in text."""
NOTHING = (*NOT_A_NUMBER, "NA", "N/A", "NULL", "null", "None", "none")
"""The same, and words that may also be the name of a class."""
YES_NO = {
    "isvalid": ("val", "train"), "isval": ("val", "train"), "istest": ("test", "train"), "istrain": ("train", "test"),
}  # fmt: skip
"""The parts that true and false mean in a column of this name, written as above."""
NOT_READ = "not read: a column named"
"""What a note says of a column that may matter."""
LIKE_SPLIT = ("set", "subset", "partition", "fold", "part", "usage", "phase", "isvalid", "isval", "istest", "istrain")
LIKE_GROUP = (
    "groups", "groupid", "patient", "patientid", "subject", "subjectid", "lesion", "lesionid", "case", "caseid",
    "study", "studyid", "exam", "examid", "slide", "slideid", "burst", "burstid", "session", "sessionid", "scene",
    "sceneid", "location", "place", "site", "camera", "video", "videoid",
)  # fmt: skip
"""Names of columns, written as above, that may say what `split` and `group` say, and are not read."""


@dataclass(frozen=True)
class Columns:
    """The values by column, the number of each row as people count, notes; and class names where a column has them."""

    values: Mapping[str, list[Any]]
    numbers: Sequence[int]
    notes: tuple[str, ...] = ()
    classes: Mapping[str, list[str]] = field(default_factory=dict)


def check_columns(names: Iterable[str], table: Path) -> None:
    """Raise `DataError` where two columns have one name."""
    if (again := twice(names)) is not None:
        raise DataError(f"{table} has two columns '{again[:100]}'; rename one of them.")


def column(names: Iterable[str], kind: str, asked: str | None, table: Path) -> str:
    """The name of the column of images or labels: the one `asked` for, or `kind` in any case.

    Raises `UnknownName` for one that is asked for and not there, else `DataError` with what may be meant.
    """
    listed = list(names)
    if asked is not None:
        return _asked_for(asked, kind, listed, table)
    alike = _called(kind, listed)
    if len(alike) == 1:
        return alike[0]
    by_plain = {plain(name): name for name in listed}
    near = [*nearest(kind, listed), *(by_plain[name] for name in USUAL[kind] if name in by_plain)]
    hint = f" Is it '{near[0]}'? Then add {kind}_column={_quoted(near[0])}." if near else ""
    naming = f" Name it with `{kind}_column`."
    if kind == "label":
        naming += " Of a column of 0 and 1 for each class make one first (pandas: `table.idxmax(axis=1)`)."
    raise DataError(
        f"{table} has no column '{kind}' (needed: image,label; optional: split, group); its columns are "
        f"{', '.join(map(repr, listed[:30]))}.{hint or naming}"
    )


def optional(names: Iterable[str], kind: str, asked: str | None, table: Path) -> str | None:
    """The name of the column `split` or `group`: the one `asked` for, or `kind` in any case; None where there is none.

    Raises `UnknownName` for one that is asked for and not there, `DataError` for two.
    """
    listed = list(names)
    if asked is not None:
        return _asked_for(asked, kind, listed, table)
    alike = _called(kind, listed)
    if len(alike) > 1:
        raise DataError(f"{table} has the columns {' and '.join(map(repr, alike[:5]))}; rename all but one.")
    return alike[0] if alike else None


def passed_over(names: Iterable[str], read: Iterable[str]) -> tuple[str, ...]:
    """Notes on columns that may be meant as `split` or `group`, where none is among the kinds that were `read`."""
    listed, notes = list(names), []
    for kind, like, says in (
        ("split", LIKE_SPLIT, "which part (train, val, test) a picture belongs to"),
        ("group", LIKE_GROUP, "which pictures belong together"),
    ):
        found = sorted((name for name in listed if plain(name) in like), key=lambda name: like.index(plain(name)))
        if found and kind not in read:
            many = ", ".join(map(repr, found))
            which = f"column {many} is" if len(found) == 1 else f"columns {many} are"
            notes.append(
                f"The {which} {NOT_READ} '{kind}' says {says}. If '{found[0]}' says so here, add "
                f"{kind}_column={_quoted(found[0])}."
            )
    return tuple(notes)


def text_of(cell: Any) -> str:
    """The text of a cell of parts or groups, '' of an empty one or of a word for that."""
    text = "" if is_missing(cell) else str(without_point(cell)).strip()
    return "" if text in NOTHING else text


def without_points(cells: Sequence[Any]) -> list[Any]:
    """Whole numbers that a program wrote as fractions, for one of them was missing: `12.0` in text becomes `12`."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip() not in ("", *NOTHING)]
    if not texts or any(whole(text) == text for text in texts):
        return list(cells)
    return [whole(cell.strip()) if isinstance(cell, str) else cell for cell in cells]


def parts_of(cells: Sequence[Any], name: str) -> list[Any]:
    """The parts that a column says, of one that is true or false too: `is_valid`, `is_test`, `is_train`."""
    yes_no = YES_NO.get(plain(name))
    if yes_no is None:
        return list(cells)
    cells = without_points(cells)
    meant = {"true": yes_no[0], "1": yes_no[0], "false": yes_no[1], "0": yes_no[1]}
    return [meant.get(text.casefold(), cell) for cell, text in ((cell, text_of(cell)) for cell in cells)]


def label_of(value: Any) -> Any:
    """The label in a cell, None where there is none; several in a list become one text."""
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value) or None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        value = nfc(value.strip())
    return None if is_missing(value) else value


def odd_labels(labels: Sequence[Any]) -> tuple[str, ...]:
    """Notes on labels that are a word for nothing, or name several things in one cell."""
    nothing = sorted({label for label in labels if isinstance(label, str) and label in NOTHING})
    words = tuple(f"The label '{word}' is taken for the name of a class." for word in nothing)
    return (*words, *_several(labels))


def _several(labels: Iterable[Any]) -> tuple[str, ...]:
    found = [label for label in labels if isinstance(label, str) and len(re.findall(r"[^\s,;|][^,;|]*", label)) > 1]
    if not found:
        return ()
    many = f"{len(found):,} labels name" if len(found) > 1 else "1 label names"
    return (
        f"{many} several things in one cell, such as '{found[0]}': a picture has only one label here, so each such "
        "cell becomes a class of its own.",
    )


def located(folder: Path, written: str) -> tuple[str, Path]:
    r"""(name, file) that a table's text means: relative to its folder, with `~` as the home folder.

    Where no file has that very name, a backslash is a '/', and letters with accents may be composed or not.
    """
    if "\\" in written and not os.path.lexists(folder / written):
        written = written.replace("\\", "/")
    return nfc(Path(written).as_posix()), _in_any_form(folder / expanded(written))


def written(item: Any, name: str, folder: Path) -> str:
    """How a table in `folder` names a picture, so that `fit` finds it: its path from there, its name without a file."""
    if not isinstance(item, Path):
        return name
    try:
        return Path(os.path.relpath(item.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return item.resolve().as_posix()


def _in_any_form(path: Path) -> Path:
    """The path, or one that is there and differs in Unicode form alone."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    here = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        forms = [here / part, *(here / unicodedata.normalize(form, part) for form in ("NFC", "NFD"))]
        here = next((each for each in forms if os.path.lexists(each)), forms[0])
    return here


def _asked_for(asked: str, kind: str, listed: list[str], table: Path) -> str:
    alike = _called(asked, listed)
    if len(alike) != 1:
        raise UnknownName("column", asked, listed, f"(in {table}, for `{kind}_column`)")
    return alike[0]


def _called(wanted: str, listed: list[str]) -> list[str]:
    """The columns of this name; those of another case only where none is written so."""
    return [wanted] if wanted in listed else [name for name in listed if name.casefold() == wanted.casefold()]


def plain(name: str) -> str:
    """The name of a column as `USUAL` and its like spell it."""
    return re.sub(r"[-_\s]", "", name).casefold()


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w.-]", name) else name
