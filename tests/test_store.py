"""The feature store keeps its promises when processes die, disks fail and bits flip."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmdb
import numpy as np
import pytest

from headstart import records
from headstart.cli import _main
from headstart.errors import UserError
from headstart.features import room, soundness
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.features.spaces import clear, list_spaces, verify
from headstart.features.store import FeatureStore, space_id
from headstart.images import from_arrays
from headstart.preprocess import Preprocess

SPACE = {"backbone": "test", "layer": "pooled"}
DIM = 300


def key_of(i: int) -> bytes:
    return int(i).to_bytes(16, "big")


def row_of(i: int) -> np.ndarray:
    return np.random.default_rng(i).normal(size=DIM).astype(np.float32)


def fill(root: Path, n: int, space: dict = SPACE) -> Path:
    with FeatureStore.open(root, space) as store:
        for i in range(n):
            store.put(key_of(i), row_of(i))
    return root / space_id(space)


def missing(root: Path, n: int, space: dict = SPACE) -> tuple[int, FeatureStore]:
    """How many of n rows read as missing; every row that is there must be the right one."""
    absent = 0
    with FeatureStore.open(root, space) as store:
        for i in range(n):
            row = store.get(key_of(i))
            absent += row is None
            if row is not None:
                assert row.tobytes() == row_of(i).tobytes()
    return absent, store


def test_what_is_put_is_there_after_reopening_to_the_last_bit(tmp_path: Path) -> None:
    fill(tmp_path, 700)
    absent, store = missing(tmp_path, 700)
    assert (absent, store.corrupt, store.problem) == (0, 0, None)


def test_any_change_of_the_space_is_another_space() -> None:
    ids = {space_id(SPACE), space_id({**SPACE, "layer": "last_conv"}), space_id({**SPACE, "engine": "torch"})}
    assert len(ids) == 3
    assert space_id({"a": 1, "b": 2}) == space_id({"b": 2, "a": 1})


def test_a_flipped_byte_in_a_row_reads_as_missing_and_is_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path, 50)
    data = bytearray((folder / "data.mdb").read_bytes())
    where = data.find(row_of(17).tobytes())
    data[where + 100] ^= 1
    (folder / "data.mdb").write_bytes(data)
    absent, store = missing(tmp_path, 50)
    assert (absent, store.corrupt) == (1, 1)


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_anywhere_never_gives_a_wrong_row_nor_ends_the_process(tmp_path: Path, seed: int) -> None:
    folder = fill(tmp_path, 60)
    rng = np.random.default_rng(seed)
    data = np.frombuffer((folder / "data.mdb").read_bytes(), dtype=np.uint8).copy()
    spots = rng.integers(0, len(data), size=40)
    data[spots] ^= rng.integers(1, 256, size=40).astype(np.uint8)
    (folder / "data.mdb").write_bytes(data.tobytes())
    absent, _ = missing(tmp_path, 60)  # asserts inside that what is there is right
    assert 0 <= absent <= 60
    fill(tmp_path, 60)
    assert missing(tmp_path, 60)[0] == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_noticed_and_the_space_begins_anew(tmp_path: Path, share: float) -> None:
    folder = fill(tmp_path, 60)
    size = (folder / "data.mdb").stat().st_size
    os.truncate(folder / "data.mdb", int(size * share))
    absent, store = missing(tmp_path, 60)
    assert absent == 60
    if share > 0:
        assert store.problem is not None and "damaged" in store.problem
    fill(tmp_path, 60)
    assert missing(tmp_path, 60)[0] == 0


def test_a_file_swapped_in_from_another_space_gives_no_row(tmp_path: Path) -> None:
    other = {**SPACE, "layer": "other"}
    folder, foreign = fill(tmp_path, 20), fill(tmp_path, 20, other)
    (folder / "data.mdb").write_bytes((foreign / "data.mdb").read_bytes())
    absent, store = missing(tmp_path, 20)
    assert (absent, store.corrupt) == (20, 20)


def test_a_folder_that_cannot_be_made_costs_the_store_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FeatureStore.open(tmp_path / "file" / "features", SPACE)
    store.put(key_of(1), row_of(1))
    assert store.get(key_of(1)) is None
    assert store.problem is not None and "not stored" in store.problem
    store.close()


def test_a_full_disk_ends_storing_with_one_sentence_and_keeps_what_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.features.store.MAP_SIZES", (1 << 17,))  # LMDB's own "full": 128 KiB
    with FeatureStore.open(tmp_path, SPACE) as store:
        for i in range(20):
            store.put(key_of(i), row_of(i))
        store._commit([])
    with FeatureStore.open(tmp_path, SPACE) as store:
        for i in range(20, 2000):
            store.put(key_of(i), row_of(i))
    assert store.problem is not None and "no longer stored" in store.problem
    assert missing(tmp_path, 20)[0] == 0


WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
import headstart.features.store as s
from test_store import SPACE, key_of, row_of
s.COMMIT_ROWS = 7
with s.FeatureStore.open(Path(sys.argv[1]), SPACE) as store:
    print("open", flush=True)
    for i in range(int(sys.argv[2])):
        store.put(key_of(i), row_of(i))
"""


@pytest.mark.parametrize(
    "delay",
    [
        0.02,
        pytest.param(0.15, marks=pytest.mark.slow),
        *(pytest.param(x, marks=pytest.mark.exhaustive) for x in (0.005, 0.06)),
    ],
)
def test_a_process_killed_while_writing_leaves_only_right_rows(tmp_path: Path, delay: float) -> None:
    arguments = [sys.executable, "-c", WRITER, str(tmp_path), "20000", str(Path(__file__).parent)]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"open\n"
    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    _, store = missing(tmp_path, 300)
    assert store.corrupt == 0
    fill(tmp_path, 300)
    assert missing(tmp_path, 300)[0] == 0


def _rounds(root: str, rounds: int, seed: int) -> int:
    wrong = 0
    order = np.random.default_rng(seed)
    for _ in range(rounds):
        with FeatureStore.open(Path(root), SPACE) as store:
            for i in order.integers(0, 200, size=20):
                row = store.get(key_of(i))
                if row is None:
                    store.put(key_of(i), row_of(i))
                else:
                    wrong += row.tobytes() != row_of(i).tobytes()
    return wrong


@pytest.mark.slow
def test_four_processes_share_a_store_for_a_hundred_rounds_with_equal_results(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        results = [pool.apply_async(_rounds, (str(tmp_path), 100, seed)) for seed in range(4)]
        assert [r.get(timeout=300) for r in results] == [0, 0, 0, 0]
    assert [bad for _, bad in verify(tmp_path)] == [0]


def test_two_users_in_one_process_share_the_environment(tmp_path: Path) -> None:
    with FeatureStore.open(tmp_path, SPACE) as first:
        with FeatureStore.open(tmp_path, SPACE) as second:
            second.put(key_of(1), row_of(1))
        row = first.get(key_of(1))
        assert row is not None and row.tobytes() == row_of(1).tobytes()


def test_spaces_are_listed_checked_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path, 30)
    fill(tmp_path, 10, {**SPACE, "layer": "x"})
    assert {(s.space["layer"], s.rows) for s in list_spaces(tmp_path)} == {("pooled", 30), ("x", 10)}
    data = bytearray((folder / "data.mdb").read_bytes())
    data[data.find(row_of(3).tobytes())] ^= 255
    (folder / "data.mdb").write_bytes(data)
    assert sorted(bad for _, bad in verify(tmp_path)) == [0, 1]
    monkeypatch.setattr("headstart.features.spaces.holds", lambda *row: lmdb.open(str(tmp_path / "gone"), create=False))
    assert sorted(bad for _, bad in verify(tmp_path)) == [-1, -1]
    assert clear(tmp_path, [folder.name[:8]]) > 0
    assert [s.space["layer"] for s in list_spaces(tmp_path)] == ["x"]
    clear(tmp_path)
    assert list(list_spaces(tmp_path)) == []


def test_no_space_is_deleted_by_an_id_that_is_empty_or_that_several_begin_with(tmp_path: Path) -> None:
    first = fill(tmp_path, 3).name
    for other in range(1, 40):  # two of seventeen ids begin alike
        if fill(tmp_path, 1, {**SPACE, "layer": str(other)}).name[0] == first[0]:
            break
    before = {info.id for info in list_spaces(tmp_path)}
    for wanted, said in (("", "Unknown space"), (first[0], f"several spaces, .*{first[:8]}"), ("xyz", "Unknown space")):
        with pytest.raises(UserError, match=said):
            clear(tmp_path, [first, wanted])
    assert {info.id for info in list_spaces(tmp_path)} == before


def test_reading_does_not_need_the_right_to_write(tmp_path: Path) -> None:
    folder = fill(tmp_path, 10)
    env = lmdb.open(str(folder), readonly=True, lock=False)
    assert env.stat()["entries"] == 10
    env.close()


def test_damage_that_keeps_the_size_and_the_time_of_the_file_is_found_before_it_is_mapped(tmp_path: Path) -> None:
    folder = fill(tmp_path, 400)
    before = (folder / "data.mdb").stat()
    with (folder / "data.mdb").open("r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(range(256)) * (before.st_size // 256 - 32))
    os.utime(folder / "data.mdb", ns=(before.st_atime_ns, before.st_mtime_ns))
    absent, store = missing(tmp_path, 400)
    assert absent == 400 and store.problem is not None and "set aside" in store.problem


def test_a_damaged_page_in_a_file_that_was_closed_in_order_is_called_damaged_and_the_next_run_begins_anew(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path, 400)
    data = bytearray((folder / "data.mdb").read_bytes())
    for page in range(2 * 4096, len(data), 4096):  # every page but the headers says that it is of no known kind
        data[page + 10 : page + 12] = b"\x00\x00"
    (folder / "data.mdb").write_bytes(data)
    records.write_json(folder / "sound.json", soundness.mark(folder / "data.mdb"))  # as if the disk had decayed
    absent, store = missing(tmp_path, 400)
    assert absent == 400 and store.problem is not None and "damaged" in store.problem and "no more" not in store.problem
    fill(tmp_path, 400)
    assert missing(tmp_path, 400)[0] == 0


def test_over_the_limit_the_least_recently_used_spaces_go_and_those_in_use_stay(tmp_path: Path) -> None:
    folders = [fill(tmp_path, 30, {**SPACE, "layer": str(i)}) for i in range(3)]
    for age, folder in zip((10, 30, 20), folders, strict=True):
        for path in folder.iterdir():
            os.utime(path, (time.time() - age, time.time() - age))
    assert room.keep_to_limit(tmp_path) == [], "there is no limit yet"
    room.set_limit(tmp_path, 2 * room.size_of(folders[0]))
    assert [name for name, _ in room.keep_to_limit(tmp_path)] == [folders[1].name]
    room.set_limit(tmp_path, 0)
    with FeatureStore.open(tmp_path, {**SPACE, "layer": "2"}) as store:
        assert [name for name, _ in room.keep_to_limit(tmp_path)] == [folders[0].name]
        assert store.get(key_of(1)) is not None
    assert room.keep_to_limit(tmp_path, spared={folders[2].name}) == []
    assert [name for name, _ in room.keep_to_limit(tmp_path)] == [folders[2].name]
    room.set_limit(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_or_a_space_that_goes_while_the_store_is_listed_is_passed_over(tmp_path: Path) -> None:
    folder = fill(tmp_path, 5)
    size = room.size_of(folder)
    (folder / "going").symlink_to(tmp_path / "gone")  # listed, but no longer there when its size is asked for
    assert [(space.rows, space.bytes) for space in list_spaces(tmp_path)] == [(5, size)]
    assert (room.size_of(tmp_path / "gone"), room.last_used(tmp_path / "gone")) == (0, 0.0)


def test_a_space_that_is_only_being_made_is_not_taken_for_one_long_unused(tmp_path: Path) -> None:
    begun = time.time()
    (tmp_path / "new").mkdir()
    assert room.last_used(tmp_path / "new") == pytest.approx(begun, abs=5)


def test_an_extraction_keeps_to_the_limit_and_keeps_its_own_rows(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    room.set_limit(tmp_path, 1)
    pictures = from_arrays(np.zeros((2, 8, 8, 3), np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None, None])
    extract(pictures, FeatureSource(Preprocess(8, 8)), Settings(tmp_path))
    assert [s.space["backbone"] for s in list_spaces(tmp_path)] == ["pixels"]


def test_compaction_frees_room_and_changes_no_row_and_no_time_of_use(tmp_path: Path) -> None:
    folder = fill(tmp_path, 60)
    env = lmdb.open(str(folder), map_size=1 << 30, lib_version=0)
    with env.begin(write=True) as txn:
        for i in range(20, 60):
            txn.delete(key_of(i))
    env.close()
    (folder / "data.mdb.damaged").write_bytes(b"x" * 1000)
    used = time.time() - 3600
    for path in folder.iterdir():
        os.utime(path, (used, used))
    size = room.size_of(folder)
    freed = room.compact(tmp_path)
    assert freed > 40 * 4 * DIM and room.size_of(folder) == size - freed
    assert abs(room.last_used(folder) - used) < 1
    assert soundness.is_sound(folder) and not list(folder.glob("*damaged*"))
    assert missing(tmp_path, 20)[0] == 0
    assert room.compact(tmp_path) == 0
    with FeatureStore.open(tmp_path, SPACE):
        assert room.compact(tmp_path) == 0, "what is in use stays as it is"


@pytest.mark.parametrize(("text", "count"), [("20G", 20e9), ("1.5 tb", 1.5e12), ("500M", 5e8), ("1000", 1000)])
def test_sizes_are_read_as_people_write_them(text: str, count: float) -> None:
    assert room.bytes_in(text) == count


def test_what_is_no_size_is_refused_with_an_example() -> None:
    with pytest.raises(UserError, match="20G"):
        room.bytes_in("20 gigs")


@pytest.mark.parametrize(
    "said", ["[]", "5", "[" * 5000, '{"preprocess": null, "view": 3}', '{"preprocess": {"size": 1}}']
)
def test_a_space_that_says_nonsense_of_itself_is_listed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    space = tmp_path / "features" / ("0" * 32)
    space.mkdir(parents=True)
    (space / "space.json").write_text(said)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert _main(["cache", "info"]) == 0
    assert "1 spaces" in capsys.readouterr().out
