"""A folder of class folders that has an address: s3://bucket/photos, gs://bucket/photos, file:///photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.errors import DataError
from headstart.images.imageset import ImageSet
from headstart.images.options import LoadOptions
from headstart.images.remote import Remote
from headstart.images.sources import folder
from headstart.images.sources.walk import Listing, Parts, is_litter
from headstart.storage import Storage, is_address


def accepts(data: Any) -> bool:
    """An address."""
    return is_address(data)


def file_at(address: str) -> Remote | None:
    """The file that an address names, s3://bucket/cat.jpg; None where it names a folder or nothing."""
    place, mark, choices = address.rstrip("/").partition("?")
    folder_, _, name = place.rpartition("/")
    storage = Storage.of(folder_ + mark + choices)
    found = None if folder_.endswith("/") else storage.find(name)  # nothing is above a bucket
    return None if found is None else Remote(storage.place, name, found.size, found.written)


def load(data: str, options: LoadOptions) -> ImageSet:
    """As `folder.load` reads a folder of the same content. Raises `UserError` where the address cannot be read."""
    storage = Storage.of(data)
    at: dict[Parts, Remote] = {}
    for found in storage.files(deep=True):
        parts = tuple(found.name.split("/"))
        if not any(map(is_litter, parts)):
            at[parts] = Remote(storage.place, found.name, found.size, found.written)
    if not at:
        raise DataError(f"{data} holds no file, or there is no such folder.")
    above = sorted({parts[:depth] for parts in at for depth in range(1, len(parts))})
    listing = Listing(at.__getitem__, sorted(at), above)
    return folder.of_listing(Path(data.rpartition("://")[2]), listing, options)
