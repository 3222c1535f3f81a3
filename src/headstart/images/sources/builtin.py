"""Data sets with a name: `digits` comes with scikit-learn, the others are looked up and else downloaded.

Looked up in $HEADSTART_DATA/<name> first, then in the cache folder; both may hold the files as published or class
folders. Checksums: MNIST and Fashion-MNIST as torchvision states them, CIFAR-10 as its page states it; for
cats_vs_dogs none is published, so the SHA-256 of the first download is recorded in `complete.json`.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, Offline
from headstart.images import download
from headstart.images.download import Remote
from headstart.images.imageset import ImageSet
from headstart.images.options import LoadOptions
from headstart.images.sources import folder, idx
from headstart.images.sources.arrays import from_arrays
from headstart.outputs import refusal
from headstart.paths import cache_dir, expanded

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/",)
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST_MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
_FASHION_MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)


def _idx_files(mirrors: tuple[str, ...], sums: tuple[str, ...]) -> tuple[Remote, ...]:
    return tuple(Remote(name, [mirror + name for mirror in mirrors], md5) for name, md5 in zip(_IDX, sums, strict=True))


@dataclass(frozen=True)
class Builtin:
    """A published data set: its files, and class names where the files hold numbers only."""

    files: tuple[Remote, ...]
    classes: tuple[str, ...] | None = None


BUILTINS: dict[str, Builtin] = {
    "digits": Builtin(()),
    "mnist": Builtin(_idx_files(_MNIST, _MNIST_MD5)),
    "fashion_mnist": Builtin(
        _idx_files(_FASHION, _FASHION_MD5),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": Builtin(
        (
            Remote(
                "cifar-10-binary.tar.gz",
                ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
                "c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cats_vs_dogs": Builtin(
        (
            Remote(
                "cats_and_dogs_filtered.zip",
                ["https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip"],
            ),
        )
    ),
}


def accepts(data: Any) -> bool:
    """The name of a built-in data set."""
    return isinstance(data, str) and data in BUILTINS


def load(data: str, options: LoadOptions) -> ImageSet:
    """A built-in data set. Raises `Offline` when it is nowhere and cannot be downloaded."""
    if data == "digits":
        return replace(_digits(), limits=options.limits)
    place = find(data) or _download(data, options)
    images = _read(place, BUILTINS[data], options)
    return replace(images, title=data)


def find(name: str) -> Path | None:
    """The folder that holds a built-in data set, if one does."""
    if (own := _own(name)) is not None and own.is_dir():
        return own
    cached = _cached(name)
    return cached if download.is_complete(cached) else None


def _own(name: str) -> Path | None:
    root = os.environ.get("HEADSTART_DATA")
    return expanded(root) / name if root else None


def _cached(name: str) -> Path:
    return cache_dir() / "datasets" / name


def _download(name: str, options: LoadOptions) -> Path:
    target = _cached(name)
    files = BUILTINS[name].files
    try:
        download.fetch_all(files, target, options.progress)
    except Offline as error:
        wanted = ", ".join(remote.name for remote in files)
        raise Offline(
            f"The data set '{name}' is not on this machine and could not be downloaded; put its files ({wanted}) "
            f"into {_own(name) or target} {'' if _own(name) else '(set HEADSTART_DATA to its parent folder) '}"
            f"or connect to the network. {error}"
        ) from None
    except OSError as error:
        raise DataError(f"The folder {target} for '{name}' cannot be written: {refusal(error)}.") from None
    return target


def _read(place: Path, builtin: Builtin, options: LoadOptions) -> ImageSet:
    """IDX files, CIFAR's binary batches, or class folders (at the place or in its only sub-folder)."""
    if idx.accepts(place):
        return idx.load(place, options, builtin.classes)
    for batches in (place, place / "cifar-10-batches-bin"):
        if (batches / "data_batch_1.bin").is_file():
            return replace(_cifar(batches, builtin.classes), limits=options.limits)
    inner = [p for p in sorted(place.iterdir()) if p.is_dir() and not p.name.startswith(("_", "."))]
    return folder.load(inner[0] if len(inner) == 1 else place, options)


def _digits() -> ImageSet:
    """scikit-learn's 1,797 digits, 8x8, values 0..16 -> 0..255; read from its file, without importing scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("The data set 'digits' comes with scikit-learn, which is not installed.")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    pixels = np.rint(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return from_arrays(pixels, table[:, 64], title="digits")


def _cifar(batches: Path, classes: tuple[str, ...] | None) -> ImageSet:
    """CIFAR-10, binary version: records of 1 label and 3x32x32 pixels (https://www.cs.toronto.edu/~kriz/cifar.html)."""
    train = [_batch(batches / f"data_batch_{i}.bin") for i in range(1, 6)]
    test = _batch(batches / "test_batch.bin")
    records = np.concatenate([*train, test])
    parts = np.repeat(["train", "test"], [len(records) - len(test), len(test)])
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return from_arrays(np.ascontiguousarray(pixels), records[:, 0], parts=parts, classes=classes, title="cifar10")


def _batch(path: Path) -> NDArray[np.uint8]:
    try:
        values = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if len(values) == 0 or len(values) % 3073:
        raise DataError(f"{path} has {len(values)} bytes, which is not a multiple of 3,073.")
    return values.reshape(-1, 3073)
