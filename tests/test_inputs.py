"""Inputs as people have them: each odd one is read, or refused in one sentence that names the cure."""

from __future__ import annotations

import io
import runpy
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import DataConversionWarning

from headstart import TransferClassifier
from headstart.errors import DataError, Refused, UnknownName
from headstart.images import load, select
from headstart.images.archive import Member
from headstart.images.decode import Limits
from headstart.images.options import Reading
from headstart.recipe import Recipe

FAULTS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "faults" / "inputs.py"))
KINDS = ["tables", "columns", "archives", "links", "forms", "readers", "arrays"]


def png(colour: str = "red", side: int = 12) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip with two classes of two pictures."""
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, colour in (
            ("cat/1.png", "red"),
            ("cat/2.png", "blue"),
            ("dog/1.png", "green"),
            ("dog/2.png", "grey"),
        ):
            zipped.writestr(name, png(colour))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_odd_input_has_the_verdict_that_is_expected_of_it(kind: str, tmp_path: Path) -> None:
    n, failed, note = FAULTS["judged"](FAULTS[kind](tmp_path))
    assert n > 1 or kind == "readers"
    assert failed == 0, note


def test_a_mutated_zip_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    assert FAULTS["mutated"](tmp_path, 60)[1:] == (0, "")


def test_the_labels_of_a_table_that_name_several_things_are_noted(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "t.csv").write_text("image;label\n1.png;daisy,plant\n2.png;rose\n")
    assert "'daisy,plant'" in load(tmp_path / "t.csv").notes[0]


def test_a_table_in_latin_1_says_that_it_was_guessed(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png())
    (tmp_path / "t.csv").write_bytes("image,label\n1.png,Käfer\n".encode("latin-1"))
    images = load(tmp_path / "t.csv")
    assert images.classes == ("Käfer",) and "Windows-1252" in images.notes[0]


def test_the_class_names_of_a_hugging_face_table_stand_for_its_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = b'{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'
    table = pa.table({"image": [png(), png("blue")], "label": [1, 0]}).replace_schema_metadata({"huggingface": about})
    pq.write_table(table, tmp_path / "t.parquet")
    images = load(tmp_path / "t.parquet")
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [1, 0]


def test_a_member_over_the_limit_is_refused_before_it_is_read(archive: Path) -> None:
    with pytest.raises(Refused, match="too-many-bytes"):
        Member(archive, "cat/1.png").read(Limits(max_bytes=10))


def test_a_member_with_a_name_without_end_is_refused_and_takes_no_memory(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("cat/" + "a/" * 32_000 + "x.png", png())
        zipped.writestr("cat/" + "a/" * 70 + "x.png", png())
        zipped.writestr("cat/" + "a" * 5000 + ".png", png())
    tracemalloc.start()
    images = load(archive)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert len(images) == 4 and [r.reason for r in images.refused] == ["unreadable"] * 3
    assert "a name of over 4,096 characters or 64 folders" in images.refused[0].detail
    assert max(len(r.name) for r in images.refused) <= 4096


@pytest.mark.parametrize(("method", "said"), [(zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "BZIP2")])
def test_an_archive_packed_in_a_way_that_is_not_read_is_told_so(tmp_path: Path, method: int, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", method) as zipped:
        for name in ("cat/1.png", "dog/1.png"):
            zipped.writestr(name, png())
    with pytest.raises(DataError, match=rf"2 refused; the first: cat/1\.png: packed by {said}.*unpack the archive"):
        load(tmp_path / "photos.zip")


def test_threads_read_one_archive_at_the_same_time(archive: Path) -> None:
    images = load(archive)
    expected = [images.read(i).tobytes() for i in range(len(images))]
    found: list[bool] = []

    def read() -> None:
        found.append(all([images.read(i).tobytes() for i in range(len(images))] == expected for _ in range(20)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_an_archive_that_was_replaced_is_read_anew(archive: Path) -> None:
    assert load(archive).classes == ("cat", "dog")
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("ant/1.png", png())
        zipped.writestr("bee/longer-name.png", png())
    assert load(archive).classes == ("ant", "bee")


def test_a_picture_in_an_archive_that_is_gone_is_missing(archive: Path) -> None:
    images = load(archive)
    archive.unlink()
    with pytest.raises(Refused, match="missing-file"):
        images.raw(0)


def test_a_heic_picture_is_upright_as_its_reader_turns_it() -> None:
    heif = pytest.importorskip("pillow_heif")
    from headstart.images import decode

    image = Image.new("RGB", (32, 16), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    heif.from_pillow(image).save(file, exif=exif.tobytes())
    assert decode(file.getvalue()).size == (16, 32)
    with pytest.raises(Refused, match="too-many-pixels"):
        decode(file.getvalue(), Limits(max_pixels=100))


def test_an_estimator_takes_one_column_and_refuses_one_picture_and_missing_labels(tmp_path: Path) -> None:
    import pandas as pd

    colours = ["red", "blue", "red", "blue", "red", "blue"]
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, (path, colour) in enumerate(zip(paths, colours, strict=True)):
        path.write_bytes(png(colour, 10 + i % 2))
    table = pd.DataFrame({"image": [str(path) for path in paths], "label": colours})
    model = TransferClassifier(method="pixels", image_size=8)
    with pytest.warns(DataConversionWarning, match="column-vector"):  # as scikit-learn's own estimators warn
        model.fit(table[["image"]], table[["label"]])
    assert model.score(table[["image"]], table["label"]) == 1
    with pytest.raises(ValueError, match=r"X\[0\]\[None\]"):
        model.predict(np.zeros((12, 12, 3), np.uint8))
    with pytest.raises(DataError, match="lacks 1 of 6 labels"):
        model.fit(table[["image"]], ["red", None, "red", "blue", "red", "blue"])


def test_a_recipe_says_how_to_read_its_data() -> None:
    data = {"source": "x.csv", "follow_links": True, "label_column": "kind"}
    recipe = Recipe.from_dict({"data": data})
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    said = {name: value for name, value in recipe.data.reading().items() if value is not None}
    assert said == {"follow_links": True, "label_column": "kind"}
    assert set(recipe.data.reading()) == set(get_type_hints(Reading))  # all that people may say


@pytest.mark.parametrize(
    "command",
    ["fit", "compare", "rank", "evaluate", "predict", "classify", "features", "pretrain", "audit", "label", "explain"],
)
def test_every_command_that_reads_a_folder_can_follow_links(command: str) -> None:
    from headstart.cli.commands import load

    options = {name for p in load(command).params for name in p.opts}
    assert "--follow-links" in options
    assert "--image-column" in options
    assert "--label-column" in options or command in ("predict", "classify", "explain")
    assert {"--split-column", "--group-column"} <= options or command in ("predict", "classify", "explain", "label")


def test_the_home_folder_is_meant_wherever_an_argument_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from headstart.cli import _at_home

    home = str(tmp_path)
    monkeypatch.setenv("HOME", home)
    given = ["--out=~/runs", "~/photos", "data=~/x", "a@~/w.safetensors", "~", "a~/b", "--classes", "~x"]
    assert [_at_home(each) for each in given] == [
        f"--out={home}/runs", f"{home}/photos", f"data={home}/x", f"a@{home}/w.safetensors", "~", "a~/b",
        "--classes", "~x",
    ]  # fmt: skip


def test_the_home_folder_is_meant_in_paths_of_python_and_of_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.images import from_arrays

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(png())
    (tmp_path / "r.toml").write_text('[data]\nsource = "~/photos"\n')
    recipe = Recipe.load(Path("~/r.toml"))
    assert len(load(recipe.data.source)) == 1
    assert load(["~/photos/cat/1.png"], labelled=False).read(0).shape == (12, 12, 3)
    assert from_arrays(["~/photos/cat/1.png"]).read(0).shape == (12, 12, 3)


def test_classes_are_chosen_by_name_in_any_unicode_form(tmp_path: Path) -> None:
    for name in ("café/1.png", "tea/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(png())
    assert select(load(tmp_path), classes=["cafe\u0301"]).classes == ("café",)


def table_of(folder: Path, column: str, cells: list[str], name: str = "t.csv") -> Path:
    """A table of as many pictures as there are cells, labelled a and b by turns, with one more column."""
    lines = [f"image,label,{column}"]
    for i, cell in enumerate(cells):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},{cell}")
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_numbers_that_a_gap_made_fractions_are_the_same_groups_and_classes(tmp_path: Path) -> None:
    """As pandas writes them: `12.0` where another row is empty."""
    groups = load(table_of(tmp_path, "group", ["12.0", "12.0", "7.0", "", "7.0", "NA"])).groups
    assert groups is not None and groups.tolist() == ["12", "12", "7", "", "7", ""]
    labels = load(table_of(tmp_path, "kind", ["0.0", "1.0", "0.0", "1.0"]), label_column="kind")
    assert labels.classes == ("0", "1")
    versions = load(table_of(tmp_path, "kind", ["1.0", "1.1", "1.0", "1.1"]), label_column="kind")
    assert versions.classes == ("1.0", "1.1")


@pytest.mark.parametrize("word", ["nan", "NaN", "<NA>", "#N/A"])
def test_a_word_for_nothing_is_no_label(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match="1 of 4 rows have no label"):
        load(table_of(tmp_path, "kind", ["x", word, "y", "x"]), label_column="kind")
    named = load(table_of(tmp_path, "kind", ["x", "null", "x", "null"]), label_column="kind")
    assert named.classes == ("null", "x") and named.notes == ("The label 'null' is taken for the name of a class.",)


@pytest.mark.parametrize(
    ("column", "parts"),
    [("is_valid", ["val", "train"]), ("is_test", ["test", "train"]), ("IsTrain", ["train", "test"])],
)
def test_a_column_of_yes_and_no_says_the_parts_that_its_name_means(
    tmp_path: Path, column: str, parts: list[str]
) -> None:
    for yes, no in (("True", "False"), ("1", "0"), ("1.0", "0.0")):
        table = table_of(tmp_path, column, [yes, yes, no, no])
        assert load(table, split_column=column).parts.tolist() == [parts[0]] * 2 + [parts[1]] * 2


def test_numbers_of_folds_are_no_split_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"Unknown split '3'.* Numbers of folds are not read: write train and test"):
        load(table_of(tmp_path, "fold", ["3", "1", "2", "0"]), split_column="Fold")


def test_labels_that_are_all_different_are_no_classes(tmp_path: Path) -> None:
    table = table_of(tmp_path, "kind", [f"id {i}" for i in range(30)])
    with pytest.raises(DataError, match="each of the 30 pictures has a label of its own, such as 'id 0'"):
        load(table, label_column="kind")


def test_a_table_beside_class_folders_is_told_and_a_compressed_one_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    (tmp_path / "train.csv").write_text("image,label\n")
    assert load(tmp_path).notes == (
        "'train.csv' in the folder is not read: the classes are those of the folders. To take the labels of a table, "
        "give the table.",
    )
    (tmp_path / "t.csv.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"t\.csv\.gz is a compressed table, which is not read: unpack it first"):
        load(tmp_path / "t.csv.gz")
