"""The HTTP application: what is asked at each address, and how it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi_offline import FastAPIOffline

from headstart.errors import UnknownName
from headstart.serve.bodies import NotTaken
from headstart.serve.limits import Limits
from headstart.serve.server import AGAIN_S, Asked, Served, Server
from headstart.serve.shell import LOOPBACK, Json, guard, show_files
from headstart.visible import visible

PAGE = Path(__file__).parent / "page"
PARAMETERS = ("topk", "coverage", "explain")
"""Of the address of /predict."""
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


def application(served: Served, limits: Limits | None = None, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """The application that serves a classifier; it opens it when it starts and gives it back when it ends.

    Requests that name another host than `hosts` are refused, so that no web page can read what is served on loopback
    under a name of its own; `("*",)` takes all.
    """
    server = Server(served, limits or Limits())

    @asynccontextmanager
    async def open_to_close(_: FastAPI) -> AsyncGenerator[None, None]:
        server.batches.start()
        yield
        server.stopping = True
        await asyncio.to_thread(server.batches.stop)

    app = FastAPIOffline(
        title=visible(served.title),
        version=version("headstart"),
        description="Names what pictures show. Send a picture to `/predict`, or several as the files of a form.",
        redoc_url=None,
        lifespan=open_to_close,
        default_response_class=Json,
        static_url="/docs-files",
        favicon_url="/icon.svg",
    )
    guard(app, hosts)
    app.add_exception_handler(NotTaken, _not_taken)
    app.add_exception_handler(RequestValidationError, _not_possible)
    app.add_exception_handler(Exception, _failed)
    app.state.server = server
    _answer_pictures(app, server)
    _tell_of_itself(app, server)
    files = {name: PAGE / name for name in ("page.css", "page.js", "common.js", "icon.svg")} | {"": PAGE / "index.html"}
    show_files(app, {f"/{name}": path for name, path in files.items()})
    return app


def _answer_pictures(app: FastAPI, server: Server) -> None:
    @app.post("/predict", openapi_extra=BODY, summary="Name the class of one or several pictures")
    async def predict(
        request: Request,
        topk: Annotated[int, Query(ge=0, description="How many classes to give for each picture; 0: all.")] = 5,
        coverage: Annotated[
            float | None,
            Query(
                gt=0, lt=1, description="Also give a set of classes that contains the true one with this probability."
            ),
        ] = None,
        explain: Annotated[bool, Query(description="Also show which parts of the picture support its class.")] = False,
    ) -> Json:
        """The body is a picture, or a form with several as its files. Where one of several cannot be used, its place
        says why; where none can, the status is that of the first: 400, 413, 415 or 422."""
        with server.meters.in_flight.track_inprogress():
            try:
                _check_names(request)
                response = await server.predict(request, Asked(topk, coverage, explain))
            except Exception as error:
                server.meters.requests.labels(str(error.status if isinstance(error, NotTaken) else 500)).inc()
                raise
            server.meters.requests.labels(str(response.status_code)).inc()
            return response


def _tell_of_itself(app: FastAPI, server: Server) -> None:
    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready", summary="Whether a picture would be answered now")
    async def ready() -> Json:
        if server.ready:
            return Json({"status": "ready"})
        why = "stopping" if server.stopping else "failed" if server.batches.failure else "opening"
        return Json({"status": why}, 503, headers={"Retry-After": str(AGAIN_S)})

    @app.get("/metadata", summary="What is served: classes, network, licence, limits")
    async def metadata() -> dict[str, Any]:
        return server.metadata()

    @app.get("/metrics", summary="Counts for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(server.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _check_names(request: Request) -> None:
    """Raise NotTaken for a parameter of the address that there is not, which would be without effect."""
    for name in request.query_params:
        if name not in PARAMETERS:
            raise NotTaken(400, str(UnknownName("parameter of /predict", name, PARAMETERS)))


async def _not_possible(request: Request, error: Exception) -> Response:
    """A parameter of the address that cannot be, as `topk=-1`."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    request.app.state.server.meters.requests.labels("400").inc()
    detail = f"{first['loc'][-1]}={first['input']} is not possible: {first['msg'][:1].lower()}{first['msg'][1:]}."
    return Json({"detail": detail}, 400)


async def _failed(_: Request, __: Exception) -> Response:
    """A defect of ours; its traceback goes to the log."""
    return Json({"detail": "Not answered: the server failed; see its log for the reason."}, 500)


async def _not_taken(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotTaken)
    return Json({"detail": error.detail}, error.status, headers=error.headers)
