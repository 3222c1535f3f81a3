"""Tables whose paths lead nowhere as they are written: bare ids beside a folder, paths of another machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from headstart import fit, predict
from headstart.errors import DataError, UserError
from headstart.images import load
from headstart.labelling.tables import read_labels

Wrote = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Wrote:
    """A table `t.csv` of the names given, labelled a and b by turns, beside the files given."""

    def wrote(names: list[str], files: list[str]) -> Path:
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(tmp_path / name)
        rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
        (tmp_path / "t.csv").write_text("\n".join(["image,label", *rows]) + "\n")
        return tmp_path / "t.csv"

    return wrote


def files_of(table: Path) -> list[str]:
    """Where the pictures of a table are, relative to it."""
    return [Path(str(item)).relative_to(table.parent).as_posix() for item in load(table).items]


@pytest.mark.parametrize(
    ("names", "files", "found"),
    [
        (["x1", "x2"], ["train/x1.png", "train/x2.jpg"], ["train/x1.png", "train/x2.jpg"]),  # ids
        (["x1.png", "x2.png"], ["p/x1.png", "q/x2.png"], ["p/x1.png", "q/x2.png"]),  # shared out over folders
        (["/home/ann/p/a/1.png", "/home/ann/p/b/1.png"], ["a/1.png", "b/1.png"], ["a/1.png", "b/1.png"]),
        ([r"C:\p\a\1.png", r"C:\p\b\1.png"], ["in/a/1.png", "in/b/1.png"], ["in/a/1.png", "in/b/1.png"]),
        (["x1.jpeg", "X2"], ["p/X1.JPG", "p/x2.png"], ["p/X1.JPG", "p/x2.png"]),  # another ending, another case
        (["x1.png", "x2"], ["p/x1.jpg", "q/x1.png", "p/x2.jpg"], ["q/x1.png", "p/x2.jpg"]),  # the very name first
        (["v1.2", "v1.3"], ["p/v1.2.png", "p/v1.3.png"], ["p/v1.2.png", "p/v1.3.png"]),
    ],
)
def test_pictures_are_found_below_the_table_by_their_names(
    table: Wrote, names: list[str], files: list[str], found: list[str]
) -> None:
    made = table(names, files)
    assert files_of(made) == found
    (note,) = load(made).notes
    assert note.startswith("No picture is where the table says; 2 of 2 pictures found by name in ")


def test_the_note_says_where_pictures_were_found_and_the_names_stay_those_of_the_table(table: Wrote) -> None:
    images = load(table(["x1", "x2", "lost", "gone"], ["train/x1.png", "train/x2.png"]))
    assert images.notes == ("No picture is where the table says; 2 of 4 pictures found by name in 'train/'.",)
    assert images.names == ("x1", "x2")
    assert [(each.name, each.reason) for each in images.refused] == [("lost", "missing-file"), ("gone", "missing-file")]


def test_a_table_of_which_one_path_is_right_is_taken_as_written(table: Wrote) -> None:
    images = load(table(["a/1.png", "b/2.png", "3.png"], ["a/1.png", "a/2.png", "b/3.png", "b/2.png"]))
    assert images.names == ("a/1.png", "b/2.png") and [each.name for each in images.refused] == ["3.png"]
    (note,) = images.notes
    assert note.startswith("1 picture named in t.csv is not where it says, but files below its folder have these names")
    assert note.endswith("as '3.png' and 'b/3.png': write their paths.")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            ["train/1.png", "train/2.png", "test/1.png"],
            r"'train/' \(2\) and 'test/' \(1\). Write the folder .* 'test/1",
        ),
        (["p/1.png", "q/2.png", "masks/1.png", "masks/2.png"], r"'masks/' \(2\), 'p/' \(1\) and 'q/' \(1\)"),
        (["p/1.png", "p/1.jpg", "p/2.png"], r"in 'p/' \(3\). Write the folder before each name, as 'p/1.jpg'"),
    ],
)
def test_where_several_files_have_a_name_none_is_taken_and_their_folders_are_told(
    table: Wrote, files: list[str], told: str
) -> None:
    """One of them may hold masks, thumbnails or the pictures of another part."""
    with pytest.raises(DataError, match=f"no picture is where it says, and below its folder several .* {told}"):
        load(table(["1", "2"], files))


@pytest.mark.parametrize(
    "files",
    [
        ["p/1.txt.png", ".hidden/1.png", ".hidden/2.png"],
        ["a/b/c/d/e/1.png", "a/b/c/d/e/2.png"],  # deeper than is looked
    ],
)
def test_where_no_file_has_a_name_that_is_told(table: Wrote, files: list[str]) -> None:
    with pytest.raises(DataError, match="relative to the table's folder, and no picture below it has such a name"):
        load(table(["1", "2"], files))


def test_two_names_of_one_file_are_not_both_its_name(table: Wrote) -> None:
    """`1` is labelled a and `1.png` b: the file cannot be both."""
    images = load(table(["1", "1.png", "2", "3"], ["p/1.png", "p/2.png", "p/3.png"]))
    assert images.names == ("2", "3")
    assert [each.name for each in images.refused] == ["1", "1.png"]


def test_the_same_holds_for_a_table_without_labels_and_a_run_predicts_it(table: Wrote) -> None:
    made = table(["x1", "x2"], ["train/x1.png", "train/x2.png"])
    made.write_text("image\nx1\nx2\n")
    images = load(made, labelled=False)
    assert images.names == ("x1", "x2") and images.read(1).shape == (4, 4, 3)


def test_a_run_answers_a_table_alone_under_the_names_that_the_table_has(table: Wrote, tmp_path: Path) -> None:
    """As a competition asks for: an answer for each id. Among other paths a table is no picture, as in `photos/*`."""
    files = [f"photos/{name}.png" for name in ("x1", "x2", "x3", "x4")]
    run = fit("digits", method="pixels", head="prototype", limit=50, store=False, out=tmp_path / "run").folder
    made = table(["x1", "x2", "x3", "x4"], files)
    made.write_text("id_code\nx1\nx2\nx3\nx4\n")
    found = predict(run, made, image_column="id_code")
    assert found.names == ("x1", "x2", "x3", "x4") and found.notes[0].startswith("No picture is where the table says")
    assert predict(run, [str(made)], image_column="id_code").names == found.names
    with pytest.raises(DataError, match=r"no column 'image'.*Is it 'id_code'"):
        predict(run, made)
    among = predict(run, [made, tmp_path / files[0]])
    assert len(among.names) == 1 and [each.reason for each in among.refused] == ["not-an-image"]
    with pytest.raises(UserError, match="is not a table, so it has no columns: leave `image_column` out"):
        predict(run, tmp_path / files[0], image_column="id_code")


def test_labels_of_a_table_of_ids_are_taken_for_the_pictures_of_that_table(table: Wrote) -> None:
    """The same table gives the pictures, found by their ids, and the labels of some of them."""
    made = table([f"x{i}" for i in range(6)], [f"photos/x{i}.png" for i in range(6)])
    lines = made.read_text().splitlines()
    made.write_text("\n".join([*lines[:3], *(f"{line.split(',')[0]}," for line in lines[3:])]) + "\n")
    images = load(made, labelled=False)
    known = read_labels(made, images)
    assert known.labels == {0: "a", 1: "b"} and known.strangers == []
