"""A zip archive of class folders, read in place; a folder around them all is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.errors import Refused
from headstart.images.archive import MAX_NAME, Member, check_member, leads_out, members
from headstart.images.imageset import ImageSet, Refusal
from headstart.images.names import escape
from headstart.images.options import LoadOptions
from headstart.images.parts import part_of
from headstart.images.sources import folder
from headstart.images.sources.walk import Listing, Parts, is_litter, name_of


def accepts(data: Any) -> bool:
    """A file that ends in `.zip`."""
    return isinstance(data, Path) and data.suffix.lower() == ".zip" and not data.is_dir()


def load(data: Path, options: LoadOptions) -> ImageSet:
    """As `folder.load` reads a folder of the same content. Raises `DataError` as `archive.members` does."""
    return folder.of_listing(data, _unwrapped(listing(data, options)), options)


def listing(archive: Path, options: LoadOptions) -> Listing:
    """Every file of the archive, once; what may not be read is refused with its reason, litter is skipped."""
    places: dict[Parts, Member] = {}
    refused: list[Refusal] = []
    for info, parts in members(archive):
        outside = leads_out(info)
        if not parts or (not outside and any(map(is_litter, parts))):
            continue
        try:
            if outside:
                raise Refused("outside-the-folder", "a name that leads out of the archive")
            check_member(info, options.limits)
            if parts in places:
                raise Refused("same-file", "in the archive more than once")
        except Refused as why:
            refused.append(Refusal("/".join(map(escape, parts))[:MAX_NAME], why.reason, why.detail))
        else:
            places[parts] = Member(archive, info.filename)
    above = {parts[:depth] for parts in places for depth in range(1, len(parts))}
    return Listing(places.__getitem__, sorted(places), sorted(above), refused)


def _unwrapped(found: Listing) -> Listing:
    """The listing from inside the one folder that is around all class folders, where there is one."""
    tops = {parts[0] for parts in found.folders}
    pictures = [parts for parts in found.files if folder.looks(parts)]
    if len(tops) != 1 or part_of(top := tops.pop()) or not pictures or min(map(len, pictures)) < 3:
        return found
    outer = found.at
    return _unwrapped(
        replace(
            found,
            at=lambda parts: outer((top, *parts)),
            files=[parts[1:] for parts in found.files if len(parts) > 1],
            folders=[parts[1:] for parts in found.folders if len(parts) > 1],
            refused=[replace(r, name=r.name.removeprefix(f"{name_of((top,))}/")) for r in found.refused],
        )
    )
