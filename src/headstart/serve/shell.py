"""What every page that Headstart serves has around it: whom it answers, what headers it sends, where it listens."""

from __future__ import annotations

import ctypes
import json
import logging
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headstart.errors import UserError
from headstart.serve.connections import Connection, ending
from headstart.serve.limits import HEADER_S, MIB
from headstart.visible import visible

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


class Json(JSONResponse):
    """An answer in which what no text can hold, as of a name that is not UTF-8, stands as its code."""

    def render(self, content: Any) -> bytes:
        """See `Response.render`."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return re.sub("[\ud800-\udfff]", lambda found: json.dumps(visible(found[0]))[1:-1], text).encode()


def guard(app: FastAPI, hosts: Sequence[str]) -> None:
    """Answer requests for these hosts alone, with headers that let a page load nothing from elsewhere."""
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)
    app.add_middleware(_Headers)


def show_files(app: FastAPI, files: Mapping[str, Path]) -> None:
    """Send each file at its address."""
    for address, path in files.items():
        app.add_api_route(address, _file(path), include_in_schema=False)


def _file(path: Path) -> Any:
    async def send() -> FileResponse:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return send


class _Server(uvicorn.Server):
    """Ends, too, when what it serves has `failed`."""

    def __init__(self, config: uvicorn.Config, failed: Callable[[], bool]) -> None:
        super().__init__(config)
        self._failed = failed

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        return await super().on_tick(counter) or self._failed()


def run(
    app: FastAPI,
    host: str,
    port: int,
    stop_s: float,
    started: Callable[[str], None],
    failed: Callable[[], bool] = lambda: False,
) -> None:
    """Run an application until SIGTERM, Ctrl-C or `failed`; what is in flight is answered first, for `stop_s` seconds.

    `started` is told where. Raises UserError when the port cannot be had.
    """
    listening = _listen(host, port)
    keep_memory_flat()
    config = uvicorn.Config(
        ending(app),
        http=Connection,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=int(HEADER_S),
        timeout_graceful_shutdown=int(stop_s),
        server_header=False,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    shown = f"[{host}]" if ":" in host else host
    started(f"http://{shown}:{listening.getsockname()[1]}")
    _Server(config, failed).run(sockets=[listening])


def keep_memory_flat() -> None:
    """Have this process give the memory of large pictures back as soon as they are done with, where glibc allocates.

    By itself glibc raises the size from which a block is returned to that of the largest one freed, so a few large
    pictures keep 40 MB for each thread that has seen one. See mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 4 * MIB)
        mallopt(_TRIM_THRESHOLD, 64 * MIB)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2048)
        return found
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        other = "host" if isinstance(error, socket.gaierror) else "port"
        raise UserError(f"Cannot listen at {host}, port {port} ({why}); choose another `{other}`.") from error


class _Headers:
    """Every answer is to be taken for what it says it is, and pages load nothing from elsewhere."""

    RULE = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        docs = scope["type"] == "http" and scope["path"].startswith("/docs")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
                if not docs:  # Swagger's page has a script in itself
                    extra.append((b"content-security-policy", self.RULE.encode()))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self.app(scope, receive, with_headers)
