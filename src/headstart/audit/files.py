"""The folder of an audit: audit.csv with a line for each finding, audit.json with all of it; and the clean table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from headstart import outputs, records, shared
from headstart.audit.checks import CHECKS
from headstart.audit.execute import Audit
from headstart.audit.findings import Finding
from headstart.errors import UserError
from headstart.images import ImageSet
from headstart.images.sources.cells import written
from headstart.paths import Place, expanded

JSON = "audit.json"
COLUMNS = ("check", "level", "name", "label", "split", "detail", "other", "suggested", "score", "left_out")
NOT_UTF8 = "a file name is not UTF-8, so a table cannot hold it"


def claim(out: Place | None, data: str, test: str | None = None) -> Path:
    """The folder to write: `out`, new, empty or an earlier audit's, or a new one by the name of the data.

    Raises UserError when it holds something else, or is among the pictures.
    """
    return outputs.output_folder(out, Path("audits") / Path(data).stem, data, test, what="audit", file=JSON, beside=())


def write(audit: Audit, folder: Path) -> dict[str, Any]:
    """Write audit.csv and audit.json, and return what is in the second."""
    outputs.make(folder)
    found = content(audit)
    lines = [line for check in found["checks"] for line in check["findings"]]
    records.write_csv(folder / "audit.csv", COLUMNS, ([records.cell(line[c]) for c in COLUMNS] for line in lines))
    records.write_json(folder / JSON, found)
    return found


def content(audit: Audit) -> dict[str, Any]:
    """JSON-able: the request, the pictures, each check with its findings, the notes."""
    material, images = audit.material, audit.material.images
    counts = images.class_counts(material.labelled)
    parts, sizes = np.unique(material.parts, return_counts=True)
    return {
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "source": audit.request.data,
            "test": audit.request.test,
            "title": images.title,
            "n": len(images),
            "refused": len(material.refused),
            "classes": {name: int(n) for name, n in zip(images.classes, counts, strict=True)},
            "parts": {str(part): int(n) for part, n in zip(parts, sizes, strict=True)},
        },
        "backbone": audit.looked,
        "left_out": len(left_out(audit)),
        "checks": [
            {
                "check": name,
                "title": check.title,
                "level": check.level,
                "words": check.words,
                "findings": [_line(audit, name, each) for each in audit.findings[name]],
            }
            for name, check in CHECKS.items()
        ],
        "notes": list(audit.notes),
        "seconds": round(audit.seconds, 2),
    }


def _line(audit: Audit, check: str, found: Finding) -> dict[str, Any]:
    material = audit.material
    return {
        "check": check,
        "level": CHECKS[check].level,
        "name": found.name,
        "label": "" if found.at is None else material.label(found.at),
        "split": "" if found.at is None else str(material.images.parts[found.at]),
        "detail": found.detail,
        "other": "" if found.other is None else material.images.names[found.other],
        "suggested": found.suggested,
        "score": found.score,
        "left_out": [material.images.names[i] for i in found.drops],
    }


def left_out(audit: Audit) -> set[int]:
    """The pictures that the clean table leaves out, beside those that cannot be used."""
    return {i for found in audit.findings.values() for each in found for i in each.drops}


def check_clean(table: Path, images: ImageSet) -> None:
    """Raise UserError where no table can be written that names these pictures, before any work."""
    if table.suffix.lower() != ".csv":
        raise UserError(f"--write-clean-table {table}: name a .csv file.")
    if table.exists():
        raise UserError(f"--write-clean-table {table} already exists; name a new file, as nothing is replaced.")
    try:
        shared.check_writable(expanded(table).absolute().parent)
    except OSError as error:
        told = outputs.refusal(error)
        raise UserError(f"--write-clean-table {table} cannot be written ({told}); name another place.") from error
    if not all(isinstance(item, Path) for item in images.items):
        raise UserError(
            f"--write-clean-table: the pictures of {images.title} are not files, so a table cannot name them."
        )


def write_clean(audit: Audit, table: Path) -> tuple[int, int]:
    """Write `image,label,split` of the labelled pictures that are left, for `fit`; (how many, how many left out).

    Their groups are a column more, where they have some.
    """
    material, images = audit.material, audit.material.images
    drop = left_out(audit)
    kept = [int(i) for i in material.labelled if int(i) not in drop]
    if not kept:
        raise UserError(f"--write-clean-table {table}: no labelled picture is left.")
    place = expanded(table).resolve().parent
    outputs.make(place)

    groups = images.groups

    def rows() -> Iterator[tuple[str, ...]]:
        for i in kept:
            path = written(images.items[i], images.names[i], place)
            yield path, material.label(i), str(images.parts[i]), *(() if groups is None else (str(groups[i]),))

    try:
        records.write_csv(table, ("image", "label", "split", *(() if groups is None else ("group",))), rows())
    except UnicodeEncodeError:
        raise UserError(f"--write-clean-table {table}: {NOT_UTF8}.") from None
    return len(kept), len(material.labelled) - len(kept)
