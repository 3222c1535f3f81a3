"""Open a socket and serve until it is told to stop."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn

from headstart.errors import UserError
from headstart.serve.app import LOOPBACK, Served, application
from headstart.serve.limits import Address, Limits


def serve(
    served: Served,
    address: Address | None = None,
    limits: Limits | None = None,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a classifier until SIGTERM or Ctrl-C; what is in flight then is answered first, for up to `limits.stop_s`.

    `started` is told where. Raises UserError when the port cannot be had.
    """
    host, port, names = address or Address()
    limits = limits or Limits()
    listening = _listen(host, port)
    local = host in LOOPBACK
    app = application(served, limits, (*LOOPBACK, *names) if local else names or ("*",))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(limits.stop_s),
        h11_max_incomplete_event_size=64 * 1024,
        server_header=False,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    shown = f"[{host}]" if ":" in host else host
    started(f"http://{shown}:{listening.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listening])


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
        raise UserError(f"{host} port {port} cannot be served at ({why}); choose another with `port`.") from error
