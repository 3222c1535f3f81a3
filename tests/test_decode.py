"""Decoding one picture: right colours for every mode, one verdict for every bad file."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile, ImageOps

from headstart.errors import Refused
from headstart.images import REASONS, Limits, decode, digest
from headstart.images.decode import DEFAULT_LIMITS, finish, verdict
from headstart.images.files import read_file
from headstart.images.formats import READERS, sniff

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns about damaged tags

RED, HALF_BLUE = (255, 0, 0), (0, 0, 255, 128)


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def reason(raw: bytes | np.ndarray, limits: Limits = DEFAULT_LIMITS) -> str:
    """The verdict on a picture that must be refused."""
    with pytest.raises(Refused) as refused:
        decode(raw, limits)
    assert refused.value.reason in REASONS
    return refused.value.reason


def pixel(raw: bytes) -> Any:
    """The colour in the middle."""
    image = decode(raw)
    return image.getpixel((image.width // 2, image.height // 2))


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and brings no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + chunk + empty + end


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_red_is_red_in_every_format_without_loss(kind: str) -> None:
    """A red picture decodes to pure red RGB from each lossless format."""
    settings = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(Image.new("RGB", (9, 7), RED), kind, **settings)
    assert decode(raw).mode == "RGB"
    assert pixel(raw) == RED


def test_a_jpeg_keeps_its_colour_within_compression() -> None:
    """Red in a JPEG of quality 95 is red within 3 levels."""
    assert np.abs(np.subtract(pixel(encoded(Image.new("RGB", (16, 16), RED), "JPEG", quality=95)), RED)).max() <= 3


def test_grey_stays_grey() -> None:
    """An 8-bit grey file is mode 'L' with its value, so that preprocessing can resize one channel."""
    raw = encoded(Image.new("L", (5, 5), 77), "PNG")
    assert decode(raw).mode == "L"
    assert pixel(raw) == 77


def test_one_bit_is_black_and_white() -> None:
    """A 1-bit picture has the values 0 and 255."""
    image = Image.fromarray(np.tile([[True, False]], (4, 4)))
    assert np.unique(np.asarray(decode(encoded(image, "PNG")))).tolist() == [0, 255]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    """A 16-bit ramp 0..65535 becomes a ramp 0..255 with as many different values, from PNG and from TIFF."""
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    for kind in ("PNG", "TIFF"):
        grey = np.asarray(decode(encoded(Image.fromarray(ramp), kind)))
        assert grey.dtype == np.uint8
        assert np.abs(grey.astype(float) - ramp / 257).max() <= 0.51
        assert len(np.unique(grey)) == 256


def test_big_endian_sixteen_bits_read_the_same() -> None:
    """Mode I;16B has the same scale as I;16."""
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    big = Image.frombytes("I;16B", (64, 64), ramp.astype(">u2").tobytes())
    assert np.array_equal(np.asarray(decode(encoded(big, "TIFF"))), np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize(("value", "grey"), [(200, 200), (65535, 255), (25700, 100)])
def test_thirty_two_bit_integers_follow_the_stated_rule(value: int, grey: int) -> None:
    """0..255 is kept, 0..65535 divided by 257."""
    assert pixel(encoded(Image.new("I", (4, 4), value), "TIFF")) == grey


@pytest.mark.parametrize(("value", "grey"), [(0.5, 128), (200.0, 200), (65535.0, 255)])
def test_floats_follow_the_stated_rule(value: float, grey: int) -> None:
    """0..1 is scaled by 255, 0..255 is kept, 0..65535 divided by 257."""
    assert pixel(encoded(Image.new("F", (4, 4), value), "TIFF")) == grey


@pytest.mark.parametrize("value", [-3.0, float("nan"), 1e9])
def test_floats_without_a_meaning_are_refused(value: float) -> None:
    """Negative, missing or huge values have no agreed grey."""
    assert reason(encoded(Image.new("F", (4, 4), value), "TIFF")) == "unsupported-mode"


def test_cmyk_tiff_has_its_colour() -> None:
    """CMYK (0, 255, 255, 0) is red."""
    assert pixel(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")) == RED


def test_cmyk_jpeg_has_its_colour_with_and_without_the_adobe_marker() -> None:
    """With the Adobe marker the stored values are inverted, without it they are not: both files show red."""
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    adobe = encoded(red, "JPEG", quality=95)
    other = encoded(ImageChops.invert(red), "JPEG", quality=95)
    at = other.index(b"\xff\xee")
    plain = other[:at] + other[at + 2 + int.from_bytes(other[at + 2 : at + 4], "big") :]
    assert b"Adobe" in adobe and b"Adobe" not in plain
    for raw in (adobe, plain):
        assert np.abs(np.subtract(pixel(raw), RED)).max() <= 4


def test_transparency_lies_over_white() -> None:
    """Half-transparent blue over white is light blue; fully transparent is white, whatever colour hides below."""
    for kind in ("PNG", "TIFF", "WEBP"):
        settings = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        assert pixel(encoded(Image.new("RGBA", (4, 4), HALF_BLUE), kind, **settings)) == (127, 127, 255)
        assert pixel(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), kind, **settings)) == (255, 255, 255)


def test_grey_with_alpha_stays_grey_over_white() -> None:
    """LA (0, 128) is mid grey in mode 'L'."""
    raw = encoded(Image.new("LA", (4, 4), (0, 128)), "PNG")
    assert decode(raw).mode == "L"
    assert pixel(raw) == 127


def test_a_palette_has_its_colours_and_its_transparency() -> None:
    """A palette entry shows its colour; a transparent one shows white; with alpha in steps it is mixed."""
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 255, 0, *RED])
    assert pixel(encoded(image, "PNG")) == RED
    assert pixel(encoded(image, "PNG", transparency=1)) == (255, 255, 255)
    assert pixel(encoded(image, "PNG", transparency=bytes([255, 128]))) == (255, 127, 127)
    assert pixel(encoded(image, "GIF", transparency=1)) == (255, 255, 255)


def test_a_colour_key_is_transparent() -> None:
    """PNG colour keys (tRNS) in RGB and grey files lie over white; other colours stay."""
    assert pixel(encoded(Image.new("RGB", (4, 4), RED), "PNG", transparency=RED)) == (255, 255, 255)
    assert pixel(encoded(Image.new("RGB", (4, 4), RED), "PNG", transparency=(0, 1, 2))) == RED
    assert pixel(encoded(Image.new("L", (4, 4), 9), "PNG", transparency=9)) == 255


def test_palette_with_alpha_and_premultiplied_modes_from_memory() -> None:
    """PA, La and RGBa pictures in memory come out over white too."""
    assert finish(Image.new("RGBA", (4, 4), HALF_BLUE).convert("RGBa")).getpixel((1, 1)) == (127, 127, 255)
    assert finish(Image.new("LA", (4, 4), (0, 128)).convert("La")).getpixel((1, 1)) == 127
    assert finish(Image.new("RGBA", (4, 4), (*RED, 255)).convert("PA")).getpixel((1, 1)) == RED


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBX"])
def test_other_colour_spaces_become_rgb(mode: str) -> None:
    """A red picture in another colour space is red within a level of rounding."""
    colour = finish(Image.new("RGB", (4, 4), RED).convert(mode)).getpixel((1, 1))
    assert np.abs(np.subtract(colour, RED)).max() <= 1


def test_lab_is_refused_by_name() -> None:
    """LAB needs a colour profile to become RGB; the refusal names the mode."""
    with pytest.raises(Refused, match="LAB"):
        finish(Image.new("LAB", (4, 4)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied_once(orientation: int, kind: str) -> None:
    """Each of the eight EXIF orientations comes out as Pillow's own exif_transpose shows it."""
    pixels = np.random.default_rng(0).integers(0, 255, (5, 9, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(Image.fromarray(pixels), kind, exif=exif, **settings)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(raw))).convert("RGB"))
    assert np.array_equal(np.asarray(decode(raw)), expected)
    assert expected.shape[:2] == ((144, 80) if orientation > 4 else (80, 144))


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    """Garbage in the EXIF block is read as upright."""
    raw = encoded(Image.new("RGB", (8, 8), RED), "PNG", exif=b"Exif\x00\x00garbage that is no TIFF header")
    assert pixel(raw) == RED


def test_an_animation_shows_its_first_frame_and_a_tiff_its_first_page() -> None:
    """GIF, WebP, PNG and TIFF with a red first and a green second picture are red."""
    frames = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), (0, 255, 0))]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        settings = {"lossless": True} if kind == "WEBP" else {}
        raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **settings)
        assert pixel(raw) == RED


def test_a_multi_picture_jpeg_shows_its_first_picture() -> None:
    """An MPO is accepted and its first picture read."""
    frames = [Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), (0, 255, 0))]
    raw = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert np.abs(np.subtract(pixel(raw), RED)).max() <= 4


def test_pixels_are_pictures_too() -> None:
    """uint8 arrays (h,w), (h,w,3) and (h,w,4) decode without loss; alpha lies over white."""
    rng = np.random.default_rng(0)
    for shape in ((5, 6), (5, 6, 3)):
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        assert np.array_equal(np.asarray(decode(pixels)), pixels)
    assert decode(np.zeros((2, 2, 4), np.uint8)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "empty-file"),
        (b"hello, world", "not-an-image"),
        (b"BMW is a maker of cars", "not-an-image"),
        (b"<html><body>404</body></html>", "not-an-image"),
        (b"%PDF-1.7", "format-not-allowed"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format-not-allowed"),
        (b"P6 2 2 255\n" + bytes(12), "format-not-allowed"),
        (b"8BPS" + bytes(30), "format-not-allowed"),
        (b"\xff\xd8\xff", "truncated"),
        (png_header(100_000, 100_000), "too-many-pixels"),
        (png_header(7072, 7072), "too-many-pixels"),
        (png_header(16, 16), "truncated"),
    ],
)
def test_bad_files_have_the_verdict_that_fits(raw: bytes, expected: str) -> None:
    """Each kind of bad content is refused for its own reason."""
    assert reason(raw) == expected


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_half_a_file_is_truncated(kind: str) -> None:
    """A file cut in the middle is refused as truncated, never half decoded."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    raw = encoded(Image.fromarray(pixels), kind)
    assert reason(raw[: len(raw) // 2]) in ("truncated", "unreadable")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_the_pixel_limit_is_a_setting_and_is_checked_before_decoding() -> None:
    """A picture of 100 pixels passes a limit of 100 and not one of 99, though its data are missing."""
    raw = encoded(Image.new("RGB", (10, 10), RED), "PNG")
    assert decode(raw, Limits(max_pixels=100)).size == (10, 10)
    assert reason(raw, Limits(max_pixels=99)) == "too-many-pixels"
    assert reason(png_header(10, 10), Limits(max_pixels=99)) == "too-many-pixels"
    assert reason(np.zeros((10, 10), np.uint8), Limits(max_pixels=99)) == "too-many-pixels"


@pytest.mark.slow
def test_a_limit_above_pillows_own_is_honoured_without_a_warning() -> None:
    """With a limit of 120 million pixels a picture of 100 million decodes, and no bomb warning is given."""
    raw = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(raw, Limits(max_pixels=120_000_000)).size == (10_000, 10_000)


@pytest.mark.parametrize("pixels", [np.zeros((0, 4), np.uint8), np.zeros((4, 0, 3), np.uint8)])
def test_pictures_without_pixels_are_empty(pixels: np.ndarray) -> None:
    """Zero height or width is refused as empty."""
    assert reason(pixels) == "empty-file"


def test_arrays_that_are_no_pictures_are_refused() -> None:
    """Floats and wrong shapes are refused rather than reinterpreted."""
    assert reason(np.zeros((4, 4), np.float32)) == "unsupported-mode"
    assert reason(np.zeros((4, 4, 2), np.uint8)) == "unsupported-mode"


def test_decoding_leaves_the_process_as_it_was() -> None:
    """Neither Pillow's limits nor the warning filters change."""
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    reason(png_header(100_000, 100_000))
    decode(encoded(Image.new("RGB", (4, 4)), "PNG"))
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\x00"]))
def test_no_bytes_escape_a_verdict(tail: bytes, head: bytes) -> None:
    """Any bytes either decode to 'L' or 'RGB' or are refused; nothing else is raised."""
    try:
        assert decode(head + tail).mode in ("L", "RGB")
    except Refused as refused:
        assert refused.reason in REASONS


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), st.data())
def test_no_damage_escapes_a_verdict(kind: str, data: st.DataObject) -> None:
    """A real file with a few bytes changed decodes or is refused."""
    pixels = np.arange(3 * 24 * 24, dtype=np.uint8).reshape(24, 24, 3)
    raw = bytearray(encoded(Image.fromarray(pixels), kind))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=6)):
        raw[at] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(raw), Limits(max_pixels=1_000_000)).mode in ("L", "RGB")
    except Refused as refused:
        assert refused.reason in REASONS


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError(3), OverflowError("big")])
def test_every_exception_has_a_verdict(error: Exception) -> None:
    """Exceptions that are rarely met still become one reason of the closed list, with a one-line detail."""
    refused = verdict(error)
    assert refused.reason == "unreadable"
    assert refused.detail and "\n" not in refused.detail


def test_a_digest_names_the_content() -> None:
    """Equal content, equal digest; a file, its pixels, and the same bytes in another shape all differ."""
    pixels = np.zeros((4, 6), np.uint8)
    digests = [digest(r) for r in (pixels.tobytes(), pixels, pixels.T, pixels.reshape(2, 12), pixels[:, :, None])]
    assert len(set(digests)) == len(digests) and {len(d) for d in digests} == {16}
    assert digest(pixels) == digest(pixels.copy()) == digest(np.asfortranarray(pixels))
    changed = pixels.copy()
    changed[3, 5] = 1
    assert digest(changed) != digest(pixels)


def test_a_pipe_does_not_block_and_a_folder_is_no_file(tmp_path: Path) -> None:
    """Files that are not regular files are refused at once."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    for name, expected in (
        ("pipe.jpg", "not-a-file"),
        (".", "not-a-file"),
        ("empty.jpg", "empty-file"),
        ("none.jpg", "missing-file"),
        ("x" * 300, "unreadable"),
    ):
        with pytest.raises(Refused) as refused:
            read_file(tmp_path / name)
        assert refused.value.reason == expected


def test_a_file_over_the_size_limit_is_not_read(tmp_path: Path) -> None:
    """A sparse file of 1 GiB is refused from its size."""
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(Refused, match="too-many-bytes"):
        read_file(tmp_path / "huge.jpg")


@pytest.mark.data
def test_threads_decode_as_one_does(data_dir: Path) -> None:
    """Eight threads over real photos give the same pixels as one after the other."""
    raws = [path.read_bytes() for path in sorted((data_dir / "imagenet_samples").iterdir())[:40]]
    alone = [np.asarray(decode(raw)) for raw in raws]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda raw: np.asarray(decode(raw)), raws))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.data
def test_real_photos_decode_as_pillow_shows_them(data_dir: Path) -> None:
    """Every sample photo has exactly the pixels of Pillow's open, exif_transpose and convert."""
    for path in sorted((data_dir / "imagenet_samples").iterdir())[::4]:
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert np.array_equal(np.asarray(decode(path.read_bytes()).convert("RGB")), expected)


@pytest.mark.data
@pytest.mark.slow
def test_every_hard_file_has_exactly_one_verdict(data_dir: Path, tmp_path: Path) -> None:
    """5,779 hostile files: each decodes or has one reason; what Pillow refused, or read in another format, is refused.

    What Pillow decoded in an allowed format is decoded here too, but for pixel values without an agreed grey or colour.
    """
    import csv
    import tarfile

    with tarfile.open(data_dir / "hard_images.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    with (tmp_path / "hard_images" / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) >= 5_000
    for row in rows:
        decodable = row["outcome_pillow13"] == "decoded"
        allowed = row["format"] in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "MPO")
        try:
            image = decode(read_file(tmp_path / row["file"]))
        except Refused as refused:
            assert refused.reason in REASONS
            if decodable and allowed:
                assert refused.reason == "unsupported-mode" and row["mode"] in ("LAB", "F", "I"), row
        else:
            assert image.mode in ("L", "RGB")
            others = sniff((tmp_path / row["file"]).read_bytes()) in READERS  # have a reader of their own
            assert (decodable and allowed) or others, row


def test_a_preview_is_smaller_but_no_side_is_less_than_asked_and_the_size_limit_still_holds() -> None:
    stream = io.BytesIO()
    Image.effect_noise((1600, 1200), 50).convert("RGB").save(stream, "JPEG")
    shown = decode(stream.getvalue(), preview=150)
    assert shown.size == (200, 150)
    assert decode(stream.getvalue()).size == (1600, 1200)
    with pytest.raises(Refused, match="too-many-pixels"):
        decode(stream.getvalue(), Limits(max_pixels=1000), preview=150)


def scans(side: int, n: int) -> bytes:
    """A progressive grey JPEG whose last scan comes n times more."""
    raw = encoded(Image.new("L", (side, side), 100), "JPEG", progressive=True)
    return raw[:-2] + raw[raw.rindex(b"\xff\xda") : -2] * n + raw[-2:]


def striped(strips: int, kind: int, count: int, data: bytes) -> bytes:
    """A grey TIFF of one row a strip and 100 pixels a row; every strip is the same `count` bytes."""
    table = struct.pack("<I", 8) * strips + struct.pack("<I", count) * strips
    start = 8 + len(data)
    tags = [(256, 100), (257, strips), (258, 8), (259, kind), (262, 1), (273, start), (277, 1), (278, 1)]
    tags += [(279, start + 4 * strips)]
    page = struct.pack("<H", len(tags))
    for tag, value in tags:
        page += struct.pack("<HHII", tag, 4, strips if tag in (273, 279) else 1, value)
    return b"II*\0" + struct.pack("<I", start + len(table)) + data + table + page + bytes(4)


def test_what_would_take_minutes_is_refused_as_too_slow_before_it_is_decoded() -> None:
    """A JPEG of 3,006 scans, a TIFF that reads 64 GB from 4 MB, and one of a million strips; few scans are fine."""
    assert reason(scans(2000, 3000)) == "too-slow"
    assert decode(scans(100, 3000)).size == (100, 100)
    assert reason(striped(16_000, 8, 4_000_000, bytes(4_000_000))) == "too-slow"
    assert reason(striped(1_000_001, 1, 1, b"")) == "too-slow"
    assert decode(striped(10, 1, 100, bytes(100))).size == (100, 10)


def tiled(*sides: tuple[int, int]) -> bytes:
    """A grey TIFF of 16 x 16 pixels in one packed tile of 16 x 16, whose `sides` are what its tags 322 and 323 say."""
    data = zlib.compress(bytes(256))
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), *sides, (324, 8), (325, len(data))]
    page = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + page + bytes(4)


def test_a_tile_of_a_tiff_is_held_to_the_pixel_limit_whatever_the_size_of_the_picture() -> None:
    """A tag that is there twice counts by its larger value; a tile may be larger than the picture."""
    assert decode(tiled((322, 16), (323, 16))).size == (16, 16)
    assert reason(tiled((322, 44_000), (323, 44_000))) == "too-many-pixels"
    assert reason(tiled((322, 44_000), (322, 16), (323, 44_000), (323, 16))) == "too-many-pixels"
    assert reason(tiled((322, 64), (323, 64)), Limits(max_pixels=4000)) == "too-many-pixels"


def test_damaged_tags_write_nothing_to_the_terminal() -> None:
    """A reader's warnings would be a line for each of sixty thousand tags."""
    base = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (278, 4), (279, 16)]
    page = struct.pack("<H", 308) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in base)
    page += b"".join(struct.pack("<HHII", 2000 + i, 7, 700_000, 0) for i in range(300)) + bytes(4)
    raw = b"II*\0" + struct.pack("<I", 24) + bytes(16) + page
    code = "import sys; from headstart.images import decode; print(decode(sys.stdin.buffer.read()).size)"
    done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (b"(4, 4)", b"")


def test_a_file_of_endless_small_pieces_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG of empty chunks and a JPEG of fill bytes are read in Python, so the deadline holds within."""
    monkeypatch.setattr("headstart.images.dear.SECONDS", 0.05)
    png = encoded(Image.new("L", (9, 9)), "PNG")
    empty = struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    assert reason(png[:33] + empty * 100_000 + png[33:]) == "too-slow"
    jpeg = encoded(Image.new("L", (9, 9)), "JPEG")
    assert reason(jpeg[:2] + b"\xff" * 1_000_000 + jpeg[2:]) == "too-slow"
    assert decode(png).size == decode(jpeg).size == (9, 9)


def test_formats_that_take_more_memory_have_a_lower_pixel_limit() -> None:
    """A WebP takes 1.6 times the memory of a JPEG of its size."""
    picture, limits = Image.new("RGB", (100, 100)), Limits(max_pixels=10_000)
    assert decode(encoded(picture, "JPEG"), limits).size == (100, 100)
    assert reason(encoded(picture, "WEBP"), limits) == "too-many-pixels"
