"""The shards that a listing of pictures is cut into, each under a name that stands for all that its rows depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.images import ImageSet, digest
from headstart.images.archive import Member
from headstart.images.remote import Remote

PICTURES = 256
"""Of a shard: seconds of work for one core, so that workers end together and little is lost with one."""


@dataclass(frozen=True)
class Job:
    """A shard to be made of the pictures `start` to `stop` of a listing."""

    file: str
    start: int
    stop: int


def jobs_of(images: ImageSet, made_by: Mapping[str, Any]) -> list[Job]:
    """The shards of a listing, in its order."""
    said = json.dumps(made_by, sort_keys=True).encode()
    found = []
    for number, start in enumerate(range(0, len(images), PICTURES)):
        stop = min(start + PICTURES, len(images))
        file = f"part-{number:06d}-{_mark(images, range(start, stop), said)}.parquet"
        found.append(Job(file, start, stop))
    return found


def mark_of(jobs: Sequence[Job]) -> str:
    """What tells this listing, made by these settings, from any other."""
    return hashlib.blake2b("\n".join(job.file for job in jobs).encode(), digest_size=16).hexdigest()


def _mark(images: ImageSet, rows: range, said: bytes) -> str:
    found = hashlib.blake2b(said, digest_size=8)
    for i in rows:
        label = images.classes[images.labels[i]] if images.labels[i] >= 0 else ""
        told = [images.names[i], label, str(images.parts[i]), *_stamp(images, i)]
        found.update("\0".join(told).encode("utf-8", "surrogatepass") + b"\n")
    return found.hexdigest()


def _stamp(images: ImageSet, i: int) -> list[str]:
    """What changes with a picture's content as far as that can be told without reading a file."""
    item = images.items[i]
    if isinstance(item, Remote):
        return [str(item.size), str(item.written)]
    if isinstance(item, Path | Member):
        try:
            status = (item if isinstance(item, Path) else item.archive).stat()
        except OSError:
            return ["missing"]
        return [str(status.st_size), str(status.st_mtime_ns)]
    return [digest(images.raw(i)).hex()]
