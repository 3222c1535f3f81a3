"""The body of a request -> encoded pictures: the body itself, or the files of a form. Counted while it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from headstart.serve.limits import MIB, Limits


class Sent(NamedTuple):
    """A picture as it was sent: the name of its file, or None, and its bytes."""

    name: str | None
    raw: bytes


class NotTaken(Exception):
    """A request that is answered by an error: the status, what is wrong and what to do, and headers."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, headers or {}
        super().__init__(detail)


async def pictures(request: Request, limits: Limits) -> list[Sent]:
    """What was sent. Raises NotTaken: 413 over the limit, 400 for a form without files or a broken one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    stream = _counted(request, limits)
    if kind != "multipart/form-data":
        return [Sent(None, b"".join([part async for part in stream]))]
    parser = MultiPartParser(request.headers, stream, max_files=limits.pictures, max_fields=limits.pictures)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, ValueError, KeyError) as error:
        if "Too many" in str(error):
            raise NotTaken(
                413, f"A form may hold at most {limits.pictures} pictures; send the others separately."
            ) from error
        raise NotTaken(400, "The form cannot be read: it is not multipart/form-data as in RFC 7578.") from error
    try:
        files = [value for _, value in form.multi_items() if not isinstance(value, str)]
        sent = [Sent(file.filename, await file.read()) for file in files]
    finally:
        await form.close()
    if not sent:
        raise NotTaken(400, "The form holds no file; send each picture as a file of the form.")
    return sent


async def _counted(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body part by part, as far as the limit; a length that is over it is not waited for."""
    over = NotTaken(413, f"The body is over {limits.body / MIB:.3g} MiB; send smaller pictures, or fewer at a time.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body:
        raise over
    total = 0
    try:
        async for part in request.stream():
            total += len(part)
            if total > limits.body:
                raise over
            yield part
    except ClientDisconnect:
        raise NotTaken(400, "The body ended before it was complete.") from None
