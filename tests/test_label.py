"""What a person says is kept: a journal that survives any end, and a table that `fit` reads."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headstart.cli import _main
from headstart.errors import DataError, UserError
from headstart.features.extract import Settings
from headstart.images import load
from headstart.labelling.album import Album, Looks, open_album
from headstart.labelling.app import Desk
from headstart.labelling.insight import Insight, Worker, look
from headstart.labelling.journal import Journal
from headstart.labelling.run import LabelRequest
from headstart.labelling.run import label as serve_labels
from headstart.labelling.session import Conflict, Session
from headstart.labelling.tables import read_labels
from headstart.phrases import plural

PIXELS = (load_digits().images * 15).astype(np.uint8)
NAMES = load_digits().target.astype(str)
N = 80


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    """80 digits, of which the last is a copy of the first."""
    folder = tmp_path_factory.mktemp("album") / "photos"
    folder.mkdir()
    for i in range(N):
        Image.fromarray(PIXELS[i % (N - 1)]).save(folder / f"{i:03d}.png")
    return open_album(folder, Looks("sprout"), Settings())


@pytest.fixture
def out(album: Album) -> Path:
    """The table beside the pictures, new for each test."""
    item = album.images.items[0]
    assert isinstance(item, Path)
    path = item.parent.parent / "labels.csv"
    for each in (path, path.with_name("labels.csv.journal")):
        each.unlink(missing_ok=True)
    return path


def told(session: Session) -> dict[int, str]:
    return dict(session.snapshot().labels)


def test_a_label_is_in_the_journal_and_in_the_table_when_it_is_confirmed(album: Album, out: Path) -> None:
    session = Session(album, out, ["0", "1"])
    session.label([0], "0", 0)
    session.label([1, 2], "1", 0)
    session.label([3], "", 0)  # none of these
    events = [json.loads(line) for line in out.with_name("labels.csv.journal").read_text().splitlines()]
    assert [event["do"] for event in events] == ["class", "class", "label", "label", "label"]
    rows = [(row["image"], row["label"]) for row in csv.DictReader(out.open())]
    assert rows == [("photos/000.png", "0"), ("photos/001.png", "1"), ("photos/002.png", "1")]
    assert load(out).classes == ("0", "1")
    session.close()


def test_what_was_said_is_there_again_and_can_be_renamed_and_taken_back(album: Album, out: Path) -> None:
    session = Session(album, out, ["zero", "one"])
    session.label([0], "zero", 0)
    last = session.label([0], "one", session.seen(0))
    session.rename("zero", "null")
    assert session.undo(last) == [0] and told(session) == {0: "null"}
    session.close()
    again = Session(album, out, ["zero", "two"])  # zero was renamed and does not come back
    assert told(again) == {0: "null"} and again.classes == ["null", "one", "two"]
    again.close()


@pytest.mark.parametrize("end", [b"", b'{"do":"label","pict', b'{"do":"label","pictures":["000.png"]', b"\x00\xff"])
def test_a_line_that_was_cut_off_is_no_line(album: Album, out: Path, end: bytes) -> None:
    session = Session(album, out, ["0"])
    session.label([5], "0", 0)
    session.close()
    with session.journal.path.open("ab") as file:
        file.write(end)
    again = Session(album, out)
    assert told(again) == {5: "0"}
    again.label([6], "0", 0)
    again.close()
    once_more = Session(album, out)
    assert told(once_more) == {5: "0", 6: "0"}
    once_more.close()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.journal"
    path.write_text('{"do":"class","name":"a"}\nnonsense\n{"do":"class","name":"b"}\n')
    with pytest.raises(DataError, match="line 2 is damaged"):
        Journal(path)


def test_a_journal_that_is_too_large_is_refused_and_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.labelling.journal.MOST", 30)
    path = tmp_path / "labels.csv.journal"
    path.write_text('{"do":"class","name":"a"}\n{"do":"class","name":"b"}\n')
    with pytest.raises(DataError, match="too large"):
        Journal(path)
    assert len(path.read_text().splitlines()) == 2


def test_labelling_that_ends_at_once_gives_its_journal_back(album: Album, out: Path) -> None:
    item = album.images.items[0]
    assert isinstance(item, Path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = LabelRequest(str(item.parent), out, looks=Looks("sprout"), port=taken.getsockname()[1])
        with pytest.raises(UserError, match="choose another `port`"):
            serve_labels(asked, Settings())
    Session(album, out).close()


def test_a_doubted_label_is_not_given_a_class_by_a_name_that_it_no_longer_has(album: Album, out: Path) -> None:
    session = Session(album, out, ["one", "two"])
    session.label([0], "one", 0)
    desk = Desk(session, "digits")
    desk.worker.insight = Insight(session.action, ("one", "two"), doubted=((0, "two", 0.9),))
    assert [each["suggested"] for each in desk.state()["doubted"]] == ["two"]
    session.rename("two", "deux")
    assert desk.state()["doubted"] == []
    session.close()


def test_single_letters_in_two_cases_are_two_classes_to_label_too(album: Album, out: Path) -> None:
    session = Session(album, out, ["a", "A"])
    assert session.classes == ["a", "A"]
    session.close()


def test_one_process_writes_a_journal_at_a_time(album: Album, out: Path) -> None:
    session = Session(album, out)
    with pytest.raises(UserError, match="Another `headstart label`"):
        Session(album, out)
    session.close()
    Session(album, out).close()


def test_two_tabs_neither_overwrite_each_other_nor_show_the_same_picture(album: Album, out: Path) -> None:
    session = Session(album, out, ["0", "1"])
    first, second = session.next(5, "tab 1"), session.next(5, "tab 2")
    assert not set(first) & set(second)
    session.label([first[0]], "0", 0)
    with pytest.raises(Conflict):
        session.label([first[0]], "1", 0)  # by a tab that did not see the label
    action = session.label([first[0]], "1", session.seen(first[0]))
    session.label([first[0]], "0", action)
    with pytest.raises(Conflict):
        session.undo(action)
    assert told(session) == {first[0]: "0"}
    session.close()


def test_look_alikes_are_one_and_skipped_pictures_come_last(album: Album, out: Path) -> None:
    session = Session(album, out, ["0"])
    assert album.alike(0) == [0, N - 1]
    assert len({0, N - 1} & set(session.next(N, "a"))) == 1
    session.skip(0)
    assert session.next(N, "a")[-1] == 0 or N - 1 in session.next(N, "a")
    session.close()


def test_a_table_from_elsewhere_is_taken_up_and_one_changed_by_hand_too(album: Album, out: Path) -> None:
    out.write_text("image,label\nphotos/001.png,one\nphotos/002.png,\nelsewhere.png,two\n")
    session = Session(album, out)
    assert told(session) == {1: "one"} and session.classes == ["one"]
    session.label([3], "one", 0)
    session.close()
    out.write_text(out.read_text().replace("photos/003.png,one", "photos/003.png,three"))
    again = Session(album, out)
    assert told(again) == {1: "one", 3: "three"}
    again.close()


def test_class_folders_are_labels_where_the_pictures_lie_in_them(tmp_path: Path) -> None:
    for i in (0, 1, 2):
        (tmp_path / NAMES[i]).mkdir()
        Image.fromarray(PIXELS[i]).save(tmp_path / NAMES[i] / "a.png")
    Image.fromarray(PIXELS[3]).save(tmp_path / "loose.png")
    images = load(tmp_path, labelled=False)
    found = {images.names[i]: label for i, label in read_labels(tmp_path, images).labels.items()}
    assert found == {f"{NAMES[i]}/a.png": NAMES[i] for i in (0, 1, 2)}


@pytest.mark.parametrize("name", ["", "   ", "a" * 201, "a\x00b", "One"])
def test_a_class_needs_a_name_of_its_own(album: Album, out: Path, name: str) -> None:
    session = Session(album, out, ["one"])
    with pytest.raises(UserError, match="class"):
        session.add_class(name)
    with pytest.raises(UserError, match="no class"):
        session.label([0], "two", 0)
    session.close()


def test_the_labels_come_to_an_accuracy_a_forecast_and_an_order(album: Album, out: Path) -> None:
    session = Session(album, out, sorted(set(NAMES)))
    for i in range(60):
        session.label([i], NAMES[i], 0, "random")
    found = look(album, session.snapshot())
    assert found.accuracy is not None and found.accuracy[1] <= found.accuracy[0] <= found.accuracy[2]
    assert found.measured == 60 and found.forecast is not None and found.probabilities is not None
    right = np.array(found.classes)[found.probabilities.argmax(axis=1)][60:-1] == NAMES[60 : N - 1]
    assert right.mean() > 0.8
    left = np.arange(60, N)
    assert set(found.sure(left, 0.5).tolist()) <= set(left.tolist()) and len(found.unsure(left)) == 20
    worker = Worker(session)
    worker.start()
    assert set(session.order) <= set(range(60, N - 1)) and not worker.failure
    worker.stop()
    session.close()


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from headstart.labelling.journal import Journal
journal = Journal(Path(sys.argv[1]))
for i in range(100_000):
    journal.append({"do": "label", "n": i})
    print(i, flush=True)
"""


def test_every_line_that_was_confirmed_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.journal"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(50):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        confirmed = [line for line in process.stdout.read().splitlines() if line]
    last = int(confirmed[-1]) if confirmed else 49
    journal = Journal(path)
    assert [event["n"] for event in journal.events][: last + 1] == list(range(last + 1))
    journal.close()


def test_a_table_about_other_pictures_is_refused_and_stays_as_it_is(album: Album, out: Path) -> None:
    out.write_text("image,label\nelsewhere/000.png,ant\n")
    with pytest.raises(DataError, match=r"1 label, but none for a picture of .*; name another `out`\.$"):
        Session(album, out, ["0"])
    assert out.read_text() == "image,label\nelsewhere/000.png,ant\n"


def test_a_table_and_journal_of_pictures_with_the_same_names_are_refused(album: Album, out: Path) -> None:
    session = Session(album, out, ["0"])
    session.label([0], "0", 0)
    session.close()
    kept = out.read_text().replace("photos/", "elsewhere/")
    out.write_text(kept)
    with pytest.raises(DataError, match="or delete it if the pictures were moved"):
        Session(album, out)
    assert out.read_text() == kept
    out.unlink()
    again = Session(album, out)
    assert told(again) == {0: "0"}
    again.close()


def test_rows_of_pictures_that_are_not_here_stay_in_the_table(album: Album, out: Path) -> None:
    out.write_text("image,label\nphotos/001.png,one\nelsewhere/007.png,one\n")
    for _ in range(2):
        session = Session(album, out)
        assert told(session) == {1: "one"} and "left unchanged" in session.notes[0]
        session.close()
    session = Session(album, out)
    session.rename("one", "eins")
    session.close()
    rows = [(row["image"], row["label"]) for row in csv.DictReader(out.open())]
    assert rows == [("photos/001.png", "eins"), ("elsewhere/007.png", "eins")]


def test_a_table_with_more_than_labels_is_not_written_over(album: Album, out: Path) -> None:
    kept = "image,label,group,photographer\nphotos/001.png,one,a,Ann\nphotos/002.png,,a,Ann\n"
    out.write_text(kept)
    with pytest.raises(DataError, match=r"would not keep \(group, photographer\).*`labels` and another `out`\.$"):
        Session(album, out)
    assert out.read_text() == kept
    session = Session(album, out.with_name("own.csv"))
    session.take(out)
    assert told(session) == {1: "one"} and out.read_text() == kept
    session.close()


def test_labels_of_pictures_without_files_are_found_again_by_their_names(tmp_path: Path) -> None:
    looked = open_album(PIXELS[:20], Looks("sprout"), Settings())
    out = tmp_path / "labels.csv"
    session = Session(looked, out, ["0"])
    session.label([3], "0", 0)
    session.close()
    assert read_labels(out, looked.images).labels == {3: "0"}
    again = Session(looked, out)
    assert told(again) == {3: "0"}
    again.close()


@pytest.mark.parametrize(
    "line",
    [
        '{"do":"label"}',
        '{"do":"label","pictures":5,"label":"a"}',
        '{"do":"label","pictures":[5],"label":"a"}',
        '{"do":"label","pictures":["000.png"],"label":5}',
        '{"do":"label","pictures":["000.png"],"label":"a","by":null}',
        '{"do":"label","pictures":["000.png"],"label":"zebra"}',
        '{"do":"class"}',
        '{"do":"class","name":["a"]}',
        '{"do":"class","name":""}',
        '{"do":"class","name":"a"}',
        '{"do":"class","name":"\\ud800"}',
        '{"do":"rename","old":"a"}',
        '{"do":"rename","old":"a","new":"b"}',
        '{"do":"rename","old":"zebra","new":"c"}',
        '{"do":"undo","action":null}',
        '{"do":"undo","action":1e300}',
        '{"do":["undo"]}',
        "{}",
    ],
)
def test_a_line_that_is_json_but_no_action_is_named_and_nothing_is_written(album: Album, out: Path, line: str) -> None:
    journal, good = out.with_name("labels.csv.journal"), '{"do":"class","name":"a"}\n{"do":"class","name":"b"}\n'
    journal.write_text(good + line + "\n")
    for _ in range(2):  # the journal is given back
        with pytest.raises(DataError, match="line 3 is damaged"):
            Session(album, out)
    assert journal.read_text() == good + line + "\n" and not out.exists()


def reopened(session: Session, *classes: str, labels: Path | None = None) -> Session:
    """The session ended, and begun again by the same command."""
    session.close()
    again = Session(session.album, session.out, classes)
    if labels is not None:
        again.take(labels)
    return again


def test_labels_that_are_brought_again_undo_nothing_that_was_said_since(album: Album, out: Path) -> None:
    brought = out.with_name("brought.csv")
    brought.write_text("image,label\n" + "".join(f"photos/00{i}.png,one\n" for i in range(5)))
    session = Session(album, out, ["one", "two"])
    assert session.take(brought) == 5
    session.label([0], "two", session.seen(0))
    session.label([1], "", session.seen(1))  # none of these
    session.undo(session.label([5], "two", 0))
    brought.write_text(brought.read_text() + "photos/005.png,one\nphotos/006.png,one\n")
    again = reopened(session, "one", "two", labels=brought)
    assert told(again) == {0: "two", 2: "one", 3: "one", 4: "one", 6: "one"}
    assert again.notes == [f"3 labels in {brought} left out: newer labels given here are kept."]
    again.close()


def test_labels_that_are_brought_again_have_the_new_name_of_a_class(album: Album, out: Path) -> None:
    brought = out.with_name("brought.csv")
    brought.write_text("image,label\nphotos/000.png,one\n")
    session = Session(album, out)
    session.take(brought)
    session.rename("one", "uno")
    brought.write_text("image,label\nphotos/000.png,one\nphotos/001.png,one\n")
    again = reopened(session, "one", labels=brought)
    assert told(again) == {0: "uno", 1: "uno"} and again.classes == ["uno"] and again.notes == []
    again.close()


def test_a_journal_of_other_pictures_with_the_same_names_is_refused(album: Album, out: Path, tmp_path: Path) -> None:
    session = Session(album, out, ["0"])
    session.label([0, 1, 2], "0", 0)
    session.close()
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.fromarray(PIXELS[100 + i]).save(tmp_path / "photos" / f"{i:03d}.png")
    others = open_album(tmp_path / "photos", Looks("sprout"), Settings())
    kept = out.with_name("labels.csv.journal").read_bytes()
    out.unlink()
    for journal_alone in (True, False):
        with pytest.raises(
            DataError, match=r"belongs to other pictures than those of photos.*name another `out`"
        ) as said:
            Session(others, out)
        assert ("the table has the labels" in str(said.value)) is not journal_alone
        assert out.with_name("labels.csv.journal").read_bytes() == kept and out.exists() is not journal_alone
        out.write_text("image,label\n")


def test_a_folder_that_was_moved_and_a_picture_that_was_changed_keep_their_labels(
    album: Album, out: Path, tmp_path: Path
) -> None:
    session = Session(album, out, ["0"])
    session.label([0, 1, 2], "0", 0)
    session.close()
    shutil.copytree(out.parent, tmp_path / "moved")
    Image.fromarray(PIXELS[300]).save(tmp_path / "moved" / "photos" / "001.png")
    again = Session(
        open_album(tmp_path / "moved" / "photos", Looks("sprout"), Settings()), tmp_path / "moved" / out.name
    )
    assert told(again) == {0: "0", 1: "0", 2: "0"}
    assert again.notes == ["Pictures that have changed since they were labelled (labels kept): 001.png."]
    again.close()


def test_a_journal_without_what_pictures_it_is_of_goes_on(album: Album, out: Path) -> None:
    lines = ['{"do":"class","name":"a"}', '{"do":"label","pictures":["000.png"],"label":"a","by":"hand"}']
    out.with_name("labels.csv.journal").write_text("\n".join(lines) + "\n")
    session = Session(album, out)
    assert told(session) == {0: "a"}
    session.close()


def test_what_was_changed_by_hand_stays_changed_and_what_was_removed_stays_removed(album: Album, out: Path) -> None:
    session = Session(album, out, ["one", "two"])
    session.label([0, 1, 2, 3], "one", 0)
    session.label([0], "two", session.seen(0))
    session.close()
    changed = out.read_text().replace("photos/000.png,two", "photos/000.png,one")  # as it was before the last action
    out.write_text("".join(line for line in changed.splitlines(True) if "002" not in line and "003" not in line))
    for _ in range(2):
        session = Session(album, out)
        assert told(session) == {0: "one", 1: "one"}
        session.close()
    assert out.read_text().count("photos/") == 2
    out.unlink()
    session = Session(album, out)
    assert told(session) == {0: "one", 1: "one"}  # from the journal
    session.close()


def test_what_was_changed_by_hand_is_counted(album: Album, out: Path) -> None:
    session = Session(album, out, ["one", "two"])
    session.label([0, 1, 2, 3], "one", 0)
    session.close()
    text = out.read_text().replace("photos/000.png,one", "photos/000.png,two").replace("photos/001.png,one,hand\n", "")
    out.write_text(f"{text}photos/007.png,two,hand\n")
    session = Session(album, out)
    assert session.notes == [f"{out} was changed by hand (1 changed, 1 added, 1 removed)."]
    assert told(session) == {0: "two", 2: "one", 3: "one", 7: "two"} and not session.snapshot().random
    session.close()


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_a_table_that_a_killed_process_left_behind_takes_nothing_back(album: Album, out: Path, behind: int) -> None:
    """However many actions it is behind: it may have been open in another program."""
    session, tables = Session(album, out, ["one", "two"]), []
    for i, label in ((0, "one"), (0, "two"), (1, "one"), (2, "two")):
        tables.append(out.read_text())
        session.label([i], label, session.seen(i))
    session.journal.close()  # killed
    out.write_text(tables[-behind])
    again = Session(album, out)
    assert told(again) == {0: "two", 1: "one", 2: "two"}
    assert again.notes == [f"{out} was {plural(behind, 'label')} behind the journal, so it is written again."]
    again.close()


def test_labels_of_pictures_that_are_away_for_a_while_are_not_taken_for_removed(album: Album, out: Path) -> None:
    session = Session(album, out, ["one"])
    session.label([0, 1], "one", 0)
    session.close()
    out.unlink()
    few = replace(
        album, images=album.images.take(np.arange(1, N)), extraction=album.extraction.reordered(np.arange(1, N))
    )
    reopened(Session(few, out)).close()
    session = Session(album, out)
    assert told(session) == {0: "one", 1: "one"}
    session.close()


def test_who_said_so_is_read_back_where_the_journal_is_gone(album: Album, out: Path) -> None:
    session = Session(album, out, ["one"])
    for i, by in enumerate(("hand", "random", "proposed")):
        session.label([i], "one", 0, by)
    session.close()
    kept = f"{out.read_text()}photos/003.png,one,Ann\nphotos/099.png,one,proposed\n"
    out.write_text(kept)
    session.journal.path.unlink()
    again = Session(album, out)
    assert [again.said(i).by for i in range(4)] == ["hand", "random", "proposed", "table"]
    assert again.snapshot().random == {1, 3}
    assert out.read_text() == kept.replace("Ann", "table")
    again.close()


def test_the_table_of_the_pictures_is_no_place_for_their_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        Image.fromarray(PIXELS[i]).save(tmp_path / f"{i}.png")
    table, kept = tmp_path / "list.csv", "image,label\n0.png,one\n1.png,\n2.png,\n"
    table.write_text(kept)
    assert _main(["label", str(table), "--out", str(table), "--no-store"]) == 2
    assert f"--out {table} is an input and would be replaced" in " ".join(capsys.readouterr().err.split())
    assert table.read_text() == kept and not table.with_name("list.csv.journal").exists()


def test_labels_in_the_table_of_the_pictures_are_spoken_of_until_they_are_taken_up(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(PIXELS[i]).save(tmp_path / f"{i}.png")
    table = tmp_path / "list.csv"
    table.write_text("image,label\n0.png,one\n1.png,two\n2.png,\n")
    session = Session(open_album(table, Looks("sprout"), Settings()), tmp_path / "labels.csv")
    session.mention(table)
    assert session.notes == [f"{table} has 2 labels that are not used yet; add `--labels {table}` to use them."]
    session.take(table)
    session.notes.clear()
    session.mention(table)
    session.mention("digits")
    assert session.notes == []
    session.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"a\xe9.png", "not UTF-8, so a table cannot hold it"),
        (b"a.png ", "ends in a space, so a table cannot hold it"),
        (b"~/a.png", "a path in a home folder"),
    ],
)
def test_names_that_no_table_holds_are_refused_before_the_first_label(tmp_path: Path, name: bytes, why: str) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(PIXELS[0]).save(tmp_path / "photos" / "0.png")
    file = tmp_path / "photos" / os.fsdecode(name)
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as written:
        Image.fromarray(PIXELS[1]).save(written, "PNG")
    looked = open_album([tmp_path / "photos" / "0.png", file], Looks("sprout"), Settings())
    with pytest.raises(DataError, match=why):
        Session(looked, tmp_path / "photos" / "labels.csv")
    assert not list((tmp_path / "photos").glob("labels*"))


def test_classes_are_told_apart_as_they_are_kept(album: Album, out: Path) -> None:
    for _ in range(2):
        session = Session(album, out, ["zero", "big  ant"])
        assert session.classes == ["zero", "big ant"]
        session.close()


@pytest.mark.parametrize("classes", [["ants", "Ants"], ["ants", "a\x00"], ["ants", ""], ["ants", "ants "]])
def test_classes_that_cannot_be_leave_nothing_behind(album: Album, out: Path, classes: list[str]) -> None:
    with pytest.raises(UserError, match="class"):
        Session(album, out, classes)
    assert not out.exists() and not out.with_name("labels.csv.journal").exists()


def test_a_class_may_be_renamed_in_case_alone(album: Album, out: Path) -> None:
    session = Session(album, out, ["one", "two"])
    session.label([0], "one", 0)
    session.rename("one", "One")
    for other in ("One", "TWO", "Two"):
        with pytest.raises(UserError, match="already"):
            session.rename("One", other)
    again = reopened(session, "one", "two")
    assert told(again) == {0: "One"} and again.classes == ["One", "two"]
    again.close()


def test_an_action_that_there_is_not_is_not_another_tabs(album: Album, out: Path) -> None:
    session = Session(album, out, ["one"])
    action = session.label([0], "one", 0)
    for each in (0, 1, 99, -1):
        with pytest.raises(UserError, match="no such action"):
            session.undo(each)
    session.undo(action)
    with pytest.raises(UserError, match="already undone"):
        session.undo(action)
    session.close()


@pytest.mark.parametrize("bad", [([1], "nine", 0), ([2], "one", 0), ([0], "one", 0), ([], "one", 0)])
def test_of_proposals_that_are_confirmed_together_all_are_kept_or_none(
    album: Album, out: Path, bad: tuple[list[int], str, int]
) -> None:
    session = Session(album, out, ["one"])
    session.label([2], "one", 0)
    with pytest.raises((UserError, Conflict)):
        session.confirm([([0], "one", 0), bad])
    assert told(session) == {2: "one"}
    session.confirm([([0], "one", 0), ([1], "one", 0)])
    assert told(session) == {0: "one", 1: "one", 2: "one"} and session.said(0).by == "proposed"
    session.close()
