"""A folder of class folders, with or without parts: `root/cat/1.jpg` or `root/train/cat/1.jpg`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from headstart.errors import DataError, Refused
from headstart.images.cures import TABLES, cured
from headstart.images.decode import check_header
from headstart.images.files import peek
from headstart.images.formats import HEAD, SUFFIXES
from headstart.images.imageset import ImageSet, Refusal
from headstart.images.names import check_twins, escape, in_one_form, natural_sort, nfc
from headstart.images.options import LoadOptions
from headstart.images.parts import check_classes_in_train, part_of
from headstart.images.sources.walk import Listing, Parts, name_of, walk
from headstart.phrases import first_of

EXPECTED = (
    "expected one folder for each class (FOLDER/cat/1.jpg), "
    "or parts with class folders (FOLDER/train/cat/1.jpg, FOLDER/test/cat/2.jpg)"
)
LEFT_OUT = "Class folders that hold no picture are left out"
"""How the note on empty class folders begins."""
ONE_CLASS = "There is one class folder"
"""How the note on a class folder that may hold the class folders begins."""


def accepts(data: Any) -> bool:
    """Any folder."""
    return isinstance(data, Path) and data.is_dir()


def load(data: Path, options: LoadOptions) -> ImageSet:
    """Files by class folder; `labelled=False` takes every picture below the folder, without labels.

    Nothing is decoded; a file whose ending is not a picture's is judged by its first bytes. Raises `DataError` for
    a layout without classes, an empty class folder (unless allowed), look-alike class names, and a class that only
    a later part has.
    """
    return of_listing(data, walk(data, options.follow_links), options)


def of_listing(data: Path, found: Listing, options: LoadOptions) -> ImageSet:
    """As `load`, of what was found at `data`."""
    if not options.labelled:
        return _imageset(data, found.files, [("", "")] * len(found.files), (found, options))
    layout = _layout(found, data)
    placed = [(parts, place) for parts in found.files if (place := layout.place(parts))]
    loose = [parts for parts in found.files if not layout.place(parts)]
    found.refused += [
        Refusal(name_of(parts), "no-class", "outside the class folders") for parts in loose if looks(parts)
    ]
    for top in {top for top, _ in layout.class_folders}:
        check_twins((name for folder, name in layout.class_folders if folder == top), str(data))
    check_twins((nfc(name) for _, name in layout.class_folders), str(data))
    images = _imageset(data, [p for p, _ in placed], [place for _, place in placed], (found, options))
    if len(images.classes) == 1 and found.links:
        raise DataError(f"{images.title} has one class, '{images.classes[0]}'.{cured(found.refused)}")
    images = replace(images, notes=(*images.notes, *_tables_beside(found)))
    return _checked(images, layout, options)


@dataclass(frozen=True)
class _Layout:
    """Which top folders are parts ({} when classes are at the top), and the (part folder, class folder) pairs."""

    parts: dict[str, str]
    class_folders: tuple[tuple[str, str], ...]

    def place(self, parts: Parts) -> tuple[str, str] | None:
        """(part, class folder) of a file, or None for one that lies beside the class folders."""
        if not self.parts:
            return ("", parts[0]) if len(parts) > 1 else None
        return (self.parts[parts[0]], parts[1]) if len(parts) > 2 else None


def _layout(found: Listing, root: Path) -> _Layout:
    tops = sorted(parts[0] for parts in found.folders if len(parts) == 1)
    below = sorted(parts for parts in found.folders if len(parts) == 2)
    if not tops:
        what = "has pictures but no class folders" if found.files else f"holds no picture{_first(found.refused)}"
        table = f" If {_listed(tables[:1])} has the labels, give that." if (tables := _tables(found)) else ""
        raise DataError(f"{root} {what}: {EXPECTED}.{table}{cured(found.refused)}")
    with_classes = {top for top, _ in below}
    parts = {top: part for top in tops if (part := part_of(top)) and top in with_classes}
    if not parts:
        if all(part_of(top) for top in tops):
            raise DataError(f"{root}: {_listed(tops)} has no class folders; {EXPECTED}.")
        return _Layout({}, tuple(("", top) for top in tops))
    _check_parts(parts, tops, root)
    return _Layout(parts, tuple((top, name) for top, name in below))


def _tables(found: Listing) -> list[str]:
    """The tables at the top of a folder, which may have the labels."""
    return [parts[0] for parts in found.files if len(parts) == 1 and parts[0].lower().endswith(TABLES)]


def _check_parts(parts: dict[str, str], tops: list[str], root: Path) -> None:
    if bare := [top for top in tops if part_of(top) and top not in parts]:
        raise DataError(
            f"{root}: {_listed(bare)} has no class folders although {_listed(parts)} has; {EXPECTED}. Pictures "
            f"without labels cannot be used for scores: move {_listed(bare)} out of the folder, and use `predict` to "
            "classify them."
        )
    if others := [top for top in tops if top not in parts]:
        raise DataError(
            f"{root} mixes parts ({_listed(parts)}) with other folders ({_listed(others)}): move the others away, "
            "or put every class below the parts."
        )
    if len(set(parts.values())) < len(parts):
        raise DataError(f"{root}: {_listed(parts)} name the same part twice; keep one of them.")


def _imageset(
    root: Path, files: list[Parts], places: list[tuple[str, str]], rest: tuple[Listing, LoadOptions]
) -> ImageSet:
    found, options = rest
    keep = []
    for i, parts in enumerate(files):
        if refusal := _judge(found, parts):
            found.refused.append(refusal)
        else:
            keep.append(i)
    named = [class_name(places[i][1]) for i in keep]
    classes = natural_sort(named) if options.labelled else ()
    index = {name: k for k, name in enumerate(classes)}
    return ImageSet(
        items=[found.at(files[i]) for i in keep],
        names=in_one_form([name_of(files[i]) for i in keep]),
        labels=np.array([index.get(name, -1) for name in named], np.int64),
        classes=classes,
        parts=np.array([places[i][0] for i in keep], "U11"),
        refused=tuple(sorted(found.refused, key=lambda r: r.name)),
        title=escape(root.name) or str(root),
        limits=options.limits,
    )


def class_name(folder: str) -> str:
    """The name of the class whose pictures a folder holds."""
    return escape(nfc(folder))


def _judge(found: Listing, parts: Parts) -> Refusal | None:
    """Files with a picture's ending are believed until they are decoded; others must start like a picture."""
    if looks(parts):
        return None
    try:
        at = found.at(parts)
        check_header(peek(at, HEAD) if isinstance(at, Path) else at.read(most=HEAD))
    except Refused as refused:
        return Refusal(name_of(parts), refused.reason, refused.detail)
    return None


def looks(parts: Parts) -> bool:
    """Whether a file's ending is a picture's."""
    return PurePath(parts[-1]).suffix.lower() in SUFFIXES


def _checked(images: ImageSet, layout: _Layout, options: LoadOptions) -> ImageSet:
    labelled = zip(images.names, images.labels.tolist(), strict=True)
    per_part = {(name.split("/")[0] if layout.parts else "", images.classes[k]) for name, k in labelled}
    empty = [(t, name) for t, name in layout.class_folders if (class_name(t), class_name(name)) not in per_part]
    folders = [f"{top}/{name}" if top else name for top, name in empty]
    if empty and not options.allow_empty_classes:
        raise DataError(
            f"{images.title}: no picture in the class folder {_listed(folders)}; "
            f"add pictures, remove the folder, or add allow_empty_classes=True.{cured(images.refused)}"
        )
    if not images.classes:
        raise DataError(f"{images.title} holds no picture{_first(images.refused)}: {EXPECTED}.{cured(images.refused)}")
    check_classes_in_train(images.labels, images.parts, images.classes, images.title)
    notes = [f"{LEFT_OUT}: {_listed(folders)}."] if empty else []
    return replace(
        images, notes=(*images.notes, *notes, *_parts_below(images, layout), *_classes_below(images, layout))
    )


def _tables_beside(found: Listing) -> tuple[str, ...]:
    """A note on tables beside class folders."""
    tables = _tables(found)
    if not tables:
        return ()
    which = f"{_listed(tables)} in the folder {'is' if len(tables) == 1 else 'are'}"
    return (f"{which} not read: the classes are those of the folders. To take the labels of a table, give the table.",)


def _parts_below(images: ImageSet, layout: _Layout) -> Iterator[str]:
    """A note where the parts are one level too low: below the classes, or in data sets that are taken for classes."""
    if layout.parts:
        return
    inner = {second for name in images.names if len(parts := name.split("/")) > 2 and part_of(second := parts[1])}
    if inner:
        yield (
            f"The folders {_listed(sorted(inner))} are inside the classes ({_listed(images.classes)}), and everything "
            "in them is read as pictures of these classes. Parts go above classes (FOLDER/train/cat/1.jpg); if these "
            "are several data sets, give one of them."
        )


def _classes_below(images: ImageSet, layout: _Layout) -> Iterator[str]:
    """A note where the only class is a folder of folders, which may be the classes."""
    if layout.parts or len(images.classes) > 1:
        return
    inner = {second for name in images.names if len(parts := name.split("/")) > 2 and not part_of(second := parts[1])}
    if len(inner) > 1:
        yield (
            f"{ONE_CLASS}, {_listed(images.classes)}, and it has folders ({_listed(natural_sort(inner))}): if these "
            f"are the classes, give the folder {_listed(images.classes)} in place of the one above it."
        )


def on_left_out(images: ImageSet) -> str:
    """The notes on class folders that are empty, or too high, as the end of an error; empty where there is none."""
    return images.noted(LEFT_OUT) + images.noted(ONE_CLASS)


def _first(refused: Sequence[Refusal]) -> str:
    """How many files were refused, and why the first of them was."""
    if not refused:
        return ""
    name, why = refused[0].name[:100], refused[0].detail or refused[0].reason
    return f" that can be used ({len(refused):,} refused; the first: {name}: {why})"


def _listed(names: Iterable[str]) -> str:
    return first_of([f"'{escape(name)}'" for name in names], 10)
