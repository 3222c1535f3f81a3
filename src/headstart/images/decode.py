"""One picture, from the bytes of a file or from pixels, to 8-bit grey or RGB; or one verdict why not.

    raw (bytes | pixels) -> sniff the format -> open that format only -> pixel limit from the header -> decode
        -> grey or RGB -> upright (EXIF)

Every failure of the decoder ends in `Refused(reason, detail)` with a reason of the closed list `REASONS`; nothing
else escapes. Pillow's readers are called directly, one for each allowed format: the strictest allowlist, faster than
trying formats in turn, and the size check is ours alone. What the readers warn of (damaged tags, a line for each of
sixty thousand) helps nobody; it is silenced once, when this module is imported, since threads share the filters.
A decoded picture is no proof that the file is intact: most single bit flips in a JPEG decode without an error.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import IO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from headstart.errors import Refused, first_line
from headstart.images import dear
from headstart.images.colour import to_grey_or_rgb
from headstart.images.formats import ALLOWED, HEAD, READERS, sniff
from headstart.images.ranges import White

warnings.filterwarnings("ignore", category=UserWarning, module=r"(PIL|pillow_heif)\.")

Raw: TypeAlias = bytes | NDArray[np.uint8]
"""An encoded file, or decoded pixels (h,w), (h,w,3) or (h,w,4)."""

REASONS: dict[str, str] = {
    "empty-file": "The file has no bytes, or the picture no pixels.",
    "not-an-image": "The content is not in a known picture format.",
    "format-not-allowed": f"A picture in a format other than {', '.join(ALLOWED)} and MPO "
    f"(and {' and '.join(READERS)}, where their reader is installed).",
    "truncated": "The file ends before the picture does.",
    "too-many-pixels": "Decoding would exceed the pixel limit; nothing was decoded.",
    "too-slow": "Decoding would take more work than any picture of its size needs, so it was stopped.",
    "too-many-bytes": "The file exceeds the size limit; it was not read.",
    "unreadable": "The content is damaged, or the file cannot be read.",
    "unsupported-mode": "The colour mode, the compression or the range of the values has no agreed meaning here.",
    "not-a-file": "A folder, pipe, socket or device where a file was expected.",
    "missing-file": "There is no such file.",
    "outside-the-folder": "A link that leads out of the folder.",
    "same-file": "A link to, or second mention of, something that is listed already.",
    "no-class": "A picture outside the class folders, so it has no label.",
}


@dataclass(frozen=True)
class Limits:
    """What is refused unread: more than `max_pixels` (width x height) or `max_bytes` of an encoded file.

    `white` is the range of values that declare none, as fitting saw it (see `ranges`); None: of each picture by itself.
    """

    max_pixels: int = 50_000_000
    max_bytes: int = 256 * 2**20
    white: White | None = None


DEFAULT_LIMITS = Limits()

_Reader = Callable[[IO[bytes]], Image.Image]
_READERS: dict[str, _Reader] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_ORIENTATION = 0x0112
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.3, tag Orientation: the turn that undoes it


def decode(raw: Raw, limits: Limits = DEFAULT_LIMITS, *, preview: int | None = None) -> Image.Image:
    """The first frame or page in mode 'L' (grey stays grey) or 'RGB', upright, alpha composited over white.

    `preview`: to be shown only, so a JPEG may be decoded at 1/2 to 1/8 of its size as long as no side gets less than
    that many pixels, which is many times faster. Raises `Refused` with one reason of `REASONS`, and nothing else.
    """
    try:
        image = _from_pixels(raw) if isinstance(raw, np.ndarray) else open_header(io.BytesIO(raw))
        if preview is not None:
            check_size(image.size, limits)
            dear.check_work(image, limits.max_pixels)
            image.draft("", (preview, preview))
        return finish(image, limits)
    except Refused:
        raise
    except Exception as error:  # decoders raise nine kinds of exception on damaged files
        raise verdict(error) from error


def finish(image: Image.Image, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """An opened picture -> checked for size, loaded, in mode 'L' or 'RGB', upright."""
    check_size(image.size, limits, dear.weight(image))
    dear.check_work(image, limits.max_pixels)
    image.load()
    turn = _TURN.get(orientation(image))
    image = to_grey_or_rgb(image, limits.white)
    return image.transpose(turn) if turn is not None else image


def open_header(file: IO[bytes]) -> Image.Image:
    """An encoded picture with only its header read: `size` and `mode` are known, no pixel is."""
    name = check_header(file.read(HEAD))
    reader = _reader(name)
    assert reader is not None  # what `check_header` lets pass
    file.seek(0)
    if name == "TIFF":
        dear.check_tags(file)
        file.seek(0)
    try:
        return reader(cast(IO[bytes], dear.Timed(file)))
    except Exception as error:
        raise verdict(error, ended=not file.read(1)) from error


def check_header(head: bytes) -> str:
    """The allowed format that the first bytes of a file announce; raises `Refused` for any other content."""
    if not head:
        raise Refused("empty-file", "0 bytes")
    name = sniff(head)
    if name is None:
        raise Refused("not-an-image", "no known signature")
    if _reader(name) is None:
        raise Refused("format-not-allowed", f"{name}, {READERS[name]}" if name in READERS else name)
    return name


@cache
def _reader(name: str) -> _Reader | None:
    """What opens a format; None where it is not allowed, or its reader is not installed."""
    if name == "AVIF" and features.check("avif"):
        from PIL.AvifImagePlugin import AvifImageFile

        return AvifImageFile
    if name == "HEIF":
        try:
            from pillow_heif import HeifImageFile
        except ImportError:
            return None
        return HeifImageFile  # type: ignore[no-any-return]
    return _READERS.get(name)


def check_size(size: tuple[int, int], limits: Limits = DEFAULT_LIMITS, weight: float = 1.0) -> None:
    """Refuse a (width, height) over the limit, or without pixels; `weight`: the memory of a pixel, against a JPEG's."""
    width, height = size
    most = limits.max_pixels / weight
    if width * height > most:
        raise Refused("too-many-pixels", f"{width}x{height} is over {most / 1e6:.3g} million pixels")
    if width < 1 or height < 1:
        raise Refused("empty-file", f"{width}x{height} pixels")


def digest(raw: Raw) -> bytes:
    """16 bytes (BLAKE2b) that name the content: of a file's bytes, or of an array's shape and pixels.

    An array and a file never share a digest, nor do an (h,w) and an (h,w,3) array.
    """
    if isinstance(raw, bytes):
        return hashlib.blake2b(raw, digest_size=16, person=b"file").digest()
    state = hashlib.blake2b(repr(raw.shape).encode(), digest_size=16, person=b"pixels")
    state.update(np.ascontiguousarray(raw).data)
    return state.digest()


def _from_pixels(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 (h,w), (h,w,3) or (h,w,4) -> a picture of the same pixels."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise Refused("unsupported-mode", f"{pixels.dtype} pixels of shape {pixels.shape}")
    check_size((pixels.shape[1], pixels.shape[0]), Limits(max_pixels=2**62))
    return Image.fromarray(pixels)


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; a damaged block counts as upright. (Pillow turns TIFF pages itself while loading.)"""
    if "exif" not in image.info and "xmp" not in image.info and image.format != "PNG":
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


_TRUNCATED = re.compile(r"truncat|unexpected end|end of file|premature|not enough (image )?data|EOF", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown (pixel|raw|compression)|not available|cannot handle", re.IGNORECASE
)


def verdict(error: Exception, ended: bool = False) -> Refused:
    """The one `Refused` that a decoder's exception stands for; `ended`: it had read to the end of the file."""
    if isinstance(error, Refused):
        return error
    text = first_line(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Refused("too-many-pixels", text)
    if isinstance(error, EOFError) or _TRUNCATED.search(text):
        return Refused("truncated", text)
    if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(text):
        return Refused("unsupported-mode", text)
    if ended and isinstance(error, struct.error | IndexError | SyntaxError) and "bad header" not in text:
        return Refused("truncated", text)
    return Refused("unreadable", text)
