"""Every other way pictures come in: tables, IDX files, archives, memory, lists of paths, built-in names."""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays_of
from PIL import Image

from headstart import TransferClassifier
from headstart.errors import DataError, Offline, Refused, UnknownName, UserError
from headstart.images import SOURCES, ImageSet, from_arrays, load
from headstart.images.columns import labels_in, pictures_in
from headstart.images.sources.arrays import to_uint8
from headstart.images.sources.builtin import BUILTINS
from headstart.images.sources.idx import read_idx


def png(colour: str = "red") -> bytes:
    """A small valid PNG."""
    file = io.BytesIO()
    Image.new("RGB", (6, 5), colour).save(file, "PNG")
    return file.getvalue()


def named(images: ImageSet) -> dict[str, tuple[str, str]]:
    """name -> (class, part)."""
    rows = zip(images.names, images.labels, images.parts.tolist(), strict=True)
    return {name: (images.classes[k] if k >= 0 else "", part) for name, k, part in rows}


# --- tables


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three pictures below `pics`."""
    (tmp_path / "pics").mkdir()
    for name in ("1.png", "2.png", "3.png"):
        (tmp_path / "pics" / name).write_bytes(png())
    return tmp_path


def test_a_csv_gives_labels_and_parts(pictures: Path) -> None:
    """Paths are relative to the table; splits are known in any spelling; an empty one is undecided."""
    table = pictures / "t.csv"
    table.write_text("image,label,split\npics/1.png,cat,Train\npics/2.png,dog,\npics/3.png,cat,validation\n", "utf-8")
    images = load(table)
    assert named(images) == {"pics/1.png": ("cat", "train"), "pics/2.png": ("dog", ""), "pics/3.png": ("cat", "val")}
    assert images.read(2).shape == (5, 6, 3)


def test_a_tsv_and_a_parquet_say_the_same_as_a_csv(pictures: Path) -> None:
    """The three kinds of table give the same names, classes and labels; numbers as labels become text."""
    import pyarrow
    import pyarrow.parquet

    rows = [("pics/1.png", 10), ("pics/2.png", 2), ("pics/3.png", 10)]
    (pictures / "t.csv").write_text("image,label\n" + "".join(f"{p},{k}\n" for p, k in rows))
    (pictures / "t.tsv").write_text("\ufeffimage\tlabel\n" + "".join(f"{p}\t{k}\n" for p, k in rows), encoding="utf-8")
    columns = {"image": [p for p, _ in rows], "label": [k for _, k in rows], "other": [0.0] * 3}
    pyarrow.parquet.write_table(pyarrow.table(columns), pictures / "t.parquet")
    sets = [load(pictures / f"t.{kind}") for kind in ("csv", "tsv", "parquet")]
    assert sets[0].classes == ("2", "10")
    assert named(sets[0]) == named(sets[1]) == named(sets[2])


def test_what_a_table_names_and_is_not_there_is_refused(pictures: Path) -> None:
    """Missing files, folders, pipes and repetitions are refused by name; the rest is loaded."""
    os.mkfifo(pictures / "pipe.png")
    lines = [
        "pics/1.png,a",
        "pics/none.png,a",
        "pics,a",
        "pipe.png,a",
        "pics/1.png,a",
        "pics/2.png,b",
        f"{'x' * 300},b",
    ]
    (pictures / "t.csv").write_text("image,label\n" + "\n".join(lines))
    images = load(pictures / "t.csv")
    assert images.names == ("pics/1.png", "pics/2.png")
    assert [(r.name[:10], r.reason) for r in images.refused] == [
        ("pics/1.png", "same-file"),
        ("pics/none.", "missing-file"),
        ("pics", "not-a-file"),
        ("pipe.png", "not-a-file"),
        ("x" * 10, "unreadable"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("imgae,label\npics/1.png,a\n", "no column 'image'.*'imgae'"),
        ("image,lable\npics/1.png,a\n", "no column 'label'.*'lable'"),
        ("image,label\n", "no rows"),
        ("", "empty"),
        ("image,label\npics/1.png,\n", "no label"),
        ("image,label\n,a\n", "row 2 has no path"),
        ("image,label\npics/1.png,a,b\n", "row 2 has 3 cells"),
        (
            "image,label\npics/1.png,a\npics/1.png,b\n",
            "row 3 gives 'pics/1.png' the label 'b', and an earlier row gives it 'a'",
        ),
        ("image,label\nnone.png,a\n", "none of the 1 pictures it names can be used"),
        ("image,label\npics/1.png,a\npics/2.png,A1\npics/3.png,a1\n", "differ only"),
        ("image,label,split\npics/1.png,a,train\npics/2.png,b,test\n", "'b' has pictures in test but none in train"),
    ],
)
def test_tables_that_cannot_be_used_are_explained(pictures: Path, text: str, said: str) -> None:
    """Each fault of a table has its own sentence, with the row where there is one."""
    (pictures / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        load(pictures / "t.csv")


def test_a_table_of_another_format_is_refused_with_those_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"tables are read as \.csv, \.tsv or \.parquet; save it as one of these"):
        load(path)


def test_a_table_with_an_unknown_split_names_the_nearest(pictures: Path) -> None:
    """'trian' is not a split; 'train' is shown."""
    (pictures / "t.csv").write_text("image,label,split\npics/1.png,a,trian\n")
    with pytest.raises(UnknownName, match=r"train.*row 2"):
        load(pictures / "t.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_of_garbage_is_explained(tmp_path: Path, name: str) -> None:
    """Bytes that are neither UTF-8 text nor Parquet give one sentence."""
    (tmp_path / name).write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(DataError, match="cannot be read as"):
        load(tmp_path / name)


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_first_line_without_end_is_read_or_explained(pictures: Path, separator: str) -> None:
    """A line may be longer than a cell may be; a cell that is too long is told."""
    more = [f"a long name of a column {i}" for i in range(6000)]
    table = pictures / "t.csv"
    rows = (["pics/1.png", "a"], ["pics/2.png", "b"])
    lines = [separator.join(["image", "label", *more]), *(separator.join([*row, *["1"] * len(more)]) for row in rows)]
    table.write_text("\n".join(lines))
    assert load(table).classes == ("a", "b")
    table.write_text("image,label," + "x" * 200_000 + "\npics/1.png,a,1\n")
    with pytest.raises(DataError, match="cannot be read as text in columns"):
        load(table)


def test_a_table_of_a_hundred_thousand_columns_is_read_as_fast_as_its_size_asks(pictures: Path) -> None:
    names = ["image", "label", *(f"c{i}" for i in range(100_000))]
    cells = ["pics/1.png", "a", *["1"] * 100_000]
    (pictures / "t.csv").write_text(",".join(names) + "\n" + ",".join(cells) + "\n")
    start = time.thread_time()
    assert len(load(pictures / "t.csv")) == 1
    assert time.thread_time() - start < 10


def parquet(path: Path, columns: dict[str, object], **about: bytes) -> None:
    """A table whose schema has metadata."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(columns).replace_schema_metadata(about)
    pyarrow.parquet.write_table(table, path, compression="zstd")


@pytest.mark.parametrize("column", ["image", "label"])
@pytest.mark.parametrize("kind", ["text", "date", "timestamp", "duration"])
def test_a_value_of_parquet_that_python_cannot_have_is_told_with_its_column(
    tmp_path: Path, column: str, kind: str
) -> None:
    import pyarrow as pa

    bad = {
        "text": pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe")),
        "date": pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
        "timestamp": pa.array([2**62]).cast(pa.timestamp("us")),
        "duration": pa.array([2**62]).cast(pa.duration("s")),
    }
    columns: dict[str, object] = {"image": ["1.png"], "label": ["a"]}
    parquet(tmp_path / "t.parquet", {**columns, column: bad[kind]})
    with pytest.raises(DataError, match=f"the column '{column}' .* has a value that cannot be read"):
        load(tmp_path / "t.parquet")


def test_metadata_of_parquet_that_are_nested_without_end_name_no_classes(pictures: Path) -> None:
    parquet(pictures / "t.parquet", {"image": ["pics/1.png"], "label": [7]}, huggingface=b"[" * 100_000)
    assert load(pictures / "t.parquet").classes == ("7",)


@pytest.mark.parametrize("nested", ["plain", "struct", "list"])
def test_one_large_value_in_many_rows_of_parquet_is_refused_before_it_is_repeated(tmp_path: Path, nested: str) -> None:
    """A megabyte in 1,000 rows is a gigabyte in memory, and less than a kilobyte in the file."""
    import pyarrow as pa

    large = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([bytes(1_000_000)]))
    image: dict[str, object] = {
        "plain": large,
        "struct": pa.StructArray.from_arrays([large], ["bytes"]),
        "list": pa.ListArray.from_arrays(pa.array(range(1001), pa.int32()), large),
    }
    parquet(tmp_path / "t.parquet", {"image": image[nested], "label": [1] * 1000})
    with pytest.raises(DataError, match="take over 128 MiB"):
        load(tmp_path / "t.parquet")


def thrift(value: int, length: int = 0) -> bytes:
    """A positive number as Thrift's compact protocol writes it, made longer by zeros."""
    found, left = bytearray(), value << 1
    while left > 127 or len(found) + 1 < length:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_footer_of_parquet_that_lies_about_its_sizes_is_not_believed(
    tmp_path: Path, version: str, dictionary: bool
) -> None:
    """It says two bytes; the pages say 150 MB, and are refused before they are unpacked."""
    import pyarrow as pa
    import pyarrow.parquet

    table, path = pa.table({"image": [bytes(150_000_000), b""], "label": [1, 2]}), tmp_path / "t.parquet"
    options = {"compression": "zstd", "use_dictionary": dictionary, "data_page_version": version}
    pyarrow.parquet.write_table(table, path, **options)
    chunk = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(0)
    said, content = thrift(chunk.total_uncompressed_size), path.read_bytes()
    start = content.rindex(said)
    path.write_bytes(content[:start] + thrift(2, len(said)) + content[start + len(said) :])
    assert pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size == 2
    usual = pa.default_memory_pool()
    measured = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(measured)
    try:
        with pytest.raises(DataError, match="take over 128 MiB"):
            load(path)
    finally:
        pa.set_memory_pool(usual)
    assert measured.max_memory() < 10_000_000


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_the_sizes_of_parquet_pages_are_those_that_an_honest_footer_states(
    tmp_path: Path, version: str, compression: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    from headstart.images.sources.parquet_pages import unpacked_sizes

    rng, path = np.random.default_rng(0), tmp_path / "t.parquet"
    pictures = pa.array([{"bytes": rng.bytes(20_000), "path": f"{i % 7}.png"} for i in range(300)])
    words = pa.array(["ab", None, "é" * 5] * 100)
    table = pa.table(
        {"image": pictures, "label": words, "lists": [[1.5, 2.5]] * 300, "sure": [True, None, False] * 100}
    )
    options = {"compression": compression, "data_page_version": version, "use_dictionary": ["label"]}
    pyarrow.parquet.write_table(table, path, row_group_size=128, data_page_size=100_000, write_batch_size=4, **options)
    metadata, content = pyarrow.parquet.ParquetFile(path).metadata, path.read_bytes()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            pages = list(unpacked_sizes(content, chunk))
            headers = chunk.total_uncompressed_size - sum(pages)
            assert 10 * len(pages) <= headers <= 150 * len(pages)
    assert len(list(unpacked_sizes(content, metadata.row_group(0).column(0)))) > 10


def test_a_parquet_table_whose_row_groups_share_their_pages_is_refused(pictures: Path) -> None:
    """A footer that lists one row group 200 times: the pages of all would be looked through."""
    table = pictures / "t.parquet"
    parquet(table, {"image": [f"{i}.png" for i in range(2_000)], "label": ["a"] * 2_000})
    raw = table.read_bytes()
    footer = raw[-8 - int.from_bytes(raw[-8:-4], "little") : -8]
    start, end = footer.index(b"\x19\x1c\x19") + 2, footer.index(b"\x19\x1c\x18\x0cARROW:schema")
    many = footer[: start - 1] + b"\xfc\xc8\x01" + footer[start:end] * 200 + footer[end:]
    table.write_bytes(raw[: -8 - len(footer)] + many + len(many).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match="its columns overlap"):
        load(table)


def test_more_rows_of_parquet_than_bytes_and_two_columns_of_a_name_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    n = 300_000
    parquet(tmp_path / "t.parquet", {"image": pa.array(["1.png"] * n), "label": pa.array([1] * n, pa.int8())})
    with pytest.raises(DataError, match="has 300,000 rows or values, over 100,000"):
        load(tmp_path / "t.parquet")
    twice = pa.Table.from_arrays([pa.array(["1.png"])] * 3, names=["image", "label", "label"])
    pyarrow.parquet.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="two columns 'label'"):
        load(tmp_path / "t.parquet")


def test_a_large_file_that_is_no_text_is_refused_by_its_beginning(tmp_path: Path) -> None:
    """Half a gigabyte of zeros, of which the disk holds nothing."""
    with (tmp_path / "t.csv").open("wb") as file:
        file.write(b"image,label")
        file.truncate(2**29)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="cannot be read as UTF-8 text"):
            load(tmp_path / "t.csv")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_table_without_labels_serves_prediction(pictures: Path) -> None:
    """labelled=False needs the column image alone."""
    (pictures / "t.csv").write_text("image\npics/1.png\n")
    assert named(load(pictures / "t.csv", labelled=False)) == {"pics/1.png": ("", "")}


# --- IDX


def idx(values: np.ndarray) -> bytes:
    """The bytes of an IDX file."""
    return b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_idx(folder: Path, prefix: str, n: int, ending: str = "") -> np.ndarray:
    """A pair of IDX files with n pictures 4x3 and labels 0, 1, 2, 0, ..."""
    pixels = np.random.default_rng(n).integers(0, 256, (n, 4, 3)).astype(np.uint8)
    for kind, values in (("images-idx3", pixels), ("labels-idx1", (np.arange(n) % 3).astype(np.uint8))):
        raw = idx(values)
        (folder / f"{prefix}-{kind}-ubyte{ending}").write_bytes(gzip.compress(raw) if ending else raw)
    return pixels


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_folders_give_parts_labels_and_pixels(tmp_path: Path, ending: str) -> None:
    """train and t10k become train and test; pixels and labels are those that were written."""
    train, test = write_idx(tmp_path, "train", 7, ending), write_idx(tmp_path, "t10k", 5, ending)
    images = load(tmp_path)
    assert isinstance(images.items, np.ndarray) and np.array_equal(images.items, np.concatenate([train, test]))
    assert images.classes == ("0", "1", "2") and images.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0, 1]
    assert images.names[0] == "train/000000" and images.names[-1] == "test/000004"
    assert images.probe().grey and images.probe().uniform


def test_other_spellings_of_idx_names_are_read(tmp_path: Path) -> None:
    """Dots instead of dashes, a longer prefix, and names of classes in classes.txt."""
    write_idx(tmp_path, "emnist-letters-train", 6)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    (tmp_path / "classes.txt").write_text("zebra\nant\nbee\n")
    images = load(tmp_path)
    assert images.classes == ("ant", "bee", "zebra") and images.labels.tolist()[:3] == [2, 0, 1]
    assert set(images.parts.tolist()) == {"train"}


def test_damaged_idx_files_are_explained(tmp_path: Path) -> None:
    """A cut file, extra bytes, a wrong magic number, missing or miscounted labels: one sentence each."""
    write_idx(tmp_path, "train", 6)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    good, good_labels = images.read_bytes(), labels.read_bytes()
    huge = b"\0\0\x08\x03" + b"\xff" * 12
    for raw, said in (
        (good[:-1], "ends early"),
        (good + b"x", "goes on after"),
        (good[:10], "within its header"),
        (b"\x1f\x8b" + good, "not an IDX file"),
        (good[:2] + b"\x0d" + good[3:], "not an IDX file"),
        (huge, "over the limit"),
    ):
        images.write_bytes(raw)
        with pytest.raises(DataError, match=said):
            load(tmp_path)
    images.write_bytes(good)
    labels.write_bytes(idx(np.zeros(5, np.uint8)))
    with pytest.raises(DataError, match=r"\(5,\) for 6 pictures"):
        load(tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match="no labels next to it"):
        load(tmp_path)
    images.unlink()
    for path, raw in ((images, good), (labels, good_labels)):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(raw)[:-9])
    with pytest.raises(DataError, match="cannot be read to its end"):
        load(tmp_path)


def test_a_lying_idx_header_costs_no_memory(tmp_path: Path) -> None:
    """A header that announces 15 GiB in a file of 16 bytes is refused after reading those bytes."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 15 * 2**10, 2**10, 2**10))
    with pytest.raises(DataError, match="ends early: it has 0"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_in_place_of_an_idx_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(DataError, match="is not a regular file"):
        load(tmp_path)


def test_a_packed_idx_file_is_not_unpacked_where_it_announces_more_than_pictures_expand_to(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(">BBBBIII", 0, 0, 8, 3, 200, 1000, 1000))
        for _ in range(200):
            file.write(bytes(10**6))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"declares 200,000,000.*give the plain file"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_class_names_of_an_idx_folder_that_are_no_text_are_explained(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 1, 1) + bytes(2))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 2) + bytes([0, 1]))
    (tmp_path / "classes.txt").write_bytes(b"caf\xe9\ntea")
    with pytest.raises(DataError, match=r"classes\.txt is not UTF-8 text"):
        load(tmp_path)


@pytest.mark.data
def test_mnist_is_mnist(data_dir: Path) -> None:
    """60,000 and 10,000 pictures of 28x28; the classes are the digits, with the published counts of the test part."""
    images = load(data_dir / "mnist")
    assert images.classes == tuple("0123456789") and len(images) == 70_000
    assert np.bincount(images.labels[images.parts == "test"]).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


# --- npz


def test_an_npz_gives_its_parts(tmp_path: Path) -> None:
    """Keras' four arrays, labels as a column, and optional names of classes."""
    x = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    y = np.array([[1], [0]])
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1], classes=["b", "a"])
    images = load(tmp_path / "d.npz")
    assert named(images) == {
        "train/000000": ("a", "train"),
        "train/000001": ("b", "train"),
        "test/000000": ("a", "test"),
    }
    assert np.array_equal(images.read(1), x[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_train": None, "X_train": np.zeros((2, 4, 4)), "x_test": None}, "needs the arrays.*Is X_train meant"),
        ({"y_train": None}, "no y_train"),
        ({"y_train": np.zeros(3)}, r"shape \(2,\)"),
        ({"x_train": np.zeros((2, 12)), "x_test": np.zeros((1, 12))}, "reshape"),
        ({"x_train": np.zeros((2, 3, 8, 8)), "x_test": np.zeros((1, 3, 8, 8))}, "transpose"),
        ({"x_test": np.zeros((1, 5, 5))}, "different shapes"),
        ({"x_train": np.full((2, 4, 4), -1.0)}, r"0\.\.1 or 0\.\.255"),
        ({"x_train": np.full((2, 4, 4), np.nan)}, "be finite"),
        ({"x_train": np.full((2, 4, 4), "a")}, "must be numbers"),
        ({"y_train": np.array([{}, {}], dtype=object)}, "plain arrays"),
        ({"y_train": np.array([0, 0]), "y_test": np.array([1])}, "'1' has pictures in test but none in train"),
    ],
)
def test_archives_that_cannot_be_used_are_explained(
    tmp_path: Path, change: dict[str, np.ndarray | None], said: str
) -> None:
    """Each fault has a sentence; objects are never unpickled."""
    x, y = np.zeros((2, 4, 4)), np.array([0, 1])
    arrays = {"x_train": x, "y_train": y, "x_test": x[:1], "y_test": y[:1], **change}
    np.savez(tmp_path / "d.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DataError, match=said):
        load(tmp_path / "d.npz")


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04garbage", b"garbage", b"\x80\x04\x95"])
def test_a_file_that_is_no_archive_is_explained(tmp_path: Path, raw: bytes) -> None:
    """Garbage, a cut zip and a pickle give one sentence."""
    (tmp_path / "d.npz").write_bytes(raw)
    with pytest.raises(DataError, match="plain arrays"):
        load(tmp_path / "d.npz")


@pytest.mark.parametrize("order", "<>")
def test_text_of_an_npz_that_is_no_text_is_refused(tmp_path: Path, order: str) -> None:
    """Codes beyond Unicode: to make a string of them ends in a SystemError of Python's."""
    beyond = np.frombuffer(np.array([0x110000, 97], f"{order}u4").tobytes(), f"{order}U1")
    np.savez(tmp_path / "d.npz", x_train=np.zeros((2, 4, 4), np.uint8), y_train=[0, 1], classes=beyond)
    with pytest.raises(DataError, match=r"classes\.npy holds invalid characters"):
        load(tmp_path / "d.npz")


def test_of_an_npz_only_what_is_needed_is_read_and_no_more_than_its_bytes_can_hold(tmp_path: Path) -> None:
    """A member that nobody asked for may be anything; one whose header lies, or that expands far, is refused."""
    import io
    import zipfile

    def member(shape: tuple[int, ...], values: bytes, kind: str = "|u1") -> bytes:
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
        return out.getvalue() + values

    def written(**members: bytes) -> Path:
        sound = {"x_train": member((2, 2, 2), bytes(8)), "y_train": member((2,), b"\0\1")} | members
        with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, raw in sound.items():
                archive.writestr(f"{name}.npy", raw)
        return tmp_path / "d.npz"

    assert len(load(written(unasked=b"no array", objects=member((1,), b"x" * 8, "|O")))) == 2
    for changed, said in (
        ({"x_train": member((2**40, 2, 2), bytes(8))}, "should have"),
        ({"x_train": member((2, -2, 2), bytes(8))}, "should have"),
        ({"x_train": member((135_000_000, 1, 1), bytes(135_000_000))}, "over the limit"),
        ({"y_train": member((2,), bytes(16), "|O")}, "values of type object"),
        ({"x_train": b"\x93NUMPY\x01\0" + b"\xff\xff" + b"(" * 65_535}, "plain arrays"),
    ):
        with pytest.raises(DataError, match=said):
            load(written(**changed))


def test_a_damaged_gz_of_an_idx_file_is_explained(tmp_path: Path) -> None:
    """zlib has an error of its own."""
    import gzip

    from headstart.images.sources.idx import read_idx

    raw = bytearray(gzip.compress(b"\0\0\x08\x01\0\0\0\x09" + bytes(range(9))))
    raw[14] ^= 0xFF
    (tmp_path / "x.gz").write_bytes(raw)
    with pytest.raises(DataError):
        read_idx(tmp_path / "x.gz")


@pytest.mark.parametrize("half", ["\ud800", "cat\udc80"])
def test_a_class_name_with_half_a_character_is_refused_when_labels_are_taken_up(tmp_path: Path, half: str) -> None:
    """No file can hold it: a bundle that has it could not be read."""
    pixels, labels = np.zeros((4, 4, 4), np.uint8), ["a", "a", half, half]
    np.savez(tmp_path / "t.npz", x_train=pixels, y_train=np.array(labels))
    np.savez(tmp_path / "named.npz", x_train=pixels, y_train=[0, 0, 1, 1], classes=np.array(["a", half]))
    for take in (
        lambda: from_arrays(pixels, labels),
        lambda: load(tmp_path / "t.npz"),
        lambda: load(tmp_path / "named.npz"),
        lambda: labels_in(labels),
        lambda: labels_in(np.array(labels, object)),
    ):
        with pytest.raises(DataError, match="has half a character"):
            take()


def test_lists_of_labels_of_several_lengths_are_refused_in_one_sentence() -> None:
    """As labels of many things at once are; rows of one length are told of as one-hot ones."""
    several = [["ant", "flower"], ["bee"]]
    for take in (lambda: labels_in(several), lambda: from_arrays(np.zeros((2, 4, 4), np.uint8), several)):
        with pytest.raises(DataError, match="have several labels for a picture: give one for each"):
            take()


# --- memory


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[[0.0, 0.5, 1.0]]]), [0, 128, 255]),
        (np.array([[[0.0, 100.4, 255.0]]]), [0, 100, 255]),
        (np.array([[[False, True, True]]]), [0, 255, 255]),
        (np.array([[[0, 1, 16]]]), [0, 1, 16]),
        (np.array([[[0, 25700, 65535]]], dtype=np.uint16), [0, 100, 255]),
        (np.array([[[0, 7, 255]]], dtype=np.uint8), [0, 7, 255]),
    ],
)
def test_values_follow_the_stated_rule(pixels: np.ndarray, expected: list[int]) -> None:
    """0..1 floats, 0..255 and 16-bit integers become uint8 as `to_uint8` says."""
    assert to_uint8(pixels).ravel().tolist() == expected


@given(arrays_of.arrays(np.uint8, arrays_of.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_pixels_in_0_to_1_are_the_pixels_of_0_to_255(pixels: np.ndarray) -> None:
    """Dividing by 255, as Keras users do, loses nothing (unless no pixel is above 1, where the rule reads 0..1)."""
    if pixels.max() > 1:
        assert np.array_equal(to_uint8(pixels / 255), pixels)
        assert np.array_equal(to_uint8(pixels.astype(np.float32)), pixels)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.filterwarnings("error")
def test_values_that_are_no_numbers_are_refused_without_a_warning_of_numpy(
    kind: type, value: float, white: int
) -> None:
    pixels = np.zeros((2, 4, 4), kind)
    pixels[0, 0, 0] = value
    with pytest.raises(DataError, match="Pixels"):
        from_arrays(pixels, white=(white, 255))


def test_one_rule_holds_for_a_whole_list() -> None:
    """A dark picture in a list of 0..255 floats is not taken for one in 0..1."""
    dark, light = np.full((2, 2), 1.0), np.full((3, 3), 255.0)
    images = from_arrays([dark, light])
    assert images.read(0).max() == 1 and images.read(1).max() == 255


def test_memory_may_be_mixed(tmp_path: Path) -> None:
    """Arrays, PIL pictures, encoded bytes and paths in one list are all read the same way."""
    (tmp_path / "p.png").write_bytes(png())
    red = Image.new("RGB", (6, 5), "red")
    images = from_arrays([np.asarray(red), red, png(), tmp_path / "p.png", str(tmp_path / "p.png")], list("abcab"))
    assert images.names[:3] == ("image/000000", "image/000001", "image/000002")
    assert images.names[3].endswith("p.png") and images.names[4].endswith("p.png (2)")
    for i in range(5):
        assert np.array_equal(images.read(i), np.asarray(red))
    assert images.probe() == images.take([0]).probe()


def test_grey_colour_and_alpha_arrays_keep_their_meaning() -> None:
    """(n,h,w,1) is grey; alpha lies over white; a PIL picture with a palette shows its colours."""
    assert from_arrays(np.zeros((2, 4, 4, 1))).probe().grey
    assert from_arrays(np.zeros((2, 4, 4, 4), np.uint8)).read(0).min() == 255
    palette = Image.new("RGB", (4, 4), "red").convert("P")
    assert from_arrays([palette]).read(0)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["image_path", "File Name", "img-id", "Image"])
def test_the_column_with_the_pictures_is_named_however_it_is_spelt(name: str) -> None:
    table = pd.DataFrame({"label": ["a"], name: ["a.png"]})
    with pytest.raises(DataError, match=re.escape(f"as X['{name}']")):
        pictures_in(table)


def test_pictures_that_come_one_by_one_are_a_list_and_what_holds_none_is_told() -> None:
    assert pictures_in(name for name in ("a.png", "b.png")) == ["a.png", "b.png"]
    model = TransferClassifier(method="pixels", head="prototype", cache=False)
    pictures = [np.full((4, 4), grey, np.uint8) for grey in (0, 10, 200, 250)]
    assert model.fit(iter(pictures), list("aabb")).predict(iter(pictures)).tolist() == list("aabb")
    for nothing in (None, 5):
        for call in (lambda X=nothing: model.fit(X, list("aabb")), lambda X=nothing: model.predict(X)):
            with pytest.raises(DataError, match=r"encoded bytes or arrays, not \w+\.$"):
                call()


def test_labels_may_be_names_numbers_or_positions() -> None:
    """Text and numbers become class names; None, NaN and '' are unlabelled; with classes, integers are positions."""
    x = np.zeros((4, 2, 2))
    assert from_arrays(x, [10, 2, 2, 10]).classes == ("2", "10")
    assert from_arrays(x, [1.0, 0.0, np.nan, 1.0]).labels.tolist() == [1, 0, -1, 1]
    assert from_arrays(x, ["None", None, "nan", np.nan]).labels.tolist() == [0, -1, 1, -1]
    assert from_arrays(x, ["b", None, "", "a"]).labels.tolist() == [1, -1, -1, 0]
    positions = from_arrays(x, [0, 1, 1, 0], classes=["z", "y"])
    assert positions.classes == ("y", "z") and positions.labels.tolist() == [1, 0, 0, 1]
    with pytest.raises(DataError, match="label 2"):
        from_arrays(x, [0, 1, 2, 0], classes=["z", "y"])
    with pytest.raises(DataError, match=r"\(4,\)"):
        from_arrays(x, [0, 1])


def test_the_set_takes_and_numbers_by_part() -> None:
    """take keeps names, labels and parts together; names count within each part."""
    images = from_arrays(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), list("aba"), parts=["train", "test", "train"])
    assert images.names == ("train/000000", "test/000000", "train/000001")
    taken = images.take(np.array([True, False, True]))
    assert taken.names == ("train/000000", "train/000001") and taken.read(1)[0, 0, 0] == 8
    assert len(images.take([])) == 0 and images.take([2, 0]).names[0] == "train/000001"


@pytest.mark.parametrize(
    "wrong", [3.5, [object()], [np.zeros((2, 2, 7))], np.zeros((2, 0, 4)), [], np.zeros((0, 2, 2))]
)
def test_what_is_no_picture_in_memory_is_explained(wrong: object) -> None:
    """Numbers, objects, odd shapes and nothing at all raise DataError."""
    with pytest.raises(DataError):
        load(wrong)


def test_paths_to_predict_may_be_files_and_folders(tmp_path: Path) -> None:
    """Folders stand for the pictures below them; each picture comes once; what is missing is refused."""
    (tmp_path / "d").mkdir()
    for name in ("d/1.png", "d/2.png", "3.png"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "d" / "x.txt").write_text("x")
    given_paths = [tmp_path / "d", tmp_path / "3.png", tmp_path / "d" / "1.png", tmp_path / "none.png"]
    images = load(given_paths, labelled=False)
    assert [Path(name).name for name in images.names] == ["1.png", "2.png", "3.png"]
    assert [r.reason for r in images.refused] == ["not-an-image", "same-file", "missing-file"]
    assert load(tmp_path / "3.png", labelled=False).read(0).shape == (5, 6, 3)
    with pytest.raises(DataError, match="no labels"):
        load(tmp_path / "3.png")


def test_a_vanished_file_is_refused_when_read(tmp_path: Path) -> None:
    """A file that was listed and then removed is refused, and the set stays usable."""
    path = tmp_path / "1.png"
    path.write_bytes(png())
    images = load([path, path.with_name("1.png")], labelled=False)
    path.unlink()
    with pytest.raises(Refused, match="missing-file"):
        images.raw(0)
    with pytest.raises(DataError, match="could be opened"):
        images.probe()


# --- names


def test_digits_are_scikit_learns() -> None:
    """The built-in digits are scikit-learn's, scaled from 0..16 to 0..255."""
    from sklearn.datasets import load_digits

    images, bunch = load("digits"), load_digits()
    assert images.classes == tuple("0123456789")
    assert np.array_equal(images.items, np.rint(bunch.images * 255 / 16).astype(np.uint8))
    assert np.array_equal(images.labels, bunch.target)


def test_loading_digits_imports_no_heavy_library() -> None:
    """Neither scikit-learn nor pyarrow nor torch is imported by loading the digits."""
    code = (
        "import sys, headstart.images as i; i.load('digits');"
        "print([m for m in ('sklearn', 'scipy', 'pyarrow', 'torch', 'pandas', 'urllib.request') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.data
def test_built_in_names_are_found_in_headstart_data(data_dir: Path) -> None:
    """mnist, fashion_mnist and cats_vs_dogs come from HEADSTART_DATA; Fashion-MNIST has its names."""
    assert len(load("mnist")) == 70_000
    fashion = load("fashion_mnist")
    assert "Ankle boot" in fashion.classes and fashion.classes[fashion.labels[0]] == "Ankle boot"
    assert len(load("cats_vs_dogs")) == 4_000


def test_cifar10_is_read_from_its_binary_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of one label and three planes become (h,w,3) pictures with the published class names."""
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    record = np.concatenate([[3], np.full(1024, 200), np.full(1024, 100), np.full(1024, 50)]).astype(np.uint8)
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(record.tobytes() * 2)
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    images = load("cifar10")
    assert images.classes == ("cat",) and len(images) == 12
    assert images.read(0)[5, 7].tolist() == [200, 100, 50]
    (folder / "test_batch.bin").write_bytes(b"x" * 3000)
    with pytest.raises(DataError, match="3,073"):
        load("cifar10")


@pytest.mark.parametrize("name", [name for name in BUILTINS if name != "digits"])
def test_offline_one_sentence_says_where_the_files_go(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without network and without the files, the error names the data set, its files and the folder to put them in."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    with pytest.raises(Offline) as error:
        load(name)
    assert str(tmp_path / name) in str(error.value)
    assert all(remote.name in str(error.value) for remote in BUILTINS[name].files)


def test_a_word_with_two_meanings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called mnist hides the built-in mnist: both right spellings are shown, and both work."""
    (tmp_path / "digits" / "a").mkdir(parents=True)
    (tmp_path / "digits" / "a" / "1.png").write_bytes(png())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"'\./digits'.*'builtin:digits'"):
        load("digits")
    assert len(load("./digits")) == 1 and len(load("builtin:digits")) == 1797


def test_a_misspelt_name_shows_the_nearest() -> None:
    """'fashon_mnist' is no path; fashion_mnist is shown."""
    with pytest.raises(DataError, match="'fashion_mnist'"):
        load("fashon_mnist")


def test_every_source_is_in_the_table_and_says_what_it_reads() -> None:
    """The sources of the design are all there, each with an example for messages."""
    assert {"folder", "table", "idx", "npz", "builtin"} < set(SOURCES)
    assert all(source.example for source in SOURCES.values())
    with pytest.raises(DataError, match=r"\.npz with x_train"):
        load(3.5)


def test_an_image_set_is_data_already() -> None:
    """load returns an ImageSet as it is."""
    images = from_arrays(np.zeros((1, 2, 2)))
    assert load(images) is images


def test_a_set_refuses_lengths_and_names_that_do_not_fit() -> None:
    """Unequal lengths and repeated names never get into a set."""
    x = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(DataError, match="different lengths"):
        ImageSet(x, ("a",), np.zeros(2, np.int64), (), np.array(["", ""]))
    with pytest.raises(DataError, match="'a' is given to more than one"):
        ImageSet(x, ("a", "a"), np.zeros(2, np.int64), (), np.array(["", ""]))


def test_a_picture_counts_once_however_its_path_is_written(tmp_path: Path) -> None:
    """In a table and in a list: relative, whole, and by way of `..`."""
    (tmp_path / "d").mkdir()
    for name in ("d/1.png", "d/2.png"):
        (tmp_path / name).write_bytes(png())
    ways = ["d/1.png", str(tmp_path / "d/1.png"), "d/../d/1.png"]
    (tmp_path / "t.csv").write_text("image,label\n" + "".join(f"{way},a\n" for way in ways) + "d/2.png,b\n")
    images = load(tmp_path / "t.csv")
    assert images.names == ("d/1.png", "d/2.png") and [r.reason for r in images.refused] == ["same-file"] * 2
    listed = load([tmp_path / "d/1.png", tmp_path / "d/../d/1.png"], labelled=False)
    assert len(listed) == 1 and [r.reason for r in listed.refused] == ["same-file"]
    (tmp_path / "t.csv").write_text("image,label\nd/1.png,a\nd/../d/1.png,b\nd/2.png,b\n")
    with pytest.raises(DataError, match=r"row 3 gives 'd/1.png' the label 'b', and an earlier row gives it 'a'"):
        load(tmp_path / "t.csv")
