"""What a server takes: how large, how many, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MIB = 2**20
HEADER = 64 * 1024
"""Bytes of the header of a request, and seconds that it is waited for."""
HEADER_S = 15.0


@dataclass(frozen=True)
class Limits:
    """Bytes of a body, pixels of a picture, pictures in a body, requests at a time, seconds of a request.

    Requests beyond `queue` are told to come again later. `stop_s` is how long what is in flight may take after SIGTERM.
    """

    body: int = 10 * MIB
    pixels: int = 50_000_000
    pictures: int = 64
    queue: int = 64
    request_s: float = 30.0
    stop_s: float = 8.0


class Address(NamedTuple):
    """Where to listen: at a host and port, 0 for any that is free; `names` are further ones it may be asked for by."""

    host: str = "127.0.0.1"
    port: int = 8000
    names: Sequence[str] = ()
