"""A labelling session: who is what so far, kept in a journal and written to labels.csv after every action."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import DataError, UserError
from headstart.images.names import natural_sort, nfc, twin_key
from headstart.images.options import Reading
from headstart.images.sources.cells import written
from headstart.images.sources.table import is_table
from headstart.labelling.album import Album
from headstart.labelling.journal import Journal, sync
from headstart.labelling.ledger import NONE, Ledger, Said
from headstart.labelling.tables import Known, brought, check_columns, image_cells, read_labels, write_labels
from headstart.phrases import first_of, plural, twice
from headstart.visible import visible

HELD_S = 120.0
"""Seconds for which a picture that one tab shows is not shown by another."""
LONGEST = 200
"""Characters of a class's name."""
MEASURED = ("random", "table")


def one_form(name: str) -> str:
    """The name of a class as it is kept: each space one, letters composed."""
    return nfc(" ".join(name.split()))


def new_name(name: str, others: Sequence[str]) -> str:
    """The name of a new class as it is kept. Raises UserError for one that is empty, too long or taken."""
    new = one_form(name)
    if not new or len(new) > LONGEST or not new.isprintable():
        raise UserError(f"A class needs a name of 1 to {LONGEST} printable characters.")
    if twin_key(new) in map(twin_key, others):
        raise UserError(f"There is already a class '{new}'.")
    return new


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
        self.names = album.images.places
        self.ledger = Ledger()
        self.order: list[int] = []
        self.at_random: set[int] = set()
        self.notes: list[str] = []
        self._cells = image_cells(album, out.parent)
        for n, name in enumerate(classes):
            new_name(name, [one_form(each) for each in classes[:n]])
        self._contents = [row.tobytes().hex() for row in album.extraction.contents]
        self._written = False  # the table has all
        self._skipped: dict[int, None] = {}
        self._shown: dict[int, tuple[str, float]] = {}
        self._lock = threading.RLock()
        self.changed = threading.Event()
        self.journal = Journal(out.with_name(f"{out.name}.journal"))
        try:
            self._restore()
            self._check_contents()
            if out.exists():
                self._take_up()
            if away := [name for name in self._absent() if not self.ledger.may_tell(name, None)]:
                self._do({"do": "away", "pictures": away})
            for name in classes:
                if one_form(name) not in {*self.classes, *self.ledger.renamed}:
                    self.add_class(name)
        except BaseException:
            self.journal.close()
            raise
        self._write()

    def close(self) -> None:
        """Give the journal back; where the table has all that is in it, it says so."""
        with self._lock, contextlib.suppress(OSError):
            if self._written and not self.ledger.complete and not self.journal.closed:
                for path in (self.out, self.out.parent):
                    sync(path)
                self.journal.append({"do": "table", "without": self._absent()})
        self.journal.close()

    # What changes it

    def label(self, places: Sequence[int], label: str, seen: int, by: str = "hand") -> int:
        """Say what pictures are; `seen` is the last action that the caller knows of them. The number of this one.

        Raises Conflict where a picture has changed since, UserError for a class that there is not.
        """
        with self._lock:
            self._check(places, label, seen)
            return self._say(places, label, by)

    def confirm(self, proposed: Sequence[tuple[Sequence[int], str, int]]) -> None:
        """Keep proposals (places, label, seen) that a person has looked at: all, or none. Raises as `label`."""
        with self._lock:
            for places, label, seen in proposed:
                self._check(places, label, seen)
            if twice(str(i) for places, _, _ in proposed for i in places) is not None:
                raise UserError("A picture is listed twice.")
            for places, label, _ in proposed:
                self._say(places, label, "proposed")

    def undo(self, action: int) -> list[int]:
        """Take an action back; the places of its pictures. Raises Conflict where one has changed since."""
        with self._lock:
            names = self.ledger.of_action(action)
            if not names:
                raise UserError("There is no such action, or it was already undone.")
            now = [self.ledger.said.get(name) for name in names]
            if any(said is None or said.action != action for said in now):
                raise Conflict
            self._do({"do": "undo", "action": action})
            places = [self.names[name] for name in names if name in self.names]
            self.order = [*places[:1], *self.order]
            return places

    def add_class(self, name: str) -> None:
        """A new class. Raises UserError for a name that is empty, too long or taken."""
        with self._lock:
            self._do({"do": "class", "name": new_name(name, self.classes)})

    def rename(self, old: str, new: str) -> None:
        """Give a class another name, perhaps in case alone, and all its pictures with it. Raises as `add_class`."""
        with self._lock:
            if old not in self.classes:
                raise UserError(f"There is no class '{visible(old)}'.")
            others = [name for name in self.classes if name != old or one_form(new) == old]
            self._do({"do": "rename", "old": old, "new": new_name(new, others)})

    def skip(self, i: int) -> None:
        """Show a picture again when all others are done."""
        with self._lock:
            self._skipped[i] = None

    # What is asked of it

    @property
    def classes(self) -> list[str]:
        """Their names, in the order in which they came."""
        return self.ledger.classes

    @property
    def action(self) -> int:
        """The number of the last action."""
        return self.ledger.action

    def said(self, i: int) -> Said | None:
        """What the picture at a place was said to be, None where nothing was."""
        return self.ledger.said.get(self.album.images.names[i])

    def seen(self, i: int) -> int:
        """The last action on a picture, 0 for none."""
        said = self.said(i)
        return said.action if said else 0

    def snapshot(self) -> Snapshot:
        """The labels now."""
        with self._lock:
            here = self._here()
            labels = {i: said.label for i, said in here.items() if said.label != NONE}
            none = tuple(i for i, said in here.items() if said.label == NONE)
            random = frozenset(i for i, said in here.items() if said.by in MEASURED)
            return Snapshot(tuple(self.classes), labels, none, random, self.action)

    def next(self, n: int, tab: str) -> list[int]:
        """Up to n pictures for a tab to show, the most useful first: not labelled, and in no other tab."""
        with self._lock:
            now, found = time.monotonic(), []
            ranked: Iterable[int] = dict.fromkeys((*self.order, *range(len(self.names))))
            for i in (*(i for i in ranked if i not in self._skipped), *self._skipped):
                holder, until = self._shown.get(i, ("", 0.0))
                held = holder != tab and until > now
                if self.said(i) is not None or held or any(j in found for j in self.album.alike(i)):
                    continue
                self._shown[i] = (tab, now + HELD_S)
                found.append(i)
                if len(found) == n:
                    break
            return found

    def _here(self) -> dict[int, Said]:
        """What was said of the pictures of the album, by place."""
        said = self.ledger.said
        return {i: said[name] for name, i in self.names.items() if name in said}

    def _absent(self) -> list[str]:
        """Pictures that were said to be something, and are not in the album now."""
        return [name for name in self.ledger.said if name not in self.names]

    # How it is kept

    def _check(self, places: Sequence[int], label: str, seen: int) -> None:
        if label != NONE and label not in self.classes:
            raise UserError(f"There is no class '{visible(label)}'; add it first.")
        if not places:
            raise UserError("No picture was given.")
        if any(self.seen(i) > seen for i in places):
            raise Conflict

    def _say(self, places: Sequence[int], label: str, by: str) -> int:
        names = [self.album.images.names[i] for i in places]
        contents = [self._contents[i] for i in places]
        return self._do({"do": "label", "pictures": names, "label": label, "by": by, "contents": contents})

    def _do(self, event: dict[str, Any]) -> int:
        """Keep an action in the journal, then in memory and in the table."""
        try:
            self.journal.append(event)
        except OSError as error:
            raise UserError(
                f"The label could not be saved ({error.strerror or error}): free some disk space."
            ) from None
        self.ledger.take(event)
        self._write()
        self.changed.set()
        return self.action

    def _restore(self) -> None:
        """Replay the journal. Raises DataError for a line that cannot be."""
        for number, event in enumerate(self.journal.events, start=1):
            try:
                self.ledger.check(event)
            except ValueError as error:
                raise DataError(
                    f"{self.journal.path} line {number} is damaged ({error}); fix or delete that line."
                ) from None
            self.ledger.take(event)

    def _check_contents(self) -> None:
        """Raise DataError where most of the pictures labelled are other ones under the same names; note a few."""
        names = self.album.images.names
        before = {names[i]: (self._contents[i], self.ledger.contents[names[i]]) for i in self._here()}
        known = [(name, now == then) for name, (now, then) in before.items() if then]
        changed = [name for name, same in known if not same]
        if 2 * len(changed) > len(known):
            edited = " If the pictures were edited, delete it: the table has the labels." if self.out.exists() else ""
            raise DataError(
                f"{self.journal.path} belongs to other pictures than those of {self.album.images.title}, though their "
                f"names are the same; name another `out`.{edited}"
            )
        if changed:
            self.notes.append(
                f"Pictures that have changed since they were labelled (labels kept): {first_of(changed, 3)}."
            )

    def _take_up(self) -> None:
        """What the table has that this journal did not write: it is from elsewhere, or was changed by hand.

        Rows of pictures that are not here stay in it. Raises DataError where all are such: it is the table of other
        pictures; and where it has columns that would not stay.
        """
        check_columns(self.out)
        known = read_labels(self.out, self.album.images)
        self._keep_strangers(known)
        changed, gone, behind = self._by_hand(known.labels)
        again = sum(self.said(i) is not None for i in changed)
        if self.journal.events and (changed or gone):
            counts = f"{again} changed, {len(changed) - again} added, {len(gone)} removed"
            self.notes.append(f"{self.out} was changed by hand ({counts}).")
        if behind:
            self.notes.append(f"{self.out} was {plural(behind, 'label')} behind the journal, so it is written again.")
        if gone:
            self._do({"do": "clear", "pictures": [self.album.images.names[i] for i in gone]})
        before = {i: said.by if said.by != "proposed" else "hand" for i, said in self._here().items()}
        self._take(changed, {**known.by, **before})  # how the picture was chosen stays as it was

    def _keep_strangers(self, known: Known) -> None:
        if not known.strangers:
            return
        told = plural(len(known.strangers), "label")
        if not known.labels:
            moved = ", or delete it if the pictures were moved: the journal next to it has the labels"
            raise DataError(
                f"{self.out} has {told}, but none for a picture of {self.album.images.title}; "
                f"name another `out`{moved if self.snapshot().labels else ''}."
            )
        self.ledger.others = [
            (written(Path(file), file, self.out.parent), label, by) for file, label, by in known.strangers
        ]
        self.notes.append(f"{told} in {self.out} left unchanged: no matching picture here.")

    def _by_hand(self, labels: Mapping[int, str]) -> tuple[dict[int, str], list[int], int]:
        """Labels that were changed in the table, places of those removed, and how many it is merely behind by.

        A process that is killed, or cannot write, leaves the table as it was after some earlier action. Where the
        journal says that the table had all, any difference is by hand.
        """
        now, changed, gone, behind = self.snapshot().labels, dict[int, str](), list[int](), 0
        home = {cell: i for i, cell in enumerate(self._cells)}  # of two names of one file the table has one
        for i in sorted(now.keys() | labels.keys()):
            told = labels.get(home[self._cells[i]])
            if told == now.get(i):
                continue
            if self.ledger.may_tell(self.album.images.names[i], told):
                behind += 1
            elif told is None:
                gone.append(i)
            else:
                changed[i] = told
        return changed, gone, behind

    def take(self, data: Path | str, reading: Reading | None = None) -> int:
        """Take up the labels of a table or of class folders, of pictures that were never labelled here; how many.

        Raises UserError and its kinds.
        """
        known = brought(data, self.album.images, reading)
        if known.strangers:
            self.notes.append(f"{plural(len(known.strangers), 'label')} in {data} left out: no matching picture here.")
        with self._lock:
            names, now = self.album.images.names, self.snapshot().labels
            labels = {i: self.ledger.renamed.get(label, label) for i, label in known.labels.items()}
            new = {i: label for i, label in labels.items() if names[i] not in self.ledger.contents}
            if other := sum(i not in new and now.get(i) != label for i, label in labels.items()):
                self.notes.append(f"{plural(other, 'label')} in {data} left out: newer labels given here are kept.")
            return self._take(new, known.by)

    def mention(self, data: Any, reading: Reading | None = None) -> None:
        """Note the labels in the table of the pictures itself, which are taken up only when that is asked."""
        if not isinstance(data, str | os.PathLike) or not is_table(os.fspath(data)):
            return
        with contextlib.suppress(UserError):  # a table without labels, or with some that are missing
            labels = read_labels(data, self.album.images, reading).labels
            if more := sum(self.album.images.names[i] not in self.ledger.contents for i in labels):
                told = f"{data} has {plural(more, 'label')} that {'is' if more == 1 else 'are'} not used yet"
                self.notes.append(f"{told}; add `--labels {data}` to use them.")

    def _take(self, labels: Mapping[int, str], by: Mapping[int, str]) -> int:
        with self._lock:
            for name in natural_sort(labels.values()):
                if name not in self.classes:
                    self._do({"do": "class", "name": name})
            alike: dict[tuple[str, str], list[int]] = {}
            for i, label in labels.items():
                alike.setdefault((label, by.get(i, "table")), []).append(i)
            for (label, who), places in sorted(alike.items()):
                self._say(places, label, who)
            return len(labels)

    def _write(self) -> None:
        """Write labels.csv, whole: `fit` reads the old one or the new one."""
        rows = [(self._cells[i], said.label, said.by) for i, said in self._here().items() if said.label != NONE]
        try:
            write_labels(self.out, [*rows, *self.ledger.others])
            self._written = True
        except OSError as error:
            self._written = False
            self.notes.append(
                f"{self.out} could not be written ({error.strerror or error}); the journal has every label."
            )
