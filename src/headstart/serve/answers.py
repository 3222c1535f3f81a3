"""Answers as JSON, and the status that goes with a picture that cannot be used."""

from __future__ import annotations

from typing import Any

from headstart.classifier import Classifier, top
from headstart.images import Refusal
from headstart.images.decode import REASONS
from headstart.serve.batches import Answer
from headstart.visible import visible

STATUS = {
    "empty-file": 400,
    "not-an-image": 415,
    "format-not-allowed": 415,
    "unsupported-mode": 415,
    "too-many-pixels": 413,
    "too-many-bytes": 413,
}
"""By reason; a picture that is damaged is 422."""


def answered(
    classifier: Classifier, name: str | None, answer: Answer, topk: int, coverage: float | None = None
) -> dict[str, Any]:
    """The most probable classes of a picture in their order, the first of which is the one it is named.

    `known`, `set` (with a coverage) and `why` are there where there is something to say.
    """
    order = [int(k) for k in top(answer.probabilities[None], topk or len(classifier.classes))[0]]
    listed = [{"class": classifier.classes[k], "probability": float(answer.probabilities[k])} for k in order]
    row = {
        "name": name,
        "predicted": listed[0]["class"],
        "confidence": listed[0]["probability"],
        "probabilities": listed,  # a list: an object's keys that look like numbers are put in order by JavaScript
    }
    if answer.known is not None:
        row["known"] = answer.known
    if coverage is not None and classifier.conformal is not None:
        (inside,) = classifier.conformal.sets(answer.probabilities[None], coverage)
        ranked = top(answer.probabilities[None], len(inside))[0]
        row["set"] = [classifier.classes[k] for k in ranked if inside[k]]
    return row | dict(answer.why or {})


def refused(name: str | None, refusal: Refusal) -> dict[str, Any]:
    """Why a picture has no answer."""
    return {"name": name, "reason": refusal.reason, "error": said(refusal)}


def said(refusal: Refusal) -> str:
    """`The file ends before the picture does (image file is truncated).`"""
    sentence = REASONS[refusal.reason]
    return f"{sentence.rstrip('.')} ({visible(refusal.detail)})." if refusal.detail else sentence


def status(refusal: Refusal) -> int:
    """The HTTP status for a request of this picture alone."""
    return STATUS.get(refusal.reason, 422)
