"""What pictures were named, as JSON, CSV or a contact sheet, by the ending of the file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart import outputs, records
from headstart.naming.classes import Category, categories
from headstart.naming.naming import Named, ranked
from headstart.naming.sheet import contact_sheet
from headstart.paths import expanded
from headstart.shared import replacing

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
TABLES = (".json", ".csv")


def check_out(out: Path, *pictures: object) -> None:
    """Raise UserError, before any work, when a file of this name cannot be written, or would be one of the pictures."""
    kind = outputs.check_file(out, (*TABLES, *PICTURES), *pictures)
    outputs.check_predictions(out)
    if kind in PICTURES:
        outputs.check_outside(out, *pictures)


def write(named: Named, out: Path, topk: int = 5) -> None:
    """Write the `topk` most probable classes of each picture to `out`. Raises UserError for another ending."""
    out = expanded(out)
    check_out(out)
    suffix = out.suffix.lower()
    if suffix == ".json":
        records.write_json(out, to_dict(named, topk))
    elif suffix == ".csv":
        _write_csv(named, out, topk)
    else:
        options = {"quality": 90} if suffix != ".png" else {"optimize": True}
        with replacing(out) as part:
            contact_sheet(named, topk).save(part, PICTURES[suffix], **options)


def to_dict(named: Named, topk: int) -> dict[str, Any]:
    """Plain JSON values: network, scores with intervals, and for each picture its classes, the most probable first."""
    known, stated = categories(), named.stated
    pictures = [
        {
            "name": name,
            **({} if stated is None else {"stated": _class(known[stated[i]])}),
            "classes": [{**_class(known[k]), "confidence": p} for k, p in ranks],
        }
        for i, (name, ranks) in enumerate(zip(named.images.names, ranked(named, topk), strict=True))
    ]
    scores = [
        {"top": s.k, "right": s.right, "total": s.total, "accuracy": s.accuracy, "interval": list(s.interval)}
        for s in named.scores()
    ]
    refused = [asdict(refusal) for refusal in named.refused]
    return {"network": named.network, "scores": scores, "pictures": pictures, "refused": refused}


def _class(category: Category) -> dict[str, str]:
    return {"wordnet": category.wordnet, "class": category.name}


def _write_csv(named: Named, out: Path, topk: int) -> None:
    known = categories()
    places = ["", *(f"_{place}" for place in range(2, min(topk, len(known)) + 1))]
    columns = [f"{column}{place}" for place in places for column in ("predicted", "wordnet", "confidence")]
    rows = [
        [name, *(cell for k, p in ranks for cell in (known[k].name, known[k].wordnet, p))]
        for name, ranks in zip(named.images.names, ranked(named, topk), strict=True)
    ]
    records.write_csv(out, ["name", *columns], rows)
