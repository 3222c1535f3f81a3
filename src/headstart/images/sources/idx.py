"""A folder of IDX files, plain or gzipped, as MNIST is published (format: http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.images.archive import MAX_RATIO
from headstart.images.imageset import ImageSet
from headstart.images.labels import encode
from headstart.images.options import LoadOptions
from headstart.images.parts import PARTS, SPELLINGS, check_classes_in_train
from headstart.images.sources.arrays import to_uint8
from headstart.phrases import plural

_IMAGES = re.compile(r"(?P<stem>.*?)[-_.]?images[-_.]idx\d-ubyte(\.gz)?$", re.IGNORECASE)
_UBYTE = 0x08
_CHUNK = 16 * 2**20
MAX_BYTES = 16 * 2**30  # pixels of one file
FREE_BYTES = 128 * 2**20
"""What a packed file may expand to where `MAX_RATIO` times its size is less."""


def accepts(data: Any) -> bool:
    """A folder that holds a file of pictures in IDX format."""
    return isinstance(data, Path) and data.is_dir() and any(_IMAGES.fullmatch(p.name) for p in data.iterdir())


def load(data: Path, options: LoadOptions, class_names: tuple[str, ...] | None = None) -> ImageSet:
    """Every pair `*images-idx3-ubyte[.gz]`, `*labels-idx1-ubyte[.gz]`; `train`, `t10k` and the like are parts.

    Class names are `class_names` by position, the lines of `classes.txt` if the folder has one, or the numbers.
    Raises `DataError` for a missing partner, a wrong magic number, a length or count that does not fit.
    """
    pixels, labels, parts, names = [], [], [], []
    for part, stem, path in _image_files(data):
        block = to_uint8(read_idx(path))
        pixels.append(block)
        labels.append(_labels(path, len(block)) if options.labelled else np.zeros(len(block), np.uint8))
        parts += [part] * len(block)
        names += [f"{part or stem or 'image'}/{i:06d}" for i in range(len(block))]
    stacked = _stack(pixels, data)
    listed = class_names or _listed_classes(data)
    index, classes = encode(np.concatenate(labels) if options.labelled else None, listed, len(stacked), str(data))
    check_classes_in_train(index, np.array(parts), classes, str(data))
    return ImageSet(stacked, tuple(names), index, classes, np.array(parts), title=data.name, limits=options.limits)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The uint8 array of one IDX file: magic 0, 0, 8, number of axes; sizes as big-endian uint32; values.

    Raises `DataError` when the header is wrong or the values are fewer or more than it says.
    """
    if not path.is_file():  # to open a pipe would wait for ever
        raise DataError(f"{path} is not a regular file: put the file of pictures or labels itself there.")
    try:
        with _open(path) as file:
            shape = _shape(file, path)
            need = int(np.prod(shape, dtype=np.int64))
            _check_packing(path, need)
            values = _read(file, need)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end: {error}.") from None
    if len(values) != need:
        how = "ends early: it has" if len(values) < need else "goes on after its values: it has more than"
        raise DataError(f"{path} {how} {min(len(values), need)} of the {need} bytes that shape {shape} needs.")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if _is_packed(path) else path.open("rb")


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _shape(file: IO[bytes], path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _UBYTE or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{path} is not an IDX file of bytes: it starts with {magic.hex()}, expected 000008 and the number of axes."
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} ends within its header.")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    if np.prod([float(n) for n in shape]) > MAX_BYTES:
        raise DataError(f"{path} declares shape {shape}, over the limit of {MAX_BYTES} bytes.")
    return shape


def _check_packing(path: Path, need: int) -> None:
    """Refuse, before it is unpacked, a file that would expand to far more than pictures do."""
    size = path.stat().st_size
    if _is_packed(path) and need > max(FREE_BYTES, MAX_RATIO * size):
        raise DataError(
            f"{path} has {size:,} bytes and declares {need:,}, over {MAX_RATIO} times as many, and pictures never "
            "compress that well: if you trust it, unpack it and give the plain file."
        )


def _read(file: IO[bytes], need: int) -> bytearray:
    """Up to need + 1 bytes, in pieces: a header that lies costs no memory."""
    values = bytearray()
    while len(values) <= need and (piece := file.read(min(_CHUNK, need + 1 - len(values)))):
        values += piece
    return values


def _image_files(folder: Path) -> list[tuple[str, str, Path]]:
    """(part, stem, file) of each file of pictures, a plain one before its .gz twin, in the order of parts."""
    chosen: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if found := _IMAGES.fullmatch(path.name):
            chosen.setdefault(found["stem"], path)
    listed = [(_part(stem), stem, path) for stem, path in chosen.items()]
    parts = [part for part, _, _ in listed if part]
    if len(set(parts)) < len(parts):
        raise DataError(f"{folder} holds several files for the same part: {', '.join(sorted(chosen))}.")
    return sorted(listed, key=lambda row: (*PARTS, "").index(row[0]))


def _part(stem: str) -> str:
    return SPELLINGS.get(re.split(r"[-_.]", stem)[-1].casefold(), "")


def _labels(images: Path, n: int) -> NDArray[np.uint8]:
    """The labels beside a file of pictures."""
    stem = re.sub(r"(?i)images[-_.]idx\d", "labels#idx1", images.name).removesuffix(".gz")
    for joint in "-._":
        for ending in ("", ".gz"):
            path = images.with_name(stem.replace("#", joint) + ending)
            if path.exists():
                labels = read_idx(path)
                if labels.shape != (n,):
                    many = plural(n, "picture")
                    raise DataError(f"{path} has labels of shape {labels.shape} for {many} in {images.name}.")
                return labels
    raise DataError(f"{images} has no labels next to it: expected {stem.replace('#', '-')} or the same with .gz.")


def _stack(blocks: list[NDArray[np.uint8]], folder: Path) -> NDArray[np.uint8]:
    shapes = {block.shape[1:] for block in blocks}
    if len(shapes) > 1:
        raise DataError(f"{folder}: the files hold pictures of different shapes {sorted(shapes)}.")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _listed_classes(folder: Path) -> tuple[str, ...] | None:
    path = folder / "classes.txt"
    try:
        return tuple(path.read_text(encoding="utf-8").split("\n")) if path.is_file() else None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8, one class name a line.") from None
