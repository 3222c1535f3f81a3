"""A picture in a folder that has an address, such as s3://bucket/photos: listed with its size, read when it is used."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.errors import Refused, first_line
from headstart.images.decode import DEFAULT_LIMITS, Limits
from headstart.storage import Storage


@dataclass(frozen=True)
class Remote:
    """A file below the folder `place`; `name` is its path there, `size` in bytes, `written` in nanoseconds."""

    place: str
    name: str
    size: int
    written: int

    def read(self, limits: Limits = DEFAULT_LIMITS, most: int | None = None) -> bytes:
        """Its bytes, the first `most` where that is given. Raises `Refused` as `images.files.read_file` does."""
        if self.size == 0:
            raise Refused("empty-file", "0 bytes")
        if self.size > limits.max_bytes:
            raise Refused("too-many-bytes", f"{self.size} bytes is over {limits.max_bytes}")
        try:
            with Storage(self.place).open(self.name) as file:
                return bytes(file.read(limits.max_bytes + 1 if most is None else most))
        except FileNotFoundError:
            raise Refused("missing-file", "no such file") from None
        except OSError as error:
            raise Refused("unreadable", first_line(error)) from None
