"""The connections of a server: the header of a request is bounded, and is waited for only so long."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headstart.serve.limits import HEADER, HEADER_S


class Connection(HttpToolsProtocol):
    """A connection that is closed where it sends over `HEADER` bytes of a header, or no whole request in `HEADER_S`.

    The time of a request that is being answered is bounded by who answers it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header: int | None = 0  # bytes so far; None in a body
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; the parser itself keeps a header of any length."""
        if self._header is not None:
            self._header += len(data)  # from nothing again where a header ends in this
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._header is not None and self._header > HEADER:
            self.send_400_response(f"The header of a request may have at most {HEADER:,} bytes.")
        elif self._answering:
            self._wait_no_more()
        elif self._late is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """A body follows."""
        self._header = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A header follows."""
        self._header = 0
        super().on_message_complete()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEADER_S, self._close_late)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close_late(self) -> None:
        self._late = None
        if not self._answering:
            self.transport.close()


def ending(app: ASGIApp) -> ASGIApp:
    """The application; a request that is cut off because the server stops is answered so, and is no error."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, noted)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not begun:
                await JSONResponse({"detail": "Not answered: the server is stopping."}, 503)(scope, receive, send)

    return answered
