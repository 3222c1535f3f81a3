"""Batches: one thread holds the classifier open and answers together whatever pictures are waiting.

There is no waiting for a batch to fill: while one is answered, the next gathers. A picture's answer does not depend on
those beside it, because a row of an engine depends on its picture alone.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import Classifier, Predictor
from headstart.errors import DataError, HeadstartError
from headstart.explaining.nearest import TrainingPictures
from headstart.images import Refusal, from_arrays
from headstart.serve.why import Why
from headstart.threads import single_threaded_blas

MOST = 32
"""Pictures of a batch."""
log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """Probabilities (k,) of one picture; `known` is False for a stranger, None where that is not told.

    `why` is its explanation as JSON has it, where one was asked for.
    """

    probabilities: NDArray[np.float64]
    known: bool | None
    why: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Waiting:
    raw: bytes
    explained: bool
    future: Future[Answer | Refusal]


class Batches:
    """A classifier held open by a thread of its own, from `start` to `stop`.

    `on_batch` is told the size of every batch.
    """

    def __init__(
        self,
        classifier: Classifier,
        max_pixels: int,
        training: TrainingPictures | None = None,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.classifier, self.max_pixels = classifier, max_pixels
        self.ready = threading.Event()
        self.failure: Exception | None = None
        """Why the classifier could not be opened, where it could not."""
        self._on_batch = on_batch
        self._predictor = Predictor(classifier)
        self._why = Why(classifier, self._predictor.extractor, training)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def start(self) -> None:
        """Open the classifier, in the background; `ready` is set when it has answered a first picture."""
        self._thread.start()

    def submit(self, raw: bytes, *, explained: bool = False) -> Future[Answer | Refusal]:
        """The answer to one encoded picture, or why there is none; a future that is cancelled is skipped."""
        future: Future[Answer | Refusal] = Future()
        self._queue.put(_Waiting(raw, explained, future))
        return future

    def stop(self) -> None:
        """Answer what is waiting, and give the classifier back."""
        self._queue.put(None)
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Pictures that wait for their batch."""
        return self._queue.qsize()

    def _work(self) -> None:
        with self._predictor, single_threaded_blas():  # the products are small, and the engine is at work on all cores
            try:
                blank = np.full((1, 32, 32, 3), 127, np.uint8)
                self._predictor.predict_proba(from_arrays(blank, white=self.classifier.source.preprocess.white))
                self.ready.set()
            except Exception as error:
                log.error("The classifier cannot be opened.", exc_info=not isinstance(error, HeadstartError))
                self.failure = error
            while batch := self._next():
                self._answer(batch)

    def _next(self) -> list[_Waiting]:
        """What is waiting, at least one and up to MOST; nothing when it is time to stop."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < MOST:
            try:
                another = self._queue.get_nowait()
            except queue.Empty:
                break
            if another is None:
                self._queue.put(None)  # for the next time: this batch first
                break
            batch.append(another)
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        wanted = [waiting for waiting in batch if waiting.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        if self.failure is not None:
            for waiting in wanted:
                waiting.future.set_exception(self.failure)
            return
        self._on_batch(len(wanted))
        try:
            found = self._answers(wanted)
        except Exception as error:
            log.exception("A batch of %d pictures failed.", len(wanted))
            for waiting in wanted:
                waiting.future.set_exception(error)
            return
        for waiting, answer in zip(wanted, found, strict=True):
            waiting.future.set_result(answer)

    def _answers(self, wanted: Sequence[_Waiting]) -> list[Answer | Refusal]:
        images = from_arrays([waiting.raw for waiting in wanted], white=self.classifier.source.preprocess.white)
        images = replace(images, limits=replace(images.limits, max_pixels=self.max_pixels))
        try:
            probabilities, extraction = self._predictor.predict_proba(images)
        except DataError as error:  # not one picture could be used
            verdicts = {refusal.name: refusal for refusal in error.refused}
            return [verdicts[name] for name in images.names]
        known, features = self.classifier.known(extraction.features), extraction.features
        found: dict[str, Answer | Refusal] = {refusal.name: refusal for refusal in extraction.refused}
        for place, i in enumerate(extraction.kept):
            p = probabilities[place]
            why = self._why.of(images, int(i), p, features[place]) if wanted[i].explained else None
            found[images.names[i]] = Answer(p, None if known is None else bool(known[place]), why)
        return [found[name] for name in images.names]
