"""What is served, and what its addresses share: the batches, how many requests are in flight, and the meters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from fastapi import Request

from headstart.classifier import Classifier
from headstart.errors import UserError
from headstart.explaining.nearest import TrainingPictures
from headstart.images import Refusal
from headstart.predictions import check_coverage
from headstart.serve import answers, bodies
from headstart.serve.batches import Answer, Batches
from headstart.serve.bodies import NotTaken, Sent
from headstart.serve.card import card_as_html
from headstart.serve.limits import Limits
from headstart.serve.meters import Meters
from headstart.serve.shell import Json
from headstart.visible import visible

AGAIN_S = 1
"""Seconds after which a client may try again."""


class Served(NamedTuple):
    """A classifier, the name of its run, its model card (Markdown), the pictures fitted on, and `bundle.identity`."""

    classifier: Classifier
    title: str
    card: str = ""
    training: TrainingPictures | None = None
    identity: str = ""


class Asked(NamedTuple):
    """What is asked beside a picture's class."""

    topk: int = 5
    coverage: float | None = None
    explained: bool = False


class Server:
    """A classifier, its batches, limits and meters: what the addresses of an application share."""

    def __init__(self, served: Served, limits: Limits) -> None:
        self.served, self.classifier, self.limits, self.meters = served, served.classifier, limits, Meters()
        self.batches = Batches(served.classifier, limits.pixels, served.training, self.meters.batches.observe)
        self.meters.waiting.set_function(lambda: self.batches.waiting)
        self.in_flight = 0
        self.stopping = False

    @property
    def ready(self) -> bool:
        """Whether a picture would be answered now."""
        return self.batches.ready.is_set() and not self.stopping

    async def predict(self, request: Request, asked: Asked) -> Json:
        """The answer to a body of one or several pictures, within the limits."""
        try:
            check_coverage(self.classifier, asked.coverage)
        except UserError as error:
            raise NotTaken(422, str(error)) from None
        if self.in_flight >= self.limits.queue:
            raise self._busy("too many requests are waiting")
        self.in_flight += 1
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.limits.request_s):
                sent = await bodies.pictures(request, self.limits)
                found = await asyncio.gather(*(self._one(picture, asked) for picture in sent))
        except TimeoutError:
            raise self._busy(f"it took over {self.limits.request_s:g} s") from None
        except Exception as error:
            if error is not self.batches.failure:
                raise
            raise NotTaken(
                503, "Not answered: the classifier cannot be opened here; see the log for the reason."
            ) from None
        finally:
            self.in_flight -= 1
            self.meters.seconds.observe(time.perf_counter() - started)
        return self._response(sent, found, asked)

    async def _one(self, picture: Sent, asked: Asked) -> Answer | Refusal:
        return await asyncio.wrap_future(self.batches.submit(picture.raw, explained=asked.explained))

    def _response(self, sent: Sequence[Sent], found: Sequence[Answer | Refusal], asked: Asked) -> Json:
        rows = [self._row(picture, answer, asked) for picture, answer in zip(sent, found, strict=True)]
        failed = [answer for answer in found if isinstance(answer, Refusal)]
        if len(failed) == len(found):
            detail = answers.said(failed[0]) if len(found) == 1 else f"None of the {len(found)} pictures can be used."
            return Json({"detail": detail, "predictions": rows}, answers.status(failed[0]))
        return Json({"predictions": rows})

    def _row(self, picture: Sent, answer: Answer | Refusal, asked: Asked) -> dict[str, Any]:
        if isinstance(answer, Refusal):
            self.meters.pictures.labels(answer.reason).inc()
            return answers.refused(picture.name, answer)
        row = answers.answered(self.classifier, picture.name, answer, asked.topk, asked.coverage)
        if answer.known is False:
            self.meters.strangers.inc()
        self.meters.pictures.labels("answered").inc()
        self.meters.predicted.labels(visible(row["predicted"])).inc()
        return row

    def _busy(self, why: str) -> NotTaken:
        return NotTaken(503, f"Not answered: {why}. Try again later.", {"Retry-After": str(AGAIN_S)})

    def metadata(self) -> dict[str, Any]:
        """What is served."""
        source = self.classifier.source
        backbone, preprocess = source.backbone, source.preprocess
        return {
            "title": self.served.title,
            "identity": self.served.identity,
            "headstart": version("headstart"),
            "classes": list(self.classifier.classes),
            "backbone": backbone.name if backbone else None,
            "licence": source.licence,
            "layer": source.layer,
            "image_size": [preprocess.height, preprocess.width],
            "tells_strangers": self.classifier.novelty is not None and self.classifier.novelty.threshold is not None,
            "makes_sets": self.classifier.conformal is not None,
            "explains": True,
            "card": card_as_html(self.served.card),
            "limits": {
                "body_bytes": self.limits.body,
                "pixels": self.limits.pixels,
                "pictures": self.limits.pictures,
                "queue": self.limits.queue,
                "seconds": self.limits.request_s,
            },
        }
