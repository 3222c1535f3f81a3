"""Checks of files and names: what cannot be used, and what another system would mix up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headstart.audit.findings import Finding, Material
from headstart.images.names import nfc

UNUSED = ("no-class", "same-file", "outside-the-folder")
"""Reasons of refusal that say nothing against the file itself."""


def layout(material: Material) -> Iterator[Finding]:
    """Why the data could not be listed as they are."""
    if material.problem:
        yield Finding(material.images.title, material.problem)


def broken(material: Material) -> Iterator[Finding]:
    """Files that hold no picture that can be read."""
    yield from _refused(material, lambda reason: reason not in (*UNUSED, "empty-file"))


def empty(material: Material) -> Iterator[Finding]:
    """Files without bytes, and pictures without pixels."""
    yield from _refused(material, lambda reason: reason == "empty-file")


def unused(material: Material) -> Iterator[Finding]:
    """Files that were left out though they may be good."""
    yield from _refused(material, lambda reason: reason in UNUSED)


def _refused(material: Material, wanted: Callable[[str], bool]) -> Iterator[Finding]:
    for each in material.refused:
        if wanted(each.reason):
            yield Finding(each.name, f"{each.reason}: {each.detail}" if each.detail else each.reason)


def names(material: Material) -> Iterator[Finding]:
    """Names that are equal but for case or Unicode form; the first of them has none of these findings."""
    first: dict[str, int] = {}
    for i, name in enumerate(material.images.names):
        plain = nfc(nfc(name).casefold())
        other = first.setdefault(plain, i)
        if other != i:
            yield Finding(name, f"as {material.images.names[other]}", i, other)
