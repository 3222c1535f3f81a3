"""Serve a classifier until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from headstart.serve import shell
from headstart.serve.app import application
from headstart.serve.limits import Address, Limits
from headstart.serve.server import Served
from headstart.serve.shell import LOOPBACK


def serve(
    served: Served,
    address: Address | None = None,
    limits: Limits | None = None,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a classifier until SIGTERM or Ctrl-C; what is in flight then is answered first, for up to `limits.stop_s`.

    `started` is told where. Raises UserError when the port cannot be had, and why a classifier that cannot be opened
    cannot: BundleError where it does not compute here what it did when it was saved.
    """
    host, port, names = address or Address()
    limits = limits or Limits()
    local = host in LOOPBACK
    app = application(served, limits, (*LOOPBACK, *names) if local else names or ("*",))
    batches = app.state.server.batches
    shell.run(app, host, port, limits.stop_s, started, lambda: batches.failure is not None)
    if batches.failure is not None:
        raise batches.failure
