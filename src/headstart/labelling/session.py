"""A labelling session: who is what so far, kept in a journal and written to labels.csv after every action."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headstart.errors import DataError, UserError
from headstart.images.names import natural_sort, nfc
from headstart.images.options import Reading
from headstart.labelling.album import Album
from headstart.labelling.journal import Journal, check
from headstart.labelling.tables import brought, check_columns, image_cells, read_labels, write_labels, written
from headstart.phrases import plural
from headstart.visible import visible

HELD_S = 120.0
"""Seconds for which a picture that one tab shows is not shown by another."""
LONGEST = 200
"""Characters of a class's name."""
MEASURED = ("random", "table")
NONE = ""
"""The label of a picture that shows none of the classes: it is left out of labels.csv."""


class Said(NamedTuple):
    """What a picture was said to be, and in which action.

    By `hand`; by hand of a picture that was drawn at `random`; `proposed` and confirmed; or by a `table`.
    """

    label: str
    by: str
    action: int


class Conflict(Exception):
    """An action on a picture that has changed since: by another tab, or by an undo."""


@dataclass(frozen=True)
class Snapshot:
    """The labels at a time: `labels` by place, without those of none of the classes, which are in `none`.

    `random` are those that were drawn at random, or come from a table: the accuracy is measured by these.
    """

    classes: tuple[str, ...]
    labels: Mapping[int, str]
    none: tuple[int, ...]
    random: frozenset[int]
    version: int


class Session:
    """The labels of an album. Every method may be called by any thread; a change is on the disk when it returns."""

    def __init__(self, album: Album, out: Path, classes: Sequence[str] = ()) -> None:
        self.album, self.out = album, out
        self.names = {name: i for i, name in enumerate(album.images.names)}
        self.classes: list[str] = []
        self.said: dict[int, Said] = {}
        self.absent: dict[str, Said] = {}  # of pictures that are not in the album now
        self.order: list[int] = []
        self.at_random: set[int] = set()
        self.others: list[tuple[str, str]] = []  # image and label of the rows that are of no picture here
        self.notes: list[str] = []
        self.action = 0
        self._cells = image_cells(album, out.parent)
        self._before: dict[int, dict[str, Said | None]] = {}
        self._skipped: dict[int, None] = {}
        self._shown: dict[int, tuple[str, float]] = {}
        self._lock = threading.RLock()
        self.changed = threading.Event()
        self.journal = Journal(out.with_name(f"{out.name}.journal"))
        try:
            before = self._restore()
            if out.exists():
                self._take_up(before)
            known = {each.get(key) for each in self.journal.events for key in ("name", "old")}  # also an earlier name
            for name in classes:
                if nfc(name.strip()) not in known | {*self.classes}:
                    self.add_class(name)
        except BaseException:
            self.journal.close()
            raise
        self._write()

    def close(self) -> None:
        """Give the journal back."""
        self.journal.close()

    # What changes it

    def label(self, places: Sequence[int], label: str, seen: int, by: str = "hand") -> int:
        """Say what pictures are; `seen` is the last action that the caller knows of them. The number of this one.

        Raises Conflict where a picture has changed since, UserError for a class that there is not.
        """
        with self._lock:
            if label != NONE and label not in self.classes:
                raise UserError(f"There is no class '{visible(label)}'; add it first.")
            if not places:
                raise UserError("No picture was named.")
            if any(self.seen(i) > seen for i in places):
                raise Conflict
            names = [self.album.images.names[i] for i in places]
            return self._do({"do": "label", "pictures": names, "label": label, "by": by})

    def undo(self, action: int) -> list[int]:
        """Take an action back; the places of its pictures. Raises Conflict where one has changed since."""
        with self._lock:
            names = list(self._before.get(action, {}))
            if not names or any(self._of(name) is None or self._of(name).action != action for name in names):  # type: ignore[union-attr]
                raise Conflict
            self._do({"do": "undo", "action": action})
            places = [self.names[name] for name in names if name in self.names]
            self.order = [*places[:1], *self.order]
            return places

    def add_class(self, name: str) -> None:
        """A new class. Raises UserError for a name that is empty, too long or taken."""
        with self._lock:
            self._do({"do": "class", "name": self._new_name(name)})

    def rename(self, old: str, new: str) -> None:
        """Give a class another name, and all its pictures with it. Raises UserError as `add_class`."""
        with self._lock:
            if old not in self.classes:
                raise UserError(f"There is no class '{visible(old)}'.")
            self._do({"do": "rename", "old": old, "new": self._new_name(new)})

    def skip(self, i: int) -> None:
        """Show a picture again when all others are done."""
        with self._lock:
            self._skipped[i] = None

    # What is asked of it

    def seen(self, i: int) -> int:
        """The last action on a picture, 0 for none."""
        said = self.said.get(i)
        return said.action if said else 0

    def snapshot(self) -> Snapshot:
        """The labels now."""
        with self._lock:
            labels = {i: said.label for i, said in self.said.items() if said.label != NONE}
            none = tuple(i for i, said in self.said.items() if said.label == NONE)
            random = frozenset(i for i, said in self.said.items() if said.by in MEASURED)
            return Snapshot(tuple(self.classes), labels, none, random, self.action)

    def next(self, n: int, tab: str) -> list[int]:
        """Up to n pictures for a tab to show, the most useful first: not labelled, and in no other tab."""
        with self._lock:
            now, found = time.monotonic(), []
            ranked: Iterable[int] = dict.fromkeys((*self.order, *range(len(self.names))))
            for i in (*(i for i in ranked if i not in self._skipped), *self._skipped):
                holder, until = self._shown.get(i, ("", 0.0))
                if i in self.said or (holder != tab and until > now) or any(j in found for j in self.album.alike(i)):
                    continue
                self._shown[i] = (tab, now + HELD_S)
                found.append(i)
                if len(found) == n:
                    break
            return found

    # How it is kept

    def _new_name(self, name: str) -> str:
        new = nfc(" ".join(name.split()))
        if not new or len(new) > LONGEST or not new.isprintable():
            raise UserError(f"A class needs a name of 1 to {LONGEST} printable characters.")
        if new.casefold() in (each.casefold() for each in self.classes):
            raise UserError(f"There is a class '{new}' already.")
        return new

    def _do(self, event: dict[str, Any]) -> int:
        """Keep an action in the journal, then in memory and in the table."""
        try:
            self.journal.append(event)
        except OSError as error:
            raise UserError(
                f"The label could not be kept ({error.strerror or error}): make room on the disk."
            ) from None
        self._replay(event)
        self._write()
        self.changed.set()
        return self.action

    def _restore(self) -> dict[int, str]:
        """Replay the journal; the labels before its last action. Raises DataError for a line that cannot be."""
        before: dict[int, str] = {}
        for number, event in enumerate(self.journal.events, start=1):
            before = dict(self.snapshot().labels) if number == len(self.journal.events) else before
            try:
                check(event)
                self._check_classes(event)
            except ValueError as error:
                raise DataError(
                    f"{self.journal.path} line {number} is damaged ({error}); mend or delete that line."
                ) from None
            self._replay(event)
        return before

    def _check_classes(self, event: Mapping[str, Any]) -> None:
        """Raise ValueError where a line speaks of a class that there is not then, or makes one that cannot be."""
        old = event["old"] if event["do"] == "rename" else event["label"] if event["do"] == "label" else NONE
        if old != NONE and old not in self.classes:
            raise ValueError(f"there is no class '{visible(old)}'")
        if event["do"] in ("class", "rename"):
            new = event["name" if event["do"] == "class" else "new"]
            new.encode()  # half a surrogate pair is no text
            if new == NONE or new in self.classes:
                raise ValueError(f"there cannot be a class '{visible(new)}', or there is one already")

    def _replay(self, event: Mapping[str, Any]) -> None:
        kind = event.get("do")
        self.action += 1
        if kind == "class":
            self.classes.append(str(event["name"]))
        elif kind == "rename":
            old, new = str(event["old"]), str(event["new"])
            self.classes = [new if name == old else name for name in self.classes]
            for kept in (self.said, self.absent):
                kept.update({key: s._replace(label=new) for key, s in kept.items() if s.label == old})  # type: ignore[misc]
            self.others = [(image, new if label == old else label) for image, label in self.others]
            for before in self._before.values():
                before.update({k: s._replace(label=new) for k, s in before.items() if s and s.label == old})
        elif kind == "label":
            names = [str(name) for name in event["pictures"]]
            self._before[self.action] = {name: self._of(name) for name in names}
            for name in names:
                self._set(name, Said(str(event["label"]), str(event.get("by", "hand")), self.action))
        elif kind == "undo":
            for name, said in self._before.pop(int(event["action"]), {}).items():
                self._set(name, said)

    def _of(self, name: str) -> Said | None:
        return self.said.get(self.names[name]) if name in self.names else self.absent.get(name)

    def _set(self, name: str, said: Said | None) -> None:
        kept: dict[Any, Said] = self.said if name in self.names else self.absent
        key: Any = self.names.get(name, name)
        if said is None:
            kept.pop(key, None)
        else:
            kept[key] = said

    def _take_up(self, before: Mapping[int, str]) -> None:
        """Labels that the table has and this journal did not write: it is from elsewhere, or was changed by hand.

        A process that is killed leaves the table as it was `before` the last action, or as it is after it. Rows of
        pictures that are not here stay in it. Raises DataError where all are such: it is the table of other pictures;
        and where it has columns that would not.
        """
        check_columns(self.out)
        known, now = read_labels(self.out, self.album.images), dict(self.snapshot().labels)
        if known.strangers:
            told = plural(len(known.strangers), "label")
            if not known.labels:
                moved = ", or delete it if the pictures were moved: the journal beside it has the labels" if now else ""
                here = self.album.images.title
                raise DataError(f"{self.out} has {told}, none of a picture of {here}; name another `out`{moved}.")
            self.others = [(written(Path(file), file, self.out.parent), label) for file, label in known.strangers]
            self.notes.append(f"{told} of {self.out} stay in it as they are: no such picture here.")
        if known.labels not in (before, now):
            self._take(known.labels)

    def take(self, data: Path | str, reading: Reading | None = None) -> int:
        """Take up the labels of a table or of class folders; how many were new. Raises UserError and its kinds."""
        known = brought(data, self.album.images, reading)
        if known.strangers:
            self.notes.append(f"{plural(len(known.strangers), 'label')} of {data} left out: no such picture here.")
        return self._take(known.labels)

    def _take(self, labels: Mapping[int, str]) -> int:
        with self._lock:
            for name in natural_sort(labels.values()):
                if name not in self.classes:
                    self._do({"do": "class", "name": name})
            taken = 0
            for name in self.classes:
                places = [i for i, label in labels.items() if label == name and not self._is(i, name)]
                if places:
                    names = [self.album.images.names[i] for i in places]
                    self._do({"do": "label", "pictures": names, "label": name, "by": "table"})
                taken += len(places)
            return taken

    def _is(self, i: int, label: str) -> bool:
        said = self.said.get(i)
        return said is not None and said.label == label

    def _write(self) -> None:
        """Write labels.csv, whole: `fit` reads the old one or the new one."""
        rows = [(self._cells[i], said.label, said.by) for i, said in sorted(self.said.items()) if said.label != NONE]
        try:
            write_labels(self.out, [*rows, *((image, label, "table") for image, label in self.others)])
        except OSError as error:
            self.notes.append(
                f"{self.out} could not be written ({error.strerror or error}); the journal has every label."
            )
