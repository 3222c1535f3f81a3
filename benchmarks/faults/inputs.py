"""Odd inputs as people have them, each with the verdict expected: tables, archives, links, Unicode forms, HEIC, arrays.

`python benchmarks/faults/inputs.py --scale 0.1` prints the rows of the table of faults; scale 1 is all 20,000 archives.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
import re
import tempfile
import time
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from headstart.errors import DataError, Refused, UserError
from headstart.images import ImageSet, load
from headstart.images.columns import check_several, labels_in, pictures_in

Row = tuple[str, int, int, str]
Case = tuple[str, Callable[[], Any], Any]  # what it is, what is done, the answer: a value, or the pattern of an error
MUTATIONS = 20_000
SLOW_S = 2.0
LABELS = {"one.png": "Größe", "two.png": "café"}
ANSWER = dict(LABELS)


def rows(scale: float) -> Iterator[Row]:
    """(what was tried, how many, how many failed, note); `scale` is the share of the mutated archives."""
    warnings.simplefilter("ignore")
    for what, cases in (
        ("tables: encodings x separators x Unicode forms", tables),
        ("tables: columns, labels, pictures inside", columns),
        ("zip archives", archives),
        ("links out of the folder", links),
        ("Unicode forms of folders, classes and splits", forms),
        ("HEIC and AVIF, with their reader and without", readers),
        ("X and y of estimators", arrays),
    ):
        with tempfile.TemporaryDirectory() as folder:
            yield (what, *judged(cases(Path(folder))))
    with tempfile.TemporaryDirectory() as folder:
        yield (f"mutated zip archives, each under {SLOW_S:g} s", *mutated(Path(folder), round(MUTATIONS * scale)))


def judged(cases: Iterable[Case]) -> tuple[int, int, str]:
    """(number, failures, which failed) of cases."""
    n, wrong = 0, []
    for what, act, expected in cases:
        n += 1
        try:
            found = act()
        except UserError as error:
            found = str(error)
            fine = isinstance(expected, re.Pattern) and expected.search(found) is not None and len(found) < 700
        except Exception as error:
            found, fine = f"{type(error).__name__}: {error}", False
        else:
            fine = not isinstance(expected, re.Pattern) and found == expected
        if not fine:
            wrong.append(f"{what}: {str(found)[:200]}")
    return n, len(wrong), "; ".join(wrong[:5])


def said(pattern: str) -> re.Pattern[str]:
    """An error is expected that says this."""
    return re.compile(pattern)


def picture(kind: str = "PNG", colour: str = "red") -> bytes:
    """A small picture, encoded."""
    file = io.BytesIO()
    Image.new("RGB", (16, 12), colour).save(file, kind)
    return file.getvalue()


def named(images: ImageSet) -> dict[str, str]:
    """name -> class, '' where there is none; every picture is read."""
    for i in range(len(images)):
        images.read(i)
    return {n: images.classes[k] if k >= 0 else "" for n, k in zip(images.names, images.labels, strict=True)}


def placed(folder: Path, names: Iterable[str]) -> Path:
    """The folder with pictures of these names in it."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(colour=f"rgb({i % 256}, {i // 256}, 90)"))
    return folder


def tables(root: Path) -> Iterator[Case]:
    """Every encoding with every separator, line end and form of names; files are composed, the table may not be."""
    placed(root, ["über/one.png", "über/two.png"])
    expected = {f"über/{name}": label for name, label in LABELS.items()}
    encodings = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252")
    choices = itertools.product(encodings, ",;\t|", ("\n", "\r\n", "\r"), ("NFC", "NFD"), ("/", "\\"))
    for k, (encoding, separator, end, form, slash) in enumerate(choices):
        if form == "NFD" and encoding in ("latin-1", "cp1252"):
            continue  # they have no signs for it
        lines = [("image", "label"), *((f"über{slash}{name}", label) for name, label in LABELS.items())]
        text = end.join(separator.join(line) for line in lines) + end
        table = root / f"{k}.{('csv', 'tsv', 'txt')[k % 3]}"
        table.write_bytes(unicodedata.normalize(form, text).encode(encoding))
        yield f"{encoding} {separator!r} {end!r} {form} {slash}", lambda table=table: named(load(table)), expected


def columns(root: Path) -> Iterator[Case]:
    """What the cells and the header may be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    placed(root, LABELS)
    a, b = LABELS

    def text(content: str, **reading: Any) -> Callable[[], Any]:
        table = root / f"{len(list(root.iterdir()))}.csv"
        table.write_text(content, "utf-8")
        return lambda: named(load(table, **reading))

    def parquet(**content: Any) -> Callable[[], Any]:
        table = root / f"{len(list(root.iterdir()))}.parquet"
        pq.write_table(pa.table(content), table)
        return lambda: named(load(table))

    two = {a: "x", b: "y"}
    yield "another case", text(f"Image,LABEL\n{a},x\n{b},y\n"), two
    yield "Excel's sep=", text(f"sep=;\nimage;label\n{a};x\n{b};y\n"), two
    yield "blank lines", text(f"image,label\n\n{a},x\n,\n{b},y\n\n"), two
    yield "quoted", text(f'"image","label"\n"{a}","x"\n"{b}","y"\n'), two
    yield "a comma in labels", text(f"image;label\n{a};daisy,plant\n{b};y\n"), {a: "daisy,plant", b: "y"}
    yield "named columns", text(f"f,k\n{a},x\n{b},y\n", image_column="f", label_column="k"), two
    yield "columns misspelt", text(f"file,k\n{a},x\n", image_column="fiel"), said("did you mean file")
    yield "another name", text(f"file_name,label\n{a},x\n"), said("image_column=file_name")
    yield "another label", text(f"image,species\n{a},x\n"), said("label_column=species")
    yield "no header", text(f"{a},x\n{b},y\n"), said("has no header")
    yield "twice a column", text(f"image,label,label\n{a},x,y\n"), said("two columns 'label'")
    yield "an empty label", text(f"image,label\n{a},x\n{b},\n"), said("1 of 2 rows have no label")
    yield "NaN", parquet(image=[a, b], label=[1.0, float("nan")]), said("1 of 2 rows have no label")
    yield "None", parquet(image=[a, b], label=["x", None]), said("1 of 2 rows have no label")
    yield "None as path", parquet(image=[a, None], label=["x", "y"]), said("row 2 has no path")
    yield "numbers", parquet(image=[a, b], label=[1.0, 0.0]), {a: "1", b: "0"}
    yield "lists", parquet(image=[a, b], label=[["x"], ["y"]]), two
    cells = [{"bytes": picture(colour=c), "path": "p.png"} for c in ("red", "blue")]
    inside = {"row/000001/p.png": "0", "row/000002/p.png": "1"}
    yield "Hugging Face", parquet(image=cells, label=[0, 1]), inside
    yield (
        "paths apart",
        parquet(image=[c | {"path": p} for c, p in zip(cells, "uv", strict=True)], label=[0, 1]),
        {
            "u": "0",
            "v": "1",
        },
    )
    yield "bytes", parquet(image=[c["bytes"] for c in cells], label=[0, 1]), {"row/000001": "0", "row/000002": "1"}
    yield "paths in cells", parquet(image=[{"bytes": None, "path": p} for p in (a, b)], label=["x", "y"]), two
    yield "columns of a folder", lambda: load(root, image_column="x"), said("not a table")
    with patch.dict("os.environ", {"HOME": str(root)}):
        yield "~", text(f"image,label\n~/{a},x\n~/{b},y\n"), {f"~/{a}": "x", f"~/{b}": "y"}


def archives(root: Path) -> Iterator[Case]:
    """Archives that programs write, and that nobody should."""
    inner = {"cat/1.png": picture(colour="red"), "dog/1.png": picture(colour="blue")}
    answer = {"cat/1.png": "cat", "dog/1.png": "dog"}

    def zipped(files: dict[str, bytes], change: Callable[[bytes], bytes] = bytes, how: int = 8, **about: Any) -> Any:
        path = root / f"{len(list(root.iterdir()))}.zip"
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in files.items():
                info = zipfile.ZipInfo(name)
                info.compress_type = how
                for key, value in about.items():
                    setattr(info, key, value if name == next(iter(files)) else getattr(info, key))
                archive.writestr(info, content)
        path.write_bytes(change(path.read_bytes()))
        return path

    def read(files: dict[str, bytes], **how: Any) -> Callable[[], Any]:
        return lambda: named(load(zipped(files, **how)))

    def reasons(files: dict[str, bytes], **how: Any) -> Callable[[], Any]:
        return lambda: sorted(r.reason for r in load(zipped(files, **how)).refused)

    yield "plain", read(inner), answer
    yield "stored", read(inner, how=0), answer
    yield "a folder around", read({f"photos/{k}": v for k, v in inner.items()}), answer
    yield "two around", read({f"a/photos/{k}": v for k, v in inner.items()} | {"a/README.md": b"x"}), answer
    yield (
        "with parts",
        read({f"{p}/{k}": v for k, v in inner.items() for p in ("train", "test")}),
        {f"{p}/{k}": v for k, v in answer.items() for p in ("train", "test")},
    )
    yield "a Mac's", read({**inner, "__MACOSX/cat/._1.png": b"x", "cat/.DS_Store": b"x"}), answer
    yield "backslashes", read({k.replace("/", "\\"): v for k, v in inner.items()}), answer
    yield (
        "accents, NFD",
        read({unicodedata.normalize("NFD", "café/1.png"): inner["cat/1.png"], **inner}),
        {
            **answer,
            "café/1.png": "café",
        },
    )
    yield "without labels", lambda: named(load([str(zipped(inner))], labelled=False)).values().__len__(), 2
    yield "..", reasons({**inner, "../x/1.png": picture()}), ["outside-the-folder"]
    yield "an absolute name", reasons({**inner, "/etc/x/1.png": picture()}), ["outside-the-folder"]
    yield "a drive", reasons({**inner, "C:\\x\\1.png": picture()}), ["outside-the-folder"]
    yield "a link", reasons({"cat/2.png": b"/etc/passwd", **inner}, external_attr=0o120777 << 16), ["not-a-file"]
    yield "bzip2", reasons({"cat/2.png": picture(), **inner}, how=12), said("no picture")
    yield "a bomb", reasons({**inner, "cat/2.png": bytes(200 * 2**20)}), ["too-many-bytes"]
    nameless = {"zz.png": picture(), **inner}
    yield "no name", read(nameless, change=lambda content: content.replace(b"zz.png", b"\0z.png")), answer
    yield "an empty file", reasons({**inner, "cat/2.png": b""}), ["empty-file"]
    yield "no zip", lambda: load(_file(root, picture())), said("cannot be read as a zip archive")
    yield "empty", lambda: load(_file(root, b"")), said("cannot be read as a zip archive")
    yield "no class", read({"1.png": picture()}), said("no class folders")
    yield "encrypted", lambda: load(zipped(inner, change=_encrypted)), said("encrypted")


def _file(root: Path, content: bytes) -> Path:
    path = root / f"{len(list(root.iterdir()))}.zip"
    path.write_bytes(content)
    return path


def _encrypted(content: bytes) -> bytes:
    """The archive with the bit set that says so."""
    found = bytearray(content)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            found[start + at] |= 1
    return bytes(found)


def links(root: Path) -> Iterator[Case]:
    """Pictures, class folders and everything as links out of the folder."""
    pool = placed(root / "pool", ["cat/1.png", "dog/1.png"])
    files, folders, mixed = root / "files", root / "folders", root / "mixed"
    for name in ("cat", "dog"):
        (files / name).mkdir(parents=True)
        (files / name / "1.png").symlink_to(pool / name / "1.png")
        folders.mkdir(exist_ok=True)
        (folders / name).symlink_to(pool / name)
    placed(mixed, ["cat/2.png"])
    (mixed / "dog").symlink_to(pool / "dog")
    both = {"cat/1.png": "cat", "dog/1.png": "dog"}
    for place, number, answer in ((files, "2 links", both), (folders, "2 links", both), (mixed, "1 link", None)):
        answer = answer or {"cat/2.png": "cat", "dog/1.png": "dog"}
        yield f"{place.name}, refused", lambda place=place: load(place), said(rf"{number}.*follow_links=True")
        yield f"{place.name}, followed", lambda place=place: named(load(place, follow_links=True)), answer


def forms(root: Path) -> Iterator[Case]:
    """The same names composed and not."""
    from headstart.classifier import match_classes
    from headstart.images import select, with_test
    from headstart.images.split import apply_split, split, write_split

    names = ["café/größe.png", "größe/1.png", "größe/2.png", "café/2.png"]
    sets = {f: load(placed(root / f, [unicodedata.normalize(f, name) for name in names])) for f in ("NFC", "NFD")}
    one, other = sets["NFC"], sets["NFD"]
    yield "names", lambda: other.names == one.names, True
    yield "classes", lambda: other.classes == one.classes, True
    decomposed = [unicodedata.normalize("NFD", name) for name in one.classes]
    yield "a bundle's classes", lambda: match_classes(one.classes, decomposed).tolist(), [0, 1]
    yield "of a bundle", lambda: match_classes(decomposed, one.classes).tolist(), [0, 1]
    yield "--classes", lambda: select(one, classes=decomposed).classes, one.classes
    yield "--test", lambda: with_test(one, other).classes, one.classes
    write_split(split(one), root / "split.csv")
    (root / "nfd.csv").write_text(unicodedata.normalize("NFD", (root / "split.csv").read_text("utf-8")), "utf-8")
    yield "a split", lambda: len(apply_split(other, root / "split.csv")), 4
    yield "a split of another system", lambda: len(apply_split(one, root / "nfd.csv")), 4
    parts = placed(root / "parts", [unicodedata.normalize(f, f"{p}/café/{p}.png") for p, f in
                                    (("train", "NFC"), ("test", "NFD"))])  # fmt: skip
    yield "parts", lambda: load(parts).classes, ("café",)


def readers(root: Path) -> Iterator[Case]:
    """Photos of phones beside others."""
    from PIL import features

    from headstart.images.cures import list_cures

    module = import_module("headstart.images.decode")  # the package has a function of this name
    placed(root, ["cat/1.png", "dog/1.png"])
    (root / "cat" / "2.avif").write_bytes(picture("AVIF") if features.check("avif") else b"\0\0\0 ftypavif")
    try:
        import pillow_heif
    except ImportError:
        return
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (16, 12), "red")).save(file)
    (root / "dog" / "2.heic").write_bytes(file.getvalue())
    both = {"cat/1.png": "cat", "cat/2.avif": "cat", "dog/1.png": "dog", "dog/2.heic": "dog"}
    yield "with readers", lambda: named(load(root)), both

    def without() -> Any:
        with patch.object(module, "_reader", module._READERS.get):
            images = load(root)
            return (
                named(images),
                len(list_cures(images.refused)),
                all("pip install" in s for s in list_cures(images.refused)),
            )

    yield "without", without, ({"cat/1.png": "cat", "dog/1.png": "dog"}, 2, True)


def arrays(root: Path) -> Iterator[Case]:
    """What is handed to estimators."""
    import pandas as pd

    paths = ["a.png", "b.png"]
    frame = pd.DataFrame({"image": paths, "label": ["x", "y"]})
    yield "a column", lambda: pictures_in(frame[["image"]]), paths
    yield "two columns", lambda: pictures_in(frame), said("X has 2 columns.*X\\['image'\\]")
    yield "(n,1)", lambda: pictures_in(frame[["image"]].to_numpy()), paths
    yield "rows of one", lambda: pictures_in([["a.png"], ["b.png"]]), paths
    yield "(n,2)", lambda: pictures_in(frame.to_numpy()), said("2 columns")
    yield "labels (n,1)", lambda: labels_in([[1], [0]]).tolist(), [1, 0]
    yield "one-hot", lambda: labels_in(np.eye(3)), said("argmax")
    yield "a frame of labels", lambda: labels_in(frame[["label"]]).tolist(), ["x", "y"]
    for missing in (None, float("nan"), np.nan, pd.NA, pd.NaT, ""):
        values = np.array(["x", missing, "y"], object)
        yield f"labels with {missing!r}", lambda values=values: labels_in(values), said("lacks 1 of 3 labels")
    yield "labels of floats", lambda: labels_in([1.0, np.nan]), said("lacks 1 of 2 labels")
    yield "numbers and names", lambda: labels_in(np.array([1, "a"], object)), said("do not sort")
    yield "one picture", lambda: check_several(np.zeros((9, 9, 3)), (9, 9, 3)), said(r"X\[0\]\[None\]")
    yield "one grey picture", lambda: check_several(np.zeros((9, 9)), (9, 9)), said(r"X\[0\]\[None\]")
    yield "several", lambda: check_several(np.zeros((2, 9, 9, 3)), (9, 9, 3)), None


def mutated(root: Path, n: int) -> tuple[int, int, str]:
    """Archives with bytes changed, cut or repeated: pictures, refusals or one sentence, quickly, and nothing else."""
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(6):
            archive.writestr(f"photos/{'cat' if i % 2 else 'dog'}/{i}.png", picture())
    whole, chance, wrong = source.getvalue(), random.Random(0), []
    path = root / "mutated.zip"
    for _ in range(n):
        path.write_bytes(_changed(whole, chance))
        begun = time.perf_counter()
        if fault := _fault(path):
            wrong.append(fault)
        if (seconds := time.perf_counter() - begun) > SLOW_S:
            wrong.append(f"{seconds:.1f} s")
    return n, len(wrong), "; ".join(sorted(set(wrong))[:5])


def _changed(content: bytes, chance: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        found[chance.randrange(len(found))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    return bytes(found[: chance.randrange(len(found))] if chance.random() < 0.1 else found)


def _fault(path: Path) -> str:
    """What escaped while an archive was listed and its pictures were read."""
    try:
        images = load(path)
        for i in range(len(images)):
            with suppress(Refused):
                images.read(i)
    except DataError as error:
        return "" if len(str(error)) < 2_000 else "a long message"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    for what, count, failed, note in rows(parser.parse_args().scale):
        print(f"{what:<55}{count:>8,}{failed:>8,}  {note}", flush=True)
