"""One contract for every source of pictures in SOURCES: the same six pictures, as each source would bring them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.errors import DataError
from headstart.images import SOURCES, decode, from_arrays, load, load_unlabelled
from headstart.images.sources import Source

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 9), dtype=np.uint8)
LABELS = ["b", "a", "b", "a", "b", "a"]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def folder(place: Path) -> Path:
    for i, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        (place / "set" / label).mkdir(parents=True, exist_ok=True)
        (place / "set" / label / f"{i}.png").write_bytes(png(pixels))
    return place / "set"


def zipped(place: Path) -> Path:
    with zipfile.ZipFile(place / "set.zip", "w") as archive:
        for i, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
            archive.writestr(f"{label}/{i}.png", png(pixels))
    return place / "set.zip"


def table(place: Path) -> Path:
    folder(place)
    rows = [f"set/{label}/{i}.png,{label}" for i, label in enumerate(LABELS)]
    (place / "set.csv").write_text("\n".join(["image,label", *rows]) + "\n")
    return place / "set.csv"


def npz(place: Path) -> Path:
    codes = np.array([label == "b" for label in LABELS], np.int64)
    np.savez(place / "set.npz", x_train=PIXELS, y_train=codes, classes=np.array(["a", "b"]))
    return place / "set.npz"


def idx(place: Path) -> Path:
    (place / "set").mkdir()
    codes = bytes(int(label == "b") for label in LABELS)
    (place / "set" / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 6, 9, 9) + PIXELS.tobytes())
    (place / "set" / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 6) + codes)
    return place / "set"


def builtin(_: Path) -> str:
    return "builtin:digits"  # pictures of its own: scikit-learn's


def remote(place: Path) -> str:
    return folder(place).as_uri()


def listed(_: Path) -> list[bytes]:
    return [png(pixels) for pixels in PIXELS]  # brings no labels


SAMPLES: dict[str, Callable[[Path], Any]] = {
    "builtin": builtin,
    "remote": remote,
    "zip": zipped,
    "table": table,
    "npz": npz,
    "idx": idx,
    "folder": folder,
    "listed": listed,
}


def test_every_source_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(SOURCES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_source_brings_its_pictures_with_their_labels_and_is_asked_before_any_other_that_would(
    name: str, tmp_path: Path
) -> None:
    data = SAMPLES[name](tmp_path)
    asked = "digits" if name == "builtin" else data
    assert next(key for key, source in SOURCES.items() if source.accepts(asked)) == name
    images = load(data, labelled=name != "listed")
    shown = [np.asarray(decode(images.raw(i), images.limits)) for i in range(min(len(images), 6))]
    assert all(picture.shape[:2] == shown[0].shape[:2] and picture.dtype == np.uint8 for picture in shown)
    assert len(set(images.names)) == len(images) and not images.refused
    again = load(data, labelled=name != "listed")
    assert images.names == again.names and np.array_equal(images.labels, again.labels)
    if name == "builtin":
        assert (len(images), images.classes) == (1797, tuple("0123456789"))
        return
    known = {pixels.tobytes(): label for pixels, label in zip(PIXELS, LABELS, strict=True)}
    assert {picture.tobytes() for picture in shown} == set(known)
    if name == "listed":
        assert (images.labels == -1).all()
        return
    names = ("0", "1") if name == "idx" else ("a", "b")  # IDX files hold numbers
    assert images.classes == names
    assert [names["ab".index(known[picture.tobytes()])] for picture in shown] == [names[k] for k in images.labels]


def test_addresses_of_folders_and_files_stand_beside_paths_wherever_pictures_are_named(tmp_path: Path) -> None:
    place = folder(tmp_path)
    by_path = load_unlabelled([str(place / "a"), place / "b" / "0.png"])
    by_address = load_unlabelled([(place / "a").as_uri(), (place / "b" / "0.png").as_uri()])
    assert by_address.names == tuple(Path(name).as_uri() for name in by_path.names)
    assert [by_address.read(i).tobytes() for i in range(len(by_address))] == [
        by_path.read(i).tobytes() for i in range(len(by_path))
    ]
    one = load_unlabelled((place / "a" / "1.png").as_uri())
    assert one.names == ((place / "a" / "1.png").as_uri(),)
    with pytest.raises(DataError, match=r"^file:///.*/none\.png holds no file"):
        load_unlabelled([place / "a", (place / "none.png").as_uri()])


@dataclass
class Album:
    """Pictures as a library of somebody's own might hold them."""

    pictures: dict[str, list[np.ndarray]]


def test_a_source_that_is_added_at_run_time_is_read_named_and_fitted_like_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A class of one's own with two functions, and a line in the table."""

    def read(album: Album, options: Any) -> Any:
        labels = [label for label, pictures in album.pictures.items() for _ in pictures]
        return from_arrays([p for pictures in album.pictures.values() for p in pictures], labels, title="an album")

    with pytest.raises(DataError, match="are not supported; use one of these") as before:
        load(Album({}))
    assert "an Album" not in str(before.value)
    monkeypatch.setitem(SOURCES, "album", Source(lambda data: isinstance(data, Album), read, "an Album"))
    images = load(Album({"a": list(PIXELS[1::2]), "b": list(PIXELS[::2])}))
    assert (images.title, images.classes, images.labels.tolist()) == ("an album", ("a", "b"), [0, 0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="; an Album"):
        load(3.5)
