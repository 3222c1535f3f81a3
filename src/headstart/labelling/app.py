"""The page of `headstart label`: what it asks at each address, and how it is answered. No answer waits for a fit."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import Body, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from headstart.errors import Refused, UserError
from headstart.images import decode
from headstart.labelling.choosing import Codes
from headstart.labelling.insight import NEXT, Insight, Worker
from headstart.labelling.ledger import NONE
from headstart.labelling.session import Conflict, Session
from headstart.serve.app import PAGE as SERVED
from headstart.serve.limits import MIB
from headstart.serve.shell import LOOPBACK, Json, guard, show_files
from headstart.visible import visible

PAGE = Path(__file__).parent / "page"
SIDES = (160, 800, 2400)
"""Pixels of a picture's longer side: in a grid, to label, and zoomed."""
KEPT = 400
MOST_PROPOSED = 48
GRID = 200
"""Look-alikes that are shown with a picture."""
MOST_SENT = MIB
"""Bytes of what the page may send; it never sends a tenth of that."""


class Asked(BaseModel):
    """A body: its keys and types are all known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Labelled(Asked):
    """Say what pictures are; null is none of the classes."""

    pictures: list[int] = Field(min_length=1, max_length=5_000)
    label: str | None
    seen: int = 0
    random: bool = False


class Confirmed(Asked):
    """Proposals of a page that a person has looked at."""

    labels: list[Labelled] = Field(max_length=MOST_PROPOSED)


class Named(Asked):
    """A new class, or with `old` another name for one."""

    name: str = Field(max_length=1_000)
    old: str | None = None


class Desk:
    """A session, its worker, and their answers as JSON."""

    def __init__(self, session: Session, title: str) -> None:
        self.session, self.worker, self.title = session, Worker(session), title
        self.album = session.album
        self.picture = lru_cache(KEPT)(self._picture)

    def _picture(self, i: int, side: int) -> tuple[bytes, str]:
        """Encoded for a browser, its longer side at most so long; small pictures as they are."""
        images = self.album.images
        found = decode(images.raw(i), images.limits, preview=side)
        found = found if found.mode in ("L", "RGB") else found.convert("RGB")
        found.thumbnail((side, side))
        small, file = max(found.size) <= 96, io.BytesIO()
        found.save(file, "png") if small else found.save(file, "jpeg", quality=88)
        return file.getvalue(), f"image/{'png' if small else 'jpeg'}"

    def shown(self, i: int) -> dict[str, Any]:
        """A picture as the page knows it."""
        said = self.session.said(i)
        alike = [j for j in self.album.alike(i) if j != i and self.session.said(j) is None][:GRID]
        return {
            "id": i,
            "name": self.album.images.names[i],
            "alike": alike,
            "seen": max(map(self.session.seen, (i, *alike))),
            "label": None if said is None or said.label == NONE else said.label,
            "none": said is not None and said.label == NONE,
            **self.guessed(i),
        }

    def guessed(self, i: int) -> dict[str, Any]:
        """What the classifier takes a picture for."""
        found = self.worker.insight
        if found.probabilities is None:
            return {"guess": None, "confidence": None}
        k = int(found.probabilities[i].argmax())
        name = found.classes[k]  # of the time when it was looked at: a class may have another name by now
        return {"guess": name if name in self.session.classes else None, "confidence": float(found.probabilities[i, k])}

    @property
    def left(self) -> Codes:
        """The places of the pictures without a label."""
        said = self.session.said
        return np.array([i for i in range(len(self.album.images)) if said(i) is None], np.int64)

    def counts(self) -> dict[str, Any]:
        """How far it is; what every answer has."""
        now = self.session.snapshot()
        each = dict.fromkeys(now.classes, 0)
        for label in now.labels.values():
            each[label] += 1
        return {
            "classes": [{"name": name, "n": n} for name, n in each.items()],
            "labelled": len(now.labels),
            "none": len(now.none),
            "pictures": len(self.album.images),
            "action": now.version,
        }

    def state(self) -> dict[str, Any]:
        """Everything beside the pictures."""
        found, left = self.worker.insight, self.left
        return {
            **self.counts(),
            **self.worker.status(),
            "title": self.title,
            "out": str(self.session.out),
            "looked": self.album.looked,
            "refused": len(self.album.refused),
            "notes": self.session.notes[-3:],
            "version": found.version,
            "accuracy": found.accuracy,
            "measured": found.measured,
            "curve": _curve(found),
            "unsure": [self.shown(int(i)) for i in found.unsure(left)[:12]],
            "doubted": [
                {**self.shown(i), "suggested": suggested, "sure": p}
                for i, suggested, p in found.doubted
                if (said := self.session.said(i)) is not None
                and said.label in found.classes
                and suggested in self.session.classes
                and said.label != suggested
            ],
        }

    def proposals(self, at: float) -> dict[str, Any]:
        """The first page of pictures that it is so sure of; and how often it was right when so sure."""
        found = self.worker.insight
        sure = found.sure(self.left, at)
        tried = found.sure_right[found.sure_right[:, 0] >= at]
        return {
            "at": at,
            "total": len(sure),
            "tried": len(tried),
            "right": int(tried[:, 1].sum()),
            "pictures": [one for i in sure[:MOST_PROPOSED] if (one := self.shown(int(i)))["guess"] is not None],
        }

    def check(self, places: Sequence[int]) -> None:
        """Raise UserError for a picture that there is not."""
        if any(not 0 <= i < len(self.album.images) for i in places):
            raise UserError("There is no such picture.")


def _curve(found: Insight) -> dict[str, Any] | None:
    """The curve so far and what the next labels will likely bring, or why that cannot be told."""
    if found.forecast is None:
        return None
    known = found.forecast
    points = [[n, value] for n, value in zip(known.sizes, known.accuracy, strict=True)]
    ahead = [] if known.odd else [[known.n * times, *known.at(known.n * times)] for times in (1, 1.25, 1.6, 2, 3, 4)]
    following = None if known.odd else [known.n + NEXT, *known.at(known.n + NEXT)]
    return {"points": points, "ahead": ahead, "next": following, "odd": known.odd}


def application(session: Session, title: str) -> FastAPI:
    """The application of a session; its worker starts and ends with it. Only loopback's names are answered."""
    desk = Desk(session, title)

    @asynccontextmanager
    async def open_to_close(_: FastAPI) -> AsyncGenerator[None, None]:
        await asyncio.to_thread(desk.worker.start)
        yield
        await asyncio.to_thread(desk.worker.stop)
        session.close()

    app = FastAPI(
        title=title,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=open_to_close,
        default_response_class=Json,
    )
    guard(app, LOOPBACK)
    app.middleware("http")(_own_page_alone)
    app.add_exception_handler(UserError, _mistake)
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.state.desk = desk
    _tell(app, desk)
    _take(app, desk)
    files = {name: PAGE / name for name in ("label.css", "label.js")} | {"": PAGE / "index.html"}
    files |= {name: SERVED / name for name in ("page.css", "common.js", "icon.svg")}
    show_files(app, {f"/{name}": path for name, path in files.items()})
    return app


def _tell(app: FastAPI, desk: Desk) -> None:
    @app.get("/state")
    def state() -> dict[str, Any]:
        return desk.state()

    @app.get("/next")
    def following(tab: Annotated[str, Query(max_length=64)], n: Annotated[int, Query(ge=1, le=50)] = 8) -> list[Any]:
        random = desk.session.at_random
        return [{**desk.shown(i), "random": i in random} for i in desk.session.next(n, tab)]

    @app.get("/one/{i}")
    def one(i: int) -> dict[str, Any]:
        desk.check([i])
        return desk.shown(i)

    @app.get("/proposals")
    def proposals(at: Annotated[float, Query(ge=0, le=1)] = 0.95) -> dict[str, Any]:
        return desk.proposals(at)

    @app.get("/picture/{i}")
    def picture(i: int, side: int = SIDES[1]) -> Response:
        desk.check([i])
        try:
            content, kind = desk.picture(i, min(SIDES, key=lambda known: abs(known - side)))
        except Refused as refused:
            return Json({"detail": f"The picture can no longer be read ({refused.reason})."}, 410)
        kept = {"Cache-Control": "private, max-age=3600", "Cross-Origin-Resource-Policy": "same-origin"}
        return Response(content, media_type=kind, headers=kept)


def _take(app: FastAPI, desk: Desk) -> None:
    session = desk.session

    @app.post("/label")
    def label(asked: Labelled) -> dict[str, Any]:
        desk.check(asked.pictures)
        by = "random" if asked.random else "hand"
        action = session.label(asked.pictures, asked.label or NONE, asked.seen, by)
        return {**desk.counts(), "action": action}

    @app.post("/confirm")
    def confirm(asked: Confirmed) -> dict[str, Any]:
        for each in asked.labels:
            desk.check(each.pictures)
        session.confirm([(each.pictures, each.label or NONE, each.seen) for each in asked.labels])
        return desk.counts()

    @app.post("/undo")
    def undo(action: Annotated[int, Body(embed=True)]) -> dict[str, Any]:
        return {"back": [desk.shown(i) for i in session.undo(action)], **desk.counts()}

    @app.post("/skip")
    def skip(picture: Annotated[int, Body(embed=True)]) -> dict[str, Any]:
        desk.check([picture])
        session.skip(picture)
        return desk.counts()

    @app.post("/class")
    def name(asked: Named) -> dict[str, Any]:
        if asked.old is None:
            session.add_class(asked.name)
        else:
            session.rename(asked.old, asked.name)
        return desk.counts()


async def _own_page_alone(request: Request, call_next: Any) -> Response:
    """No page of the web may change anything here, or show the pictures: browsers say who asks."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    if site not in ("same-origin", "none") or (request.method == "POST" and not json):
        return Json({"detail": "Only the page of this server may ask that."}, 403)
    length = request.headers.get("content-length", "")
    if request.method == "POST" and not length.isdecimal():
        return Json({"detail": "A request must state its length (Content-Length)."}, 411)
    if request.method == "POST" and int(length) > MOST_SENT:
        return Json({"detail": f"A request may have at most {MOST_SENT // MIB} MiB; label fewer at a time."}, 413)
    response: Response = await call_next(request)
    return response


async def _mistake(_: Request, error: Exception) -> Response:
    return Json({"detail": str(error)}, 422)


async def _not_understood(_: Request, error: Exception) -> Response:
    """What was sent is not said again: it may be nothing that JSON can hold."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = visible(".".join(map(str, first["loc"])))
    return Json({"detail": f"The request is not understood: {where}: {visible(first['msg'])}."}, 422)


async def _conflict(_: Request, error: Exception) -> Response:
    return Json({"detail": "It has since been labelled in another tab; that label stays."}, 409)
