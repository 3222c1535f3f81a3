"""Which file format some bytes claim to be, by their first bytes and never by the file's name.

Only the formats in `ALLOWED`, and those of `READERS` whose reader is there, are ever opened. The others are recognised
so that the refusal can name them.
Signatures: the formats' own specifications and the file(1) database.
"""

from __future__ import annotations

import re

ALLOWED = (
    "JPEG",
    "PNG",
    "GIF",
    "BMP",
    "WEBP",
    "TIFF",
)  # an MPO is a JPEG followed by more: its first picture is read
READERS = {
    "HEIF": "pip install 'headstart[heif]' reads them (the photos of iPhones, .heic)",
    "AVIF": "Pillow reads them from 11.3 on: pip install --upgrade pillow",
}
"""Formats that need a reader which may be missing, and how to get it."""
VALUES = " with values "
"""What stands in the detail of a picture that is refused for its values, between its mode and these."""
HEAD = 64  # bytes that `sniff` needs
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".mpo"}
)  # file endings that are believed while listing; anything else is sniffed

_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the known information headers
_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("GIF", rb"GIF8[79]a"),
        ("WEBP", rb"RIFF....WEBP"),
        ("TIFF", rb"II\*\x00|MM\x00\*|II\x00\*|MM\*\x00|II\+\x00|MM\x00\+"),
        ("AVIF", rb"....ftyp(?:avi[fs]|m[is]f1.{4}(?:.{4}){0,8}?avi[fs])"),
        ("HEIF", rb"....ftyp(?:hei|hev|mif|msf|hek)"),
        ("JPEG 2000", rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
        ("JPEG XL", rb"\xff\x0a|\x00\x00\x00\x0cJXL "),
        ("PSD", rb"8BPS"),
        ("ICO", rb"\x00\x00\x01\x00[^\x00]"),
        ("CUR", rb"\x00\x00\x02\x00[^\x00]\x00"),
        ("ICNS", rb"icns"),
        ("DDS", rb"DDS "),
        ("QOI", rb"qoif"),
        ("PNM", rb"P[1-7yf][\s#]|P[fF]\n"),
        ("SGI", rb"\x01\xda[\x00\x01][\x01\x02]"),
        ("PDF", rb"%PDF"),
        ("PostScript", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("SVG", rb"\s*(?:<\?xml[^>]*>\s*)?<svg"),
        ("OpenEXR", rb"v/1\x01"),
        ("Radiance HDR", rb"#\?RADIANCE"),
        ("FITS", rb"SIMPLE  ="),
        ("PCX", rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]"),
        ("DCX", rb"\xb1\x68\xde\x3a"),
        ("FLI", rb"....[\x11\x12]\xaf"),
        ("BLP", rb"BLP[12]"),
        ("XPM", rb"/\* XPM \*/"),
        ("XBM", rb"\s*#define "),
        ("WMF", rb"\xd7\xcd\xc6\x9a"),
        ("EMF", rb"\x01\x00\x00\x00.{36} EMF"),
        ("SUN raster", rb"\x59\xa6\x6a\x95"),
        ("HDF5", rb"\x89HDF\r\n\x1a\n"),
        ("XCF", rb"gimp xcf"),
    )
)


def sniff(head: bytes) -> str | None:
    """The name of the format that these first bytes (`HEAD` or more are enough) announce, or None."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    for name, pattern in _SIGNATURES:
        if pattern.match(head):
            return name
    return None
