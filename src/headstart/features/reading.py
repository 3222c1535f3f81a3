"""Threads that read pictures: content, stored row, or what the engine is to be given."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.engines import Picture, Row
from headstart.errors import Refused
from headstart.features.extraction import DIGEST
from headstart.features.source import FeatureSource
from headstart.features.store import FeatureStore
from headstart.images import ImageSet, Refusal, digest
from headstart.images.sketch import LENGTH, make_sketch

CHUNK = 8
"""Pictures a worker takes at a time, for few hand-overs and little memory; fewer where all would not get some."""


@dataclass(frozen=True)
class ReadPicture:
    """Picture `index`: a stored `row`, a `picture` for the engine or a `refusal`; none of them: a repeated content."""

    index: int
    key: bytes = b""
    row: Row | None = None
    picture: Picture | None = None
    refusal: Refusal | None = None


class Reader:
    """Iterates over n pictures in their order, read and decoded by a pool of threads that is a few chunks ahead.

    `stores` are that of rows and that of sketches. `contents` (n, 16) fill along the way, and `sketches` (n, LENGTH)
    where they are asked for. Only what the store lacks is decoded; a content that was read before is neither looked up
    nor decoded again.
    """

    def __init__(
        self,
        images: ImageSet,
        source: FeatureSource,
        pool: ThreadPoolExecutor,
        threads: int,
        stores: tuple[FeatureStore | None, FeatureStore | None],
        *,
        sketched: bool = False,
    ) -> None:
        self.images, self.source = images, source
        self.store, self.sketch_store = stores
        self.contents = np.zeros((len(images), DIGEST), np.uint8)
        self.sketches: NDArray[np.uint8] | None = np.zeros((len(images), LENGTH), np.uint8) if sketched else None
        self.seconds = 0.0
        """Seconds of processor time of all threads."""
        self._chunk = min(CHUNK, max(1, len(images) // (4 * threads)))
        self._pool, self._chunks_ahead = pool, (2 * threads + 2) * CHUNK // self._chunk
        self.first: dict[bytes, int] = {}
        """The picture that each content was first read of."""
        self._lock = threading.Lock()

    def __iter__(self) -> Generator[ReadPicture, None, None]:
        starts = iter(range(0, len(self.images), self._chunk))
        ahead: deque[Future[list[ReadPicture]]] = deque()
        try:
            while True:
                while len(ahead) < self._chunks_ahead and (start := next(starts, None)) is not None:
                    ahead.append(self._pool.submit(self._read_chunk, start))
                if not ahead:
                    return
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
            wait(ahead)  # so that no thread is at work when the stores are closed

    def _read_chunk(self, start: int) -> list[ReadPicture]:
        begun = time.thread_time()
        read = [self._read(i) for i in range(start, min(start + self._chunk, len(self.images)))]
        with self._lock:
            self.seconds += time.thread_time() - begun
        return read

    def _read(self, i: int) -> ReadPicture:
        try:
            raw = self.images.raw(i)
            key = digest(raw)
            self.contents[i] = np.frombuffer(key, np.uint8)
            with self._lock:
                is_first = self.first.setdefault(key, i) == i
            if not is_first:
                return ReadPicture(i, key)
            row = self.store.get(key) if self.store is not None else None
            has_sketch = self._stored_sketch(i, key)
            if row is not None and has_sketch:
                return ReadPicture(i, key, row=row)
            image = self.source.decode(raw, self.images.limits)
            if not has_sketch:
                self._keep_sketch(i, key, make_sketch(raw, image))
            return ReadPicture(i, key, row=row, picture=self.source.picture(image, key) if row is None else None)
        except Refused as refused:
            return ReadPicture(i, refusal=Refusal(self.images.names[i], refused.reason, refused.detail))

    def _stored_sketch(self, i: int, key: bytes) -> bool:
        """Whether picture i needs no sketch to be made: none is asked for, or the store had it."""
        if self.sketches is None:
            return True
        row = self.sketch_store.get(key) if self.sketch_store is not None else None
        if row is None or len(row) != LENGTH:
            return False
        self.sketches[i] = row
        return True

    def _keep_sketch(self, i: int, key: bytes, row: NDArray[np.uint8]) -> None:
        assert self.sketches is not None
        self.sketches[i] = row
        if self.sketch_store is not None:
            self.sketch_store.put(key, row)
