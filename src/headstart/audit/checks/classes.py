"""Checks of the classes: how many pictures they have to be learnt from."""

from __future__ import annotations

from collections.abc import Iterator

from headstart.audit.findings import Codes, Finding, Material
from headstart.phrases import plural

FEW = 10
"""Pictures to learn from below which a class is too small for any figure about it to mean much."""
TIMES = 10
"""The largest class may have so many times the smallest before it is said."""


def few(material: Material) -> Iterator[Finding]:
    """Classes with fewer than `FEW` pictures outside the test."""
    for k, n in enumerate(_counts(material)):
        if n < FEW:
            yield Finding(material.images.classes[k], plural(n, "picture"), score=float(n))


def balance(material: Material) -> Iterator[Finding]:
    """The largest and the smallest class, where they are far apart."""
    counts = _counts(material)
    if len(counts) < 2 or counts.max() < TIMES * max(1, counts.min()):
        return
    most, least = int(counts.argmax()), int(counts.argmin())
    names = material.images.classes
    told = f"{counts[most]:,} pictures, {names[least]} {counts[least]:,}; guessing {names[most]} is right in "
    yield Finding(names[most], f"{told}{counts[most] / counts.sum():.0%}", score=float(counts[most] / counts.sum()))


def _counts(material: Material) -> Codes:
    """Pictures per class (k,) outside the test."""
    return material.images.class_counts(material.parts != "test")
