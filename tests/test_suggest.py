"""Which pictures to label next: typical ones first, then doubtful ones that are unlike each other."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headstart import suggest
from headstart.cli import _main
from headstart.errors import DataError
from headstart.features.extract import Settings
from headstart.labelling.album import Looks, open_album
from headstart.labelling.choosing import EVERY, Pool, doubts, mixed
from headstart.labelling.tables import given as label_of_given

DIGITS = load_digits()
PIXELS = (DIGITS.images * 15).astype(np.uint8)
NONE = np.zeros(0, np.int64)


def clusters(sizes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Points of tight, far clusters, in the order of the sizes."""
    rng = np.random.default_rng(seed)
    centres = 10 * np.eye(len(sizes), 8)
    return np.concatenate([c + rng.normal(0, 0.5, (n, 8)) for c, n in zip(centres, sizes, strict=True)]).astype("f4")


def cluster_of(rows: np.ndarray, sizes: tuple[int, ...]) -> list[int]:
    return np.searchsorted(np.cumsum(sizes), rows, side="right").tolist()


def test_the_first_pictures_are_one_of_each_cluster_from_the_largest_on() -> None:
    sizes = (40, 20, 60, 30)
    chosen = Pool.of(clusters(sizes)).choose(4, NONE)
    assert sorted(cluster_of(chosen, sizes)) == [0, 1, 2, 3] and cluster_of(chosen, sizes)[0] == 2


def test_what_is_labelled_already_is_covered() -> None:
    sizes = (50, 50, 50)
    chosen = Pool.of(clusters(sizes)).choose(2, np.array([0, 51]))
    assert cluster_of(chosen, sizes)[0] == 2 and not {0, 51} & set(chosen.tolist())


def test_doubtful_pictures_come_first_and_are_unlike_each_other() -> None:
    sizes = (50, 50, 50, 50)
    doubt = np.repeat([0.1, 0.1, 1.0, 1.0], 50)
    chosen = Pool.of(clusters(sizes)).choose(2, NONE, doubt)
    assert sorted(cluster_of(chosen, sizes)) == [2, 3]


def test_candidates_alone_are_chosen_and_never_more_than_there_are() -> None:
    pool, candidates = Pool.of(clusters((20, 20))), np.array([3, 25])
    assert sorted(pool.choose(10, NONE, None, candidates).tolist()) == [3, 25]
    assert len(pool.choose(5, np.arange(40))) == 0


def test_doubt_is_one_minus_the_margin() -> None:
    assert doubts(np.array([[0.5, 0.5, 0.0], [0.7, 0.1, 0.2]])) == pytest.approx([1.0, 0.5])


def test_every_fourth_picture_of_the_page_is_random_and_those_owed_come_first() -> None:
    order, drawn = mixed(np.arange(9), np.arange(100, 200), seed=1, owed=2)
    assert set(order[:2].tolist()) <= set(drawn.tolist()) and len(drawn) == 2 + 9 // (EVERY - 1)
    places = np.flatnonzero(np.isin(order, drawn))
    assert places.tolist() == [0, 1, 5, 9, 13] and len(set(order.tolist())) == len(order)


def test_two_labels_of_each_digit_found_by_suggestion_beat_random_ones() -> None:
    """Half the labels of a random order: measured with more in benchmarks/label.py."""
    X, y = DIGITS.data.astype("f4"), DIGITS.target
    chosen = Pool.of(X).choose(20, NONE)
    random = [len(np.unique(y[np.random.default_rng(seed).permutation(len(y))[:20]])) for seed in range(20)]
    assert len(np.unique(y[chosen])) > np.mean(random)


def test_suggestions_go_on_from_labels_and_say_what_they_take_a_picture_for() -> None:
    pictures = [*PIXELS[:50], PIXELS[0]]  # the last is a copy of the first
    first = suggest(pictures, None, 51, store=False)
    assert ("image/000050",) in [one.alike for one in first] and "image/000050" not in [one.name for one in first]
    known = {one.name: str(DIGITS.target[one.index]) for one in first[:30]}
    then = suggest(pictures, known, 5, store=False)
    assert len(then) == 5 and not {one.name for one in then} & known.keys()
    assert all(one.predicted in known.values() and 0 < (one.confidence or 0) <= 1 for one in then)


def test_labels_that_do_not_fit_the_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="2 entries for 3 pictures"):
        suggest(list(PIXELS[:3]), ["1", None], 1, store=False)
    with pytest.raises(DataError, match="not a picture of"):
        suggest(list(PIXELS[:3]), {"elsewhere.png": "1"}, 1, store=False)


def test_labels_belong_to_what_was_given_whatever_of_it_can_be_read(tmp_path: Path) -> None:
    """A picture that is damaged, one that is missing and one that is given twice have their places too."""
    (tmp_path / "bad.png").write_bytes(b"no picture")
    given = [tmp_path / "bad.png", tmp_path / "missing.png", tmp_path / "0.png"]
    for i in range(20):
        Image.fromarray(PIXELS[i]).save(tmp_path / f"{i}.png")
        given.append(tmp_path / f"{i}.png")
    album = open_album(given, Looks("sprout"), Settings())
    labels = [None if i < 4 else DIGITS.target[i - 3] for i in range(23)]
    found = {album.images.names[i]: label for i, label in label_of_given(labels, album).items()}
    assert found == {(tmp_path / f"{i}.png").as_posix(): str(DIGITS.target[i]) for i in range(1, 20)}
    assert label_of_given(dict(enumerate(labels)), album) == label_of_given(labels, album)
    then = suggest(given, {2: "0"}, 30, store=False)
    assert [Path(one.name) for one in then] == [given[one.index] for one in then] and len(then) == 19
    with pytest.raises(DataError, match=r"0\.png two labels, 1 and 2"):
        label_of_given([None, None, "1", "2", *[None] * 19], album)
    with pytest.raises(DataError, match="22 entries for 23 pictures"):
        suggest(given, labels[1:], 1, store=False)


def test_labels_are_by_name_by_path_or_by_place() -> None:
    pictures = open_album(list(PIXELS[:12]), Looks("sprout"), Settings())
    assert label_of_given(
        {np.int64(3): 1.0, 8: np.float32(4), 4: "x", "image/000005": 2, 6: None, 7: float("nan")}, pictures
    ) == {
        3: "1",
        4: "x",
        5: "2",
        8: "4",
    }
    for key, said in ((12, "12, which is not a position among the 12 pictures"), (-1, "-1"), (1.5, "1.5")):
        with pytest.raises(DataError, match=said):
            label_of_given({key: "1"}, pictures)


def test_two_names_of_one_file_have_one_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(PIXELS[i]).save(tmp_path / "photos" / f"{i}.png")
    looked = open_album(tmp_path / "photos", Looks("sprout"), Settings())
    same = {"0.png": "one", "photos/0.png": "one"}
    assert set(label_of_given(same, looked).values()) == {"one"}
    with pytest.raises(DataError, match="two labels, one and two"):
        label_of_given({**same, "photos/0.png": "two"}, looked)


def test_labels_of_other_pictures_alone_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("photos", "others/one"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(PIXELS[0]).save(tmp_path / place / "0.png")
    (tmp_path / "far.csv").write_text("image,label\nelsewhere/0.png,one\n")
    for labels in ("far.csv", "others"):
        command = ["label", str(tmp_path / "photos"), "--labels", str(tmp_path / labels), "--no-store"]
        for way in (["--suggest", "1", "--out", str(tmp_path / "next.csv")], ["--out", str(tmp_path / "labels.csv")]):
            assert _main([*command, *way]) == 2
            assert f"{labels}: 1 label, but none for a picture of photos." in capsys.readouterr().err
    assert _main(["label", str(tmp_path / "photos"), "--suggest", "1", "--classes", "one,two"]) == 2
    assert "--classes is for the page" in capsys.readouterr().err


def test_the_command_writes_a_table_that_can_be_filled_in_and_taken_up(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(PIXELS[i]).save(tmp_path / "photos" / f"{i}.png")
    out = tmp_path / "next.csv"
    assert _main(["label", str(tmp_path / "photos"), "--suggest", "4", "--out", str(out), "--no-store"]) == 0
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["image", "label", "predicted", "confidence", "group"] and len(rows) == 4
    filled = [f"{row['image']},{DIGITS.target[int(Path(row['image']).stem)]}" for row in rows[:3]]
    out.write_text("\n".join(["image,label", *filled, f"{rows[3]['image']},"]) + "\n")  # one is left blank
    again = tmp_path / "then.csv"
    command = ["label", str(tmp_path / "photos"), "--labels", str(out), "--suggest", "20", "--out", str(again)]
    assert _main([*command, "--no-store"]) == 0
    left = {row["image"] for row in csv.DictReader(again.open())}
    assert left == {f"photos/{i}.png" for i in range(12)} - {row["image"] for row in rows[:3]}


@pytest.mark.parametrize("mark", [",", ";"])
@pytest.mark.parametrize("labels", [False, True])
def test_labels_that_were_typed_are_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: bool, mark: str
) -> None:
    """Nor as a spreadsheet writes them."""
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(PIXELS[i]).save(tmp_path / "photos" / f"{i}.png")
    out = tmp_path / "next.csv"
    command = ["label", str(tmp_path / "photos"), "--suggest", "2", "--out", str(out), "--no-store"]
    assert _main(command) == 0 and _main(command) == 0  # without a label nothing is lost
    out.write_text("image,label\nphotos/1.png,one\nphotos/2.png,\n".replace(",", mark))
    typed = out.read_bytes()
    assert _main([*command, *(["--labels", str(out)] if labels else [])]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"--out {out} holds labels, which would be lost: name another file, and give this one as --labels." in said
    assert out.read_bytes() == typed


@pytest.mark.parametrize(
    "kept",
    [
        "image,Label,notes\nphotos/1.png,one,keep\n",
        "image,species\nphotos/1.png,one\n",
        "image,label\nphotos/1.png,\n",
        "image,label,predicted,confidence,group,notes\nphotos/1.png,,,,1,mine\n",
        "a diary",
    ],
)
def test_a_table_that_is_not_of_suggestions_is_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(PIXELS[i]).save(tmp_path / "photos" / f"{i}.png")
    out = tmp_path / "next.csv"
    out.write_text(kept)
    assert _main(["label", str(tmp_path / "photos"), "--suggest", "2", "--out", str(out), "--no-store"]) == 2
    assert f"--out {out} is not a table of suggestions: name another file." in " ".join(capsys.readouterr().err.split())
    assert out.read_text() == kept


def test_a_table_of_suggestions_is_not_written_over_while_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(PIXELS[i]).save(tmp_path / "photos" / f"{i}.png")
    out = tmp_path / "next.csv"
    command = ["--suggest", "2", "--out", str(out), "--no-store"]
    assert _main(["label", str(tmp_path / "photos"), *command]) == 0
    kept = out.read_text()
    for read in ([str(out)], [str(tmp_path / "photos"), "--labels", str(out)]):
        assert _main(["label", *read, *command]) == 2
        assert "name another" in capsys.readouterr().err and out.read_text() == kept


def test_tables_of_other_columns_are_read_by_the_names_that_are_given(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), []
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'red' if i < 5 else ''}")
    (tmp_path / "scans.csv").write_text("\n".join(["scan,kind", *rows]) + "\n")
    table, out = str(tmp_path / "scans.csv"), tmp_path / "next.csv"
    asked = ["label", table, "--labels", table, "--suggest", "20", "--backbone", "sprout", "--out", str(out)]
    assert _main([*asked, "--no-store"]) == 2
    assert _main([*asked, "--no-store", "--image-column", "scan", "--label-column", "kind"]) == 0
    suggested = {line.split(",")[0] for line in out.read_text().splitlines()[1:]}
    assert suggested == {f"{i}.png" for i in range(5, 12)}


def test_columns_are_of_the_table_that_has_them(tmp_path: Path) -> None:
    """Beside it are a table that `label` wrote, class folders, or a folder; with no table they are refused."""
    rng, rows = np.random.default_rng(0), []
    for i in range(12):
        (tmp_path / "photos" / "red").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "photos" / "red" / f"{i}.png")
        rows.append(f"photos/red/{i}.png,{'red' if i < 5 else ''}")
    (tmp_path / "scans.csv").write_text("\n".join(["scan,kind", *rows]) + "\n")
    (tmp_path / "own.csv").write_text("image,label\nphotos/red/11.png,red\n")
    photos, scans, own = (str(tmp_path / name) for name in ("photos", "scans.csv", "own.csv"))

    def left(data: str, labels: str) -> int | None:
        out = tmp_path / "next.csv"
        asked = ["label", data, "--labels", labels, "--suggest", "20", "--backbone", "sprout", "--out", str(out)]
        code = _main([*asked, "--no-store", "--image-column", "scan", "--label-column", "kind"])
        return len(out.read_text().splitlines()) - 1 if code == 0 else None

    assert [left(photos, scans), left(scans, own), left(scans, photos), left(photos, photos)] == [7, 11, 0, None]
