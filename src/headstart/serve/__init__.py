"""`headstart serve`: a finished run behind HTTP, and a page to try it in a browser.

    body (counted while it comes) -> pictures -> Batches (one thread, one open classifier) -> answers as JSON

FastAPI and what it needs are the extra `serve`.
"""

from __future__ import annotations

from headstart.serve.limits import Limits

__all__ = ["Limits"]
