"""Folders of pictures: layouts, and everything odd that is found in real folders."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from headstart.errors import DataError, UserError
from headstart.images import ImageSet, load

Make = Callable[..., Path]


def jpeg(colour: str = "red") -> bytes:
    """A small valid JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (12, 10), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make('train/cat/1.jpg', ...) -> the root that holds these files."""

    def files(*names: str, root: str = "data") -> Path:
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg())
        return tmp_path / root

    return files


def labels(images: ImageSet) -> dict[str, str]:
    """name -> class name."""
    return {n: images.classes[k] if k >= 0 else "" for n, k in zip(images.names, images.labels, strict=True)}


def reasons(images: ImageSet) -> dict[str, str]:
    """name -> reason of refusal."""
    return {refusal.name: refusal.reason for refusal in images.refused}


def test_class_folders_give_labels_and_undecided_parts(make: Make) -> None:
    """The first folder below the root is the class; deeper folders belong to it; no part is decided."""
    images = load(make("cat/1.jpg", "cat/deep/er/2.png", "dog/1.jpg"))
    assert labels(images) == {"cat/1.jpg": "cat", "cat/deep/er/2.png": "cat", "dog/1.jpg": "dog"}
    assert set(images.parts.tolist()) == {""}
    assert images.read(0).shape == (10, 12, 3)


@pytest.mark.parametrize("spelling", ["val", "valid", "Validation", "VAL"])
def test_parts_are_known_in_every_spelling(make: Make, spelling: str) -> None:
    """train, val and test folders become parts, whatever their spelling and case."""
    images = load(make("Training/a/1.jpg", f"{spelling}/a/1.jpg", "TESTING/a/1.jpg"))
    assert sorted(images.parts.tolist()) == ["test", "train", "val"]
    assert images.classes == ("a",)


def test_a_class_may_be_called_train(make: Make) -> None:
    """A folder 'train' with pictures and no folders is a class of vehicles, beside 'plane'."""
    assert load(make("train/1.jpg", "plane/1.jpg")).classes == ("plane", "train")


def test_classes_are_in_natural_order(make: Make) -> None:
    """'2' comes before '10'."""
    assert load(make("10/a.jpg", "2/a.jpg", "1/a.jpg")).classes == ("1", "2", "10")


def test_listing_does_not_decode(make: Make) -> None:
    """A broken picture with a picture's ending is listed; reading it is what refuses it."""
    root = make("a/1.jpg", "b/1.jpg")
    (root / "a" / "2.jpg").write_bytes(b"")
    (root / "a" / "3.jpg").write_bytes(b"not a picture")
    images = load(root)
    assert len(images) == 4 and images.refused == ()


def test_other_files_in_a_class_are_refused_by_content(make: Make) -> None:
    """A text is refused as no image; a picture without an ending, or with a wrong one, is taken."""
    root = make("a/1.jpg", "a/no_ending", "a/picture.txt", "b/1.jpg")
    (root / "a" / "notes.txt").write_text("notes")
    (root / "a" / "icon.ico").write_bytes(b"\x00\x00\x01\x00\x01\x00")
    (root / "a" / "nothing.csv").touch()
    images = load(root)
    assert len(images) == 4
    assert reasons(images) == {
        "a/notes.txt": "not-an-image",
        "a/icon.ico": "format-not-allowed",
        "a/nothing.csv": "empty-file",
    }


def test_hidden_files_and_desktop_litter_are_skipped_silently(make: Make) -> None:
    """Dot files, __MACOSX, Thumbs.db and the like are neither pictures nor refusals."""
    litter = (".DS_Store", "a/.hidden.jpg", "__MACOSX/a/1.jpg", "a/Thumbs.db", "a/desktop.ini", ".git/x/1.jpg")
    images = load(make("a/1.jpg", "b/1.jpg", *litter))
    assert images.names == ("a/1.jpg", "b/1.jpg") and images.refused == ()


def test_a_picture_beside_the_class_folders_is_refused_and_a_readme_ignored(make: Make) -> None:
    """A loose picture has no label and is listed as refused; a loose text is nobody's concern."""
    root = make("a/1.jpg", "b/1.jpg", "loose.jpg")
    (root / "README.md").write_text("about")
    assert reasons(load(root)) == {"loose.jpg": "no-class"}


def test_an_empty_class_is_named_or_allowed(make: Make) -> None:
    """An empty class folder is an error that names it; with the flag the class is left out."""
    root = make("a/1.jpg", "b/1.jpg")
    (root / "void").mkdir()
    with pytest.raises(DataError, match=r"'void'.*add allow_empty_classes=True"):
        load(root)
    found = load(root, allow_empty_classes=True)
    assert found.classes == ("a", "b")
    assert found.notes == ("Class folders that hold no picture are left out: 'void'.",)


def test_a_class_that_holds_only_texts_counts_as_empty(make: Make) -> None:
    """Refused files do not fill a class."""
    root = make("a/1.jpg", "b/1.jpg")
    (root / "texts").mkdir()
    (root / "texts" / "1.txt").write_text("x")
    with pytest.raises(DataError, match="'texts'"):
        load(root)


def test_an_empty_class_of_one_part_is_named_with_its_part(make: Make) -> None:
    """train/b is empty although test/b is not: the message says train/b."""
    root = make("train/a/1.jpg", "test/a/1.jpg", "test/b/1.jpg")
    (root / "train" / "b").mkdir()
    with pytest.raises(DataError, match="'train/b'"):
        load(root)


def test_a_class_of_a_later_part_only_is_named(make: Make) -> None:
    """A class that test has and train has not cannot be learned."""
    with pytest.raises(DataError, match=r"'wolf'.*test.*train"):
        load(make("train/cat/1.jpg", "test/cat/1.jpg", "test/wolf/1.jpg"))


def test_a_test_folder_alone_can_be_loaded(make: Make) -> None:
    """For evaluation a set without training pictures is fine."""
    assert load(make("test/cat/1.jpg", "test/dog/1.jpg")).classes == ("cat", "dog")


def test_a_class_with_one_picture_is_a_class(make: Make) -> None:
    """One picture is enough to be listed."""
    assert labels(load(make("a/1.jpg", "b/1.jpg", "b/2.jpg")))["a/1.jpg"] == "a"


def test_a_link_to_itself_is_visited_once(make: Make) -> None:
    """A folder that links to its own root lists each picture once and refuses the links."""
    root = make("a/1.jpg", "b/1.jpg")
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    (root / "b" / "self").symlink_to(root / "b", target_is_directory=True)
    (root / "b" / "turn").symlink_to("turn")
    images = load(root)
    assert images.names == ("a/1.jpg", "b/1.jpg")
    assert reasons(images) == {"a/loop": "same-file", "b/self": "same-file", "b/turn": "missing-file"}


def test_a_link_out_of_the_root_is_refused_or_followed(make: Make) -> None:
    """Files and folders elsewhere are refused, and followed when that is asked for; the root may be a link itself."""
    root = make("a/1.jpg", "b/1.jpg")
    other = make("x/9.jpg", root="elsewhere")
    (root / "b" / "2.jpg").symlink_to(other / "x" / "9.jpg")
    (root / "c").symlink_to(other / "x", target_is_directory=True)
    assert reasons(load(root)) == {"b/2.jpg": "outside-the-folder", "c": "outside-the-folder"}
    assert load(root, follow_links=True).classes == ("a", "b", "c")
    link = root.parent / "alias"
    link.symlink_to(root, target_is_directory=True)
    assert load(link).names == ("a/1.jpg", "b/1.jpg")


def test_a_link_to_a_picture_in_the_folder_is_the_same_picture(make: Make) -> None:
    """Two names for one file would put it into two parts: the link is refused, the file kept."""
    root = make("z/1.jpg", "b/1.jpg")
    (root / "b" / "0.jpg").symlink_to(root / "z" / "1.jpg")
    images = load(root)
    assert images.names == ("b/1.jpg", "z/1.jpg")
    assert reasons(images) == {"b/0.jpg": "same-file"}


def test_a_pipe_does_not_hang(make: Make) -> None:
    """A named pipe in a class folder is refused at once."""
    root = make("a/1.jpg", "b/1.jpg")
    os.mkfifo(root / "a" / "pipe.jpg")
    (root / "b" / "link.jpg").symlink_to(root / "a" / "pipe.jpg")
    assert reasons(load(root)) == {"a/pipe.jpg": "not-a-file", "b/link.jpg": "not-a-file"}


def test_names_of_any_bytes_are_kept_and_can_be_written(make: Make) -> None:
    """255 bytes, a newline, markup, and bytes that are not UTF-8: read as pictures, named in one line of UTF-8."""
    root = make("a/1.jpg", "b/1.jpg", "a/" + "x" * 251 + ".jpg", "a/line\nbreak.jpg", "a/<script>.jpg")
    (root / "a" / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(jpeg())
    images = load(root)
    assert {"a/line\\x0abreak.jpg", "a/<script>.jpg", "a/\\xff\\xfe.jpg"} < set(images.names)
    for i, name in enumerate(images.names):
        assert "\n" not in name and name.encode("utf-8")
        assert images.read(i).shape == (10, 12, 3)


def test_look_alike_class_names_are_refused_naming_both(make: Make) -> None:
    """Composed and decomposed e-acute, or Cat and cat, are never two classes by accident."""
    with pytest.raises(DataError, match=r"'cafe\\u0301' and 'caf\\xe9'"):
        load(make("caf\u00e9/1.jpg", "cafe\u0301/1.jpg"))
    with pytest.raises(DataError, match="'Cat' and 'cat'"):
        load(make("train/Cat/1.jpg", "test/cat/1.jpg", root="second"))


def test_letters_in_both_cases_are_classes(make: Make) -> None:
    """'A' and 'a' are different classes of a set of letters."""
    assert load(make("A/1.jpg", "a/1.jpg")).classes == ("A", "a")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["1.jpg", "2.jpg"], "no class folders"),
        (["train/1.jpg", "test/1.jpg"], "'test', 'train' has no class folders"),
        (["train/a/1.jpg", "test/1.jpg"], "'test' has no class folders although 'train' has"),
        (
            ["train/a/1.jpg", "test/1.jpg"],
            "without labels cannot be used for scores: move 'test' out of the folder",
        ),
        (["train/a/1.jpg", "extra/1.jpg"], "mixes parts"),
        (["val/a/1.jpg", "valid/a/1.jpg", "train/a/1.jpg"], "same part twice"),
    ],
)
def test_layouts_that_cannot_be_meant_are_explained(make: Make, files: list[str], said: str) -> None:
    """Each wrong layout has a sentence of its own."""
    with pytest.raises(DataError, match=said):
        load(make(*files))


@pytest.mark.parametrize(
    "files",
    [
        ["cats/train/a/1.jpg", "cats/test/a/2.jpg", "ants/train/b/1.jpg"],  # the folder above several data sets
        ["a/train/1.jpg", "a/Test/2.jpg", "b/train/1.jpg"],  # parts below the classes
    ],
)
def test_parts_below_what_is_read_as_classes_are_told(make: Make, files: list[str]) -> None:
    """Unseen, a test would be trained on, or the names of data sets learnt instead of classes."""
    images = load(make(*files))
    assert set(images.parts.tolist()) == {""}
    (note,) = images.notes
    assert "are inside the classes" in note and "is read as pictures of these classes" in note
    assert "FOLDER/train/cat/1.jpg" in note


def test_other_folders_below_the_classes_are_not_told(make: Make) -> None:
    """Nor is a folder named so in one of many places: that of a class within its part."""
    assert load(make("a/2021/1.jpg", "b/2022/1.jpg")).notes == ()
    assert load(make("train/a/test/1.jpg", "train/b/1.jpg", "test/a/1.jpg", root="parts")).notes == ()


def test_an_empty_folder_and_a_missing_one_are_explained(tmp_path: Path) -> None:
    """No picture, no folder: clear errors, no traceback of the system."""
    with pytest.raises(DataError, match="holds no picture"):
        load(tmp_path)
    with pytest.raises(UserError, match="no file or folder"):
        load(tmp_path / "nowhere")


def test_unlabelled_pictures_are_listed_for_prediction(make: Make) -> None:
    """labelled=False takes every picture below the folder, class folders or not."""
    images = load(make("1.jpg", "deep/2.jpg"), labelled=False)
    assert images.names == ("1.jpg", "deep/2.jpg") and images.labels.tolist() == [-1, -1] and images.classes == ()


def test_names_do_not_depend_on_the_order_of_creation(make: Make) -> None:
    """Two folders with the same files, made in opposite order, are listed alike."""
    files = [f"{c}/{i}.jpg" for c in "abc" for i in range(5)]
    assert load(make(*files)).names == load(make(*reversed(files), root="other")).names


@pytest.mark.data
def test_real_photos_are_listed(data_dir: Path) -> None:
    """cats_vs_dogs has 2,000 pictures in each part, balanced, and its probe says photos of mixed sizes."""
    images = load(data_dir / "cats_vs_dogs")
    assert images.classes == ("cat", "dog")
    assert [int(((images.parts == p) & (images.labels == k)).sum()) for p in ("train", "test") for k in (0, 1)] == [
        1000
    ] * 4
    probe = images.probe()
    assert not probe.uniform and not probe.grey and 150 < probe.height < 400 and 150 < probe.width < 400
