"""What a classifier says of pictures, as rows, with sets of classes where a coverage is asked for, and as files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import outputs, records
from headstart.classifier import Classifier, top
from headstart.errors import UserError
from headstart.exported import AnsweredHead
from headstart.images import Refusal
from headstart.paths import expanded
from headstart.phrases import first_of, plural

FORMATS = ("csv", "json", "parquet")


@dataclass(frozen=True, repr=False)
class Predictions:
    """Predicted classes of the pictures that could be used: `names` (m), `probabilities` (m, k), and the refused.

    `known` (m,) is False of pictures that are like none that the classifier was fitted on; None where it cannot tell.
    `sets` (m, k) are the classes in each picture's set, where a coverage was asked for; `notes` say why they are full.
    """

    names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    refused: tuple[Refusal, ...]
    known: NDArray[np.bool_] | None = None
    sets: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = Counter(self.classes[k] for k in self.probabilities.argmax(axis=1).tolist()).most_common()
        named = first_of([f"{name} {n:,}" for name, n in counts], 5)
        refused = f"; {len(self.refused):,} refused" if self.refused else ""
        return f"Predictions({plural(len(self.names), 'picture')}: {named or 'none'}{refused})"

    def rows(self, topk: int = 1, *, probabilities: bool = False) -> list[dict[str, Any]]:
        """One dictionary a picture: name, and the `topk` most probable classes with their probabilities.

        With `probabilities` also `p:CLASS` of every class, in their order. `known` and `set`, a list of classes from
        the most probable on, are there where the predictions have them.
        """
        if topk < 1:
            raise UserError(f"topk={topk} is not possible: give a whole number of 1 or more.")
        order = top(self.probabilities, topk)
        found: list[dict[str, Any]] = []
        for i, (name, p, ranks) in enumerate(zip(self.names, self.probabilities, order, strict=True)):
            row: dict[str, Any] = {
                "name": name,
                "predicted": self.classes[ranks[0]],
                "confidence": round(float(p[ranks[0]]), 6),
            }
            for place, k in enumerate(ranks[1:], start=2):
                row[f"predicted_{place}"], row[f"confidence_{place}"] = self.classes[k], round(float(p[k]), 6)
            if probabilities:
                row |= {f"p:{name}": round(value, 6) for name, value in zip(self.classes, p.tolist(), strict=True)}
            if self.known is not None:
                row["known"] = bool(self.known[i])
            if self.sets is not None:
                row["set"] = self.set_of(i)
            found.append(row)
        return found

    def set_of(self, i: int) -> list[str]:
        """The classes in the set of picture i, from the most probable on."""
        assert self.sets is not None
        return [self.classes[k] for k in np.argsort(-self.probabilities[i], kind="stable") if self.sets[i, k]]


def check_coverage(classifier: Classifier, coverage: float | None) -> None:
    """Raise UserError where sets of this coverage cannot be made."""
    if coverage is None:
        return
    if not 0 < coverage < 1:
        raise UserError(f"coverage={coverage:g} is not a share between 0 and 1; give 0.9, for example.")
    if isinstance(classifier.head, AnsweredHead):
        raise UserError("coverage: an export cannot give sets of classes; use the run that it was made from.")
    if classifier.conformal is None:
        raise UserError(
            "coverage: sets of classes need predictions for pictures that the run had not seen, and it has none; fit "
            "it again with evaluate=cv, or with a part `val` or `calibration` in the data."
        )


def with_sets(predictions: Predictions, classifier: Classifier, coverage: float) -> Predictions:
    """The predictions with sets of this coverage, and a note where the pictures fitted on are too few for them."""
    assert classifier.conformal is not None
    sets = classifier.conformal.sets(predictions.probabilities, coverage)
    return replace(predictions, sets=sets, notes=(*predictions.notes, *coverage_notes(classifier, coverage)))


def coverage_notes(classifier: Classifier, coverage: float) -> tuple[str, ...]:
    """A note where the pictures fitted on are too few for sets of this coverage."""
    conformal = classifier.conformal
    assert conformal is not None
    if conformal.enough(coverage):
        return ()
    return (
        f"Every set holds all classes: a coverage of {coverage:g} needs {conformal.needed(coverage):,} pictures "
        f"with out-of-fold answers, and there are {len(conformal.scores):,}.",
    )


def write_predictions(predictions: Predictions, out: Path, topk: int = 1, *, probabilities: bool = False) -> None:
    """Write the rows of predictions as `.csv`, `.json` or `.parquet`, by the ending of `out`."""
    rows, out = predictions.rows(topk, probabilities=probabilities), expanded(out)
    kind = check_predictions_out(out)
    if kind == "json":
        records.write_json(out, {"predictions": rows, "refused": [vars(r) for r in predictions.refused]})
    elif kind == "csv":
        columns = list(rows[0]) if rows else ["name", "predicted", "confidence"]
        records.write_csv(out, columns, ([_cell(row[c]) for c in columns] for row in rows))
    else:
        import pyarrow as pa

        records.write_parquet(out, pa.Table.from_pylist(rows))


def check_predictions_out(out: Path, *inputs: object) -> str:
    """The format by the ending of `out`.

    Raises UserError, before any work, when it is none of ours, one of the inputs, or another table than predictions.
    """
    kind = outputs.check_file(out, tuple(f".{kind}" for kind in FORMATS), *inputs).removeprefix(".")
    outputs.check_predictions(out)
    return kind


def _cell(value: Any) -> Any:
    """What a table shows: true and false as JSON writes them, and the classes of a set in a row."""
    if isinstance(value, bool):
        return str(value).lower()
    return "; ".join(value) if isinstance(value, list) else value
