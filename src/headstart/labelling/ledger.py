"""What was said of the pictures so far: what the lines of a journal come to, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from headstart.labelling.journal import check
from headstart.labelling.tables import Row
from headstart.visible import visible

NONE = ""
"""The label of a picture that shows none of the classes: it is left out of labels.csv."""


class Said(NamedTuple):
    """What a picture was said to be, and in which action.

    By `hand`; by hand of a picture that was drawn at `random`; `proposed` and confirmed; or by a `table`.
    """

    label: str
    by: str
    action: int


class Ledger:
    """Classes and labels, by the names of pictures, which need not be in the album now.

    `contents` are of every picture that was ever labelled what was in its file then, "" where that is not known.
    `renamed` tells of names that classes had what they are called now. `complete`: the table has all of it. `others`
    are rows of the table that are of no picture here; they follow when a class is renamed.
    """

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.said: dict[str, Said] = {}
        self.contents: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.others: list[Row] = []
        self.action = 0
        self.complete = True
        self._before: dict[int, dict[str, Said | None]] = {}
        self._earlier: dict[str, set[str | None]] = {}  # labels that a table may have which is behind

    def check(self, event: Mapping[str, Any]) -> None:
        """Raise ValueError, with one clause, for a line that cannot come next."""
        check(event)
        old = event["old"] if event["do"] == "rename" else event["label"] if event["do"] == "label" else NONE
        if old != NONE and old not in self.classes:
            raise ValueError(f"there is no class '{visible(old)}'")
        if event["do"] in ("class", "rename"):
            new = event["name" if event["do"] == "class" else "new"]
            new.encode()  # half a surrogate pair is no text
            if new == NONE or new in self.classes:
                raise ValueError(f"the class '{visible(new)}' is not possible, or already exists")

    def take(self, event: Mapping[str, Any]) -> None:
        """The next line of the journal, which is one that `check` lets pass."""
        self.action += 1
        self.complete = event["do"] == "table"
        match event["do"]:
            case "class":
                self.classes.append(event["name"])
                self.renamed.pop(event["name"], None)
            case "rename":
                self._rename(event["old"], event["new"])
            case "label":
                pictures, unknown = event["pictures"], [""] * len(event["pictures"])
                self.contents.update(zip(pictures, event.get("contents") or unknown, strict=True))
                self._before[self.action] = {name: self.said.get(name) for name in pictures}
                said = Said(event["label"], event.get("by", "hand"), self.action)
                self._set(dict.fromkeys(pictures, said))
            case "clear":
                self._set(dict.fromkeys(event["pictures"]))
            case "undo":
                self._set(self._before.pop(event["action"], {}))
            case "away":
                for name in event["pictures"]:
                    self._earlier.setdefault(name, set()).add(None)
            case "table":
                self._earlier = {name: {None} for name in event["without"]}

    def of_action(self, action: int) -> list[str]:
        """The pictures that were labelled in an action, none where it was taken back."""
        return list(self._before.get(action, ()))

    def may_tell(self, name: str, label: str | None) -> bool:
        """Whether a table that is behind may say this of a picture: it was so since all was written."""
        return label in self._earlier.get(name, ())

    def _set(self, those: Mapping[str, Said | None]) -> None:
        for name, said in those.items():
            was = self.said.get(name)
            self._earlier.setdefault(name, set()).add(None if was is None or was.label == NONE else was.label)
            if said is None:
                self.said.pop(name, None)
            else:
                self.said[name] = said

    def _rename(self, old: str, new: str) -> None:
        self.classes = [new if name == old else name for name in self.classes]
        self._set({name: said._replace(label=new) for name, said in self.said.items() if said.label == old})
        self.others = [(image, new if label == old else label, by) for image, label, by in self.others]
        for before in self._before.values():
            before.update({k: s._replace(label=new) for k, s in before.items() if s and s.label == old})
        self.renamed = {was: new if now == old else now for was, now in self.renamed.items() if was != new}
        self.renamed[old] = new
