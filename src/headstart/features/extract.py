"""Extraction: read || decode || infer || store, overlapped, with constant memory beside the result.

Worker threads read a file, hash its content and ask the store; only what the store lacks is decoded and resized. The
main thread feeds the engine, which pulls no more than it has room for, and takes finished rows. A thread of the store
writes them. An engine is opened only when the first picture needs one, so a run whose features are all stored loads no
network at all.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.augment import View
from headstart.backbones import BaseBackbone
from headstart.engines import ON_CPU, Engine, EngineChoice, Picture, Row
from headstart.errors import DataError, Refused
from headstart.features.copies import Copies, find
from headstart.features.matrix import allocate
from headstart.features.store import FeatureStore
from headstart.images import ImageSet, Refusal, decode, digest
from headstart.images.cures import cured
from headstart.images.sketch import LENGTH, SPACE, Sketches, sketch
from headstart.images.usable import by_reason
from headstart.preprocess import Preprocess

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work goes on."""

DIGEST = 16  # bytes of a content's digest
CHUNK = 8  # pictures a worker takes at a time: fewer hand-overs, still little memory


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


@dataclass(frozen=True)
class FeatureSource:
    """What turns a picture into a row: a backbone up to a layer, or, without a backbone, the pixels themselves.

    `layer` is then a kind of `headstart.engines.pixels`. With a `view`, of the picture as it draws it;
    `features.views` makes such sources.
    """

    preprocess: Preprocess
    backbone: BaseBackbone | None = None
    layer: str = "pixels"
    engine: EngineChoice = ON_CPU
    view: View | None = None

    def space(self) -> dict[str, Any]:
        """Everything that a feature depends on beside the picture: the key of the store's space."""
        view = {"view": self.view.to_dict()} if self.view is not None else {}
        if self.backbone is None:
            kept = {"backbone": self.layer, "preprocess": self.preprocess.to_dict()}
            return {"format": 1, **kept, **({} if self.layer == "pixels" else {"dtype": "|u1"}), **view}
        return {
            "format": 1,
            "backbone": self.backbone.name,
            "weights": self.backbone.fingerprint,
            "layer": self.layer,
            "preprocess": self.preprocess.to_dict(),
            "engine": f"{self.engine.name}-{self.engine.device}-{self.engine.precision}",
            **view,
        }

    def picture(self, image: Image.Image, content: bytes) -> Picture:
        """A decoded picture and its digest -> (h, w, c) uint8, the engine's input."""
        return self.view.picture(image, content, self.preprocess) if self.view else self.preprocess.apply(image)

    def open(self) -> Engine:
        """The engine, compiled; may take seconds."""
        if self.backbone is None:
            from headstart.engines.pixels import PixelEngine

            return PixelEngine(self.layer)
        return self.engine.open(self.backbone, self.layer, self.preprocess)


@dataclass
class Counts:
    """What happened to the pictures: `images = computed + reused + repeated + refused`.

    `repeated` pictures have the content of another one of this extraction and share its row; `decoded` is the number of
    pictures that were decoded; `corrupt` the stored rows that failed their checksum and were computed again.
    """

    images: int = 0
    computed: int = 0
    reused: int = 0
    repeated: int = 0
    refused: int = 0
    decoded: int = 0
    corrupt: int = 0


@dataclass
class Extraction:
    """`features` (m, d) float32 (uint8 for pixels as a network's input) of the pictures `kept` (m,) int64.

    `kept` are indices into the image set, in its order.
    """

    features: NDArray[np.float32]
    kept: NDArray[np.int64]
    refused: tuple[Refusal, ...]
    counts: Counts
    decode_s: float
    infer_s: float
    open_s: float
    wall_s: float
    notes: tuple[str, ...] = ()
    contents: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, DIGEST), np.uint8))
    """(m, 16): the digest of each picture's content."""
    sketches: Sketches | None = None
    """Of the m pictures, where `Settings.sketches` asked for them."""
    copies: Copies = field(default_factory=Copies.none)
    """Which of the m pictures are copies of each other; near copies are found by the sketches."""

    def reordered(self, order: NDArray[np.int64]) -> Extraction:
        """The same with the rows in another order (m,)."""
        features, kept, contents = self.features[order], self.kept[order], self.contents[order]
        sketches = None if self.sketches is None else self.sketches.take(order)
        copies = self.copies.reordered(order)
        return replace(self, features=features, kept=kept, contents=contents, sketches=sketches, copies=copies)

    @property
    def images_per_s(self) -> float:
        """Pictures per second of wall time, without the time to open the engine."""
        return self.counts.images / max(self.wall_s - self.open_s, 1e-9)


@dataclass(frozen=True)
class Settings:
    """How an extraction goes about its work; none of these changes a feature.

    `store` is the folder of the feature store or None; `threads` decode (0: one per core); `strict` raises DataError
    at the first picture that cannot be used. `sketches` are made along, of up to that many pictures.
    """

    store: Path | None = None
    threads: int = 0
    strict: bool = False
    sketches: int = 0


def extract(
    images: ImageSet, source: FeatureSource, settings: Settings | None = None, progress: Progress = silent
) -> Extraction:
    """Features of all pictures. Refused ones are left out and listed, never replaced.

    Raises DataError when no picture is left, or at the first refusal if `settings.strict`. An interrupt (Ctrl-C) keeps
    in the store what was computed until then.
    """
    return _Run(images, source, settings or Settings(), progress).go()


@dataclass(frozen=True)
class _Looked:
    """What a worker found out about picture `index`."""

    index: int
    key: bytes = b""
    row: Row | None = None
    picture: Picture | None = None
    refusal: Refusal | None = None


class _Run:
    def __init__(self, images: ImageSet, source: FeatureSource, settings: Settings, progress: Progress) -> None:
        self.images = images.read_by(source.preprocess.white)
        self.source, self.settings, self.progress = source, settings, progress
        self.threads = settings.threads or os.cpu_count() or 1
        self.counts = Counts(images=len(images))
        self.seen: set[bytes] = set()
        self.first: dict[bytes, int] = {}
        self.repeats: list[tuple[int, bytes]] = []
        self.refused: list[Refusal] = []
        self.lock = threading.Lock()
        self.matrix: NDArray[np.float32] | None = None
        self.filled = np.zeros(len(images), dtype=bool)
        self.contents = np.zeros((len(images), DIGEST), np.uint8)
        self.done = 0
        self.decode_s = self.infer_s = self.open_s = 0.0
        limit = {"max_pixels": images.limits.max_pixels}  # which pictures are refused depends on it
        stored = settings.store
        self.store = None if stored is None else FeatureStore.open(stored, {**source.space(), **limit})
        self.sketches: NDArray[np.uint8] | None = None
        self.sketched: FeatureStore | None = None
        if 0 < len(images) <= settings.sketches:
            self.sketches = np.zeros((len(images), LENGTH), np.uint8)
            space = {**SPACE, **limit, "white": source.preprocess.white}
            self.sketched = None if stored is None else FeatureStore.open(stored, space)

    def go(self) -> Extraction:
        started = time.perf_counter()
        try:
            with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
                self._fill(self._looked_at(pool))
        finally:
            for store in (self.store, self.sketched):
                if store is not None:
                    store.close()
        self._share_repeats()
        return self._result(time.perf_counter() - started)

    def _looked_at(self, pool: ThreadPoolExecutor) -> Iterator[_Looked]:
        """The workers' findings in the order of the pictures, a bounded number of chunks ahead."""
        chunks = iter(range(0, len(self.images), CHUNK))
        ahead: deque[Future[list[_Looked]]] = deque()
        try:
            while True:
                while len(ahead) < 2 * self.threads + 2 and (start := next(chunks, None)) is not None:
                    ahead.append(pool.submit(self._look_at_chunk, start))
                if not ahead:
                    return
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def _look_at_chunk(self, start: int) -> list[_Looked]:
        begun = time.thread_time()
        looked = [self._look_at(i) for i in range(start, min(start + CHUNK, len(self.images)))]
        with self.lock:
            self.decode_s += time.thread_time() - begun
        return looked

    def _look_at(self, i: int) -> _Looked:
        try:
            raw = self.images.raw(i)
            key = digest(raw)
            self.contents[i] = np.frombuffer(key, np.uint8)
            with self.lock:
                is_first = key not in self.seen
                self.seen.add(key)
            if not is_first:
                return _Looked(i, key)
            row = self.store.get(key) if self.store is not None else None
            known = self._known_sketch(i, key)
            if row is not None and known:
                return _Looked(i, key, row=row)
            image = decode(raw, self.images.limits)
            if not known:
                self._sketch(i, key, sketch(raw, image))
            return _Looked(i, key, row=row, picture=self.source.picture(image, key) if row is None else None)
        except Refused as refused:
            return _Looked(i, refusal=Refusal(self.images.names[i], refused.reason, refused.detail))

    def _known_sketch(self, i: int, key: bytes) -> bool:
        """Whether picture i needs no sketch to be made: none is asked for, or the store had it."""
        if self.sketches is None:
            return True
        row = self.sketched.get(key) if self.sketched is not None else None
        if row is None or len(row) != LENGTH:
            return False
        self.sketches[i] = row
        return True

    def _sketch(self, i: int, key: bytes, row: NDArray[np.uint8]) -> None:
        assert self.sketches is not None
        self.sketches[i] = row
        if self.sketched is not None:
            self.sketched.put(key, row)

    def _fill(self, looked: Iterator[_Looked]) -> None:
        """Put stored rows in place and run the engine on the rest."""
        waiting = self._needing_inference(looked)
        head = next(waiting, None)
        if head is None:
            return
        begun = time.perf_counter()
        self.progress("open", 0, 1)
        engine = self.source.open()
        self.progress("open", 1, 1)
        self.open_s, busy_s = time.perf_counter() - begun, engine.busy_s

        def pictures() -> Iterator[tuple[tuple[int, bytes], Picture]]:
            yield head
            yield from waiting

        for (i, key), row in engine.stream(pictures()):
            self._place(i, key, row)
            self.counts.computed += 1
            if self.store is not None:
                self.store.put(key, row)
        self.infer_s = engine.busy_s - busy_s

    def _needing_inference(self, looked: Iterator[_Looked]) -> Iterator[tuple[tuple[int, bytes], Picture]]:
        for found in looked:
            if found.refusal is not None:
                self._refuse(found.refusal)
            elif found.row is not None:
                self._place(found.index, found.key, found.row)
                self.counts.reused += 1
            elif found.picture is not None:
                self.counts.decoded += 1
                yield (found.index, found.key), found.picture
            else:
                self.repeats.append((found.index, found.key))

    def _refuse(self, refusal: Refusal) -> None:
        if self.settings.strict:
            why = f"{refusal.reason}: {refusal.detail}" if refusal.detail else refusal.reason
            raise DataError(f"{refusal.name} cannot be used ({why}); without --strict it would be left out.")
        self.refused.append(refusal)
        self._advance()

    def _place(self, i: int, key: bytes, row: Row) -> None:
        if self.matrix is None:
            self.matrix = allocate((len(self.images), len(row)), row.dtype)
        self.matrix[i] = row
        self.filled[i] = True
        self.first[key] = i
        self._advance()

    def _advance(self) -> None:
        self.done += 1
        self.progress("extract", self.done, len(self.images))

    def _share_repeats(self) -> None:
        """Pictures with the content of an earlier one take its row, or its refusal."""
        for i, key in self.repeats:
            if key in self.first and self.matrix is not None:
                self.matrix[i] = self.matrix[self.first[key]]
                if self.sketches is not None:
                    self.sketches[i] = self.sketches[self.first[key]]
                self.filled[i] = True
                self.counts.repeated += 1
                self._advance()
            else:
                self._refuse(self._why(i))

    def _why(self, i: int) -> Refusal:
        """The verdict on a picture whose twin was refused: the same content, so the same reason."""
        try:
            decode(self.images.raw(i), self.images.limits)
        except Refused as refused:
            return Refusal(self.images.names[i], refused.reason, refused.detail)
        return Refusal(self.images.names[i], "unreadable", "it changed while it was read")

    def _result(self, wall_s: float) -> Extraction:
        kept = np.flatnonzero(self.filled)
        if self.matrix is None or not len(kept):
            raise DataError(_none_left(self.images, self.refused), self.refused)
        for target, origin in enumerate(kept):  # close the gaps of refused pictures without a second matrix
            if target != origin:
                self.matrix[target] = self.matrix[origin]
        self.counts.refused = len(self.refused)
        self.counts.corrupt = self.store.corrupt if self.store is not None else 0
        contents = self.contents[kept]
        sketches = None if self.sketches is None else Sketches(self.sketches[kept])
        notes = (self.store.problem,) if self.store is not None and self.store.problem else ()
        refused = tuple(sorted(self.refused, key=lambda r: r.name))
        return Extraction(
            self.matrix[: len(kept)],
            kept,
            refused,
            self.counts,
            self.decode_s,
            self.infer_s,
            self.open_s,
            wall_s,
            notes,
            contents,
            sketches,
            find(contents, sketches),
        )


def _none_left(images: ImageSet, refused: list[Refusal]) -> str:
    if not refused:
        return f"{images.title} holds no picture."
    first, why = refused[0], by_reason(r.reason for r in refused)
    return (
        f"None of the {len(images)} pictures of {images.title} can be used ({why}); the first is {first.name}."
        f"{cured([*images.refused, *refused])}"
    )
