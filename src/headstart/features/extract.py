"""Extraction: read || decode || infer || store, overlapped, with constant memory beside the result.

Worker threads read a file, hash its content and ask the store; only what the store lacks is decoded and resized. The
main thread feeds the engine, which pulls no more than it has room for, and takes finished rows. A thread of the store
writes them. An engine is opened only when the first picture needs one, so a run whose features are all stored loads no
network at all.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from headstart.engines import Engine, Picture
from headstart.errors import DataError, Refused
from headstart.features import room
from headstart.features.copies import find
from headstart.features.extraction import Counts, Extraction
from headstart.features.matrix import RowMatrix
from headstart.features.reading import Reader, ReadPicture
from headstart.features.source import FeatureSource
from headstart.features.store import FeatureStore, space_id
from headstart.images import ImageSet, Refusal, decode
from headstart.images.cures import cured
from headstart.images.groups import numbered
from headstart.images.sketch import SPACE, Sketches
from headstart.images.usable import by_reason
from headstart.progress import Progress, silent
from headstart.threads import cores
from headstart.views import View


@dataclass(frozen=True)
class Settings:
    """How an extraction goes about its work; none of these changes a feature.

    `store` is the folder of the feature store or None; `threads` decode (0: one per core); `strict` raises DataError
    at the first picture that cannot be used.
    """

    store: Path | None = None
    threads: int = 0
    strict: bool = False


def extract(
    images: ImageSet,
    source: FeatureSource,
    settings: Settings | None = None,
    progress: Progress = silent,
    *,
    sketches: int = 0,
) -> Extraction:
    """Features of all pictures, by an extractor that is opened for them and closed again; see `Extractor.extract`."""
    with Extractor(source, settings) as extractor:
        return extractor.extract(images, progress, sketches=sketches)


class Extractor:
    """A feature source held open: engine, threads and stores are opened when they are first needed, and then reused.

    For one thread at a time. What it holds is given back by `close`, at the end of a `with`, or with the object.
    An engine that is opened is shown to `accept` first, which may refuse it by an error.
    """

    def __init__(
        self,
        source: FeatureSource,
        settings: Settings | None = None,
        accept: Callable[[Engine], None] | None = None,
    ) -> None:
        self.source, self.settings, self.accept = source, settings or Settings(), accept
        self._stores: dict[str, FeatureStore] = {}
        self._give_back = weakref.finalize(self, _close, self._stores)

    def extract(
        self, images: ImageSet, progress: Progress = silent, view: View | None = None, *, sketches: int = 0
    ) -> Extraction:
        """Features of all pictures, as a view draws them. Refused ones are left out and listed, never replaced.

        Of up to that many pictures `sketches` are made along, and near copies are found by them.

        Raises DataError when no picture is left, or at the first refusal if `settings.strict`. An interrupt (Ctrl-C)
        keeps in the store what was computed until then.
        """
        if self.settings.strict and images.refused:
            raise images.refused[0].error()
        sketched = 0 < len(images) <= sketches
        return _Extracting(self, images, progress, view, sketched=sketched).run()

    @cached_property
    def engine(self) -> Engine:
        """The engine; opened here the first time, which may take seconds."""
        opened = self.source.open()
        if self.accept is not None:
            self.accept(opened)
        return opened

    @property
    def is_open(self) -> bool:
        """Whether the engine has been opened."""
        return "engine" in vars(self)

    @property
    def threads(self) -> int:
        """The number of threads of the pool."""
        return self.settings.threads or cores()

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """The threads that read and decode."""
        return ThreadPoolExecutor(self.threads, thread_name_prefix="decode")

    def store(self, space: Mapping[str, Any]) -> FeatureStore | None:
        """The store of a space, opened once; None where nothing is stored."""
        if self.settings.store is None:
            return None
        name = space_id(space)
        if name not in self._stores:
            self._stores[name] = FeatureStore.open(self.settings.store, space)
        return self._stores[name]

    def close(self) -> None:
        """Give everything back. The extractor may be used again, and then opens anew what it needs."""
        if "pool" in vars(self):
            self.pool.shutdown()
        for name in ("pool", "engine"):
            vars(self).pop(name, None)
        _close(self._stores)

    def __reduce__(self) -> tuple[type[Self], tuple[FeatureSource, Settings, Callable[[Engine], None] | None]]:
        return type(self), (self.source, self.settings, self.accept)  # a copy opens for itself what it needs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(stores: dict[str, FeatureStore]) -> None:
    """Close all, and drop what is over the limit of their folder, but not what was used just now."""
    used: dict[Path, set[str]] = {}
    while stores:
        store = stores.popitem()[1]
        store.close()
        used.setdefault(store.folder.parent, set()).add(store.folder.name)
    for root, names in used.items():
        room.keep_to_limit(root, spared=names)


class _Extracting:
    """One extraction by an open extractor."""

    def __init__(
        self, extractor: Extractor, images: ImageSet, progress: Progress, view: View | None, *, sketched: bool
    ) -> None:
        source = extractor.source if view is None else replace(extractor.source, view=view)
        limit = {"max_pixels": images.limits.max_pixels}  # which pictures are refused depends on it
        seen_as = {**SPACE, **limit, "white": source.preprocess.white}
        if source.preprocess.least_side is not None:
            seen_as["decoded_to"] = source.preprocess.least_side
        self.extractor, self.progress = extractor, progress
        self.images = images.read_by(source.preprocess.white)
        self.store = extractor.store({**source.space(), **limit})
        self.sketch_store = extractor.store(seen_as) if sketched else None
        stores = (self.store, self.sketch_store)
        self.reader = Reader(self.images, source, extractor.pool, extractor.threads, stores, sketched=sketched)
        self.counts = Counts(images=len(images))
        self.corrupt_before = self.store.corrupt if self.store else 0
        self.rows = RowMatrix(len(images))
        self.repeats: list[tuple[int, int]] = []
        self.refused: list[Refusal] = []
        self.done = 0
        self.infer_s = self.open_s = 0.0

    def run(self) -> Extraction:
        started = time.perf_counter()
        reading = iter(self.reader)
        try:
            self._infer(self._needing_inference(reading))
        finally:
            reading.close()  # no thread is at work any more when the stores are settled
            for store in (self.store, self.sketch_store):
                if store is not None:
                    store.flush()
        self._share_repeats()
        return self._result(time.perf_counter() - started)

    def _needing_inference(self, read: Iterable[ReadPicture]) -> Iterator[tuple[tuple[int, bytes], Picture]]:
        """Put stored rows in place and let through what the engine has to see."""
        for found in read:
            if found.refusal is not None:
                self._refuse(found.refusal)
            elif found.row is not None:
                self._place(found.index, found.row)
                self.counts.reused += 1
            elif found.picture is not None:
                self.counts.decoded += 1
                yield (found.index, found.key), found.picture
            else:
                self.repeats.append((found.index, self.reader.first[found.key]))

    def _infer(self, waiting: Iterator[tuple[tuple[int, bytes], Picture]]) -> None:
        head = next(waiting, None)
        if head is None:
            return
        engine = self._engine()
        busy_s = engine.busy_s
        for (i, key), row in engine.stream(chain([head], waiting)):
            self._place(i, row)
            self.counts.computed += 1
            if self.store is not None:
                self.store.put(key, row)
        self.infer_s = engine.busy_s - busy_s

    def _engine(self) -> Engine:
        if self.extractor.is_open:
            return self.extractor.engine
        begun = time.perf_counter()
        self.progress("open", 0, 1)
        engine = self.extractor.engine
        self.progress("open", 1, 1)
        self.open_s = time.perf_counter() - begun
        return engine

    def _refuse(self, refusal: Refusal) -> None:
        if self.extractor.settings.strict:
            raise refusal.error()
        self.refused.append(refusal)
        self._advance()

    def _place(self, i: int, row: np.ndarray[Any, Any]) -> None:
        self.rows.place(i, row)
        self._advance()

    def _advance(self) -> None:
        self.done += 1
        self.progress("extract", self.done, len(self.images))

    def _share_repeats(self) -> None:
        """Pictures with the content of an earlier one take its row, or its refusal."""
        for i, origin in self.repeats:
            if self.rows.filled[origin]:
                self.rows.repeat(i, origin)
                if self.reader.sketches is not None:
                    self.reader.sketches[i] = self.reader.sketches[origin]
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
        kept = np.flatnonzero(self.rows.filled)
        if not len(kept):
            raise DataError(_none_left(self.images, self.refused), self.refused)
        self.counts.refused = len(self.refused)
        self.counts.corrupt = self.store.corrupt - self.corrupt_before if self.store else 0
        contents, groups = self.reader.contents[kept], self.images.groups
        sketches = None if self.reader.sketches is None else Sketches(self.reader.sketches[kept])
        return Extraction(
            features=self.rows.without_gaps(),
            kept=kept,
            refused=tuple(sorted(self.refused, key=lambda r: r.name)),
            counts=self.counts,
            decode_s=self.reader.seconds,
            infer_s=self.infer_s,
            open_s=self.open_s,
            wall_s=wall_s,
            notes=(self.store.problem,) if self.store and self.store.problem else (),
            contents=contents,
            sketches=sketches,
            copies=find(contents, sketches, None if groups is None else numbered(groups[kept])),
        )


def _none_left(images: ImageSet, refused: list[Refusal]) -> str:
    if not refused:
        return f"{images.title} holds no picture."
    first, why = refused[0], by_reason(r.reason for r in refused)
    cure = cured([*images.refused, *refused])
    if len(images) == 1:
        return f"{first.name} cannot be used ({why.removeprefix('1 ')}).{cure}"
    return f"None of the {len(images)} pictures of {images.title} can be used ({why}); the first is {first.name}.{cure}"
