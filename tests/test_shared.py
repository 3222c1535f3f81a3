"""What several processes write is whole: one makes it while others wait, and a disk that is full is named."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from headstart import outputs, shared
from headstart.backbones import resolve
from headstart.engines import ON_CPU
from headstart.errors import UserError
from headstart.preprocess import Preprocess

IN_CHILD = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from headstart import cli
from headstart.cli import commands
def fails(*arguments, **options):
    from headstart import outputs, records
    records.write_text(Path("big.txt"), "x" * 100_000)
commands.app = fails
sys.exit(cli._main([]))
"""


def test_a_file_is_replaced_whole_and_a_part_that_failed_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    with shared.replacing(file) as part:
        part.write_text("one")
    with pytest.raises(ZeroDivisionError), shared.replacing(file) as part:
        part.write_text("two")
        raise ZeroDivisionError
    assert file.read_text() == "one" and [p.name for p in file.parent.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with shared.replacing_folder(tmp_path / "f") as part:
            (part / text).write_text(text)
    with pytest.raises(ZeroDivisionError), shared.replacing_folder(tmp_path / "f"):
        raise ZeroDivisionError
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["two"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f"]


def test_a_folder_whose_new_one_cannot_be_moved_into_its_place_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "kept").touch()
    move = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise OSError(errno.EIO, "Input/output error")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="Input/output"), shared.replacing_folder(tmp_path / "f") as part:
        (part / "new").touch()
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["f", "f/kept"]


def test_a_folder_that_a_killed_process_had_moved_aside_is_put_back_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / ".f.99999.1.0.part").mkdir()
    (tmp_path / ".f.99999.1.0.part" / "kept").touch()
    (tmp_path / ".f.99999.1.part").mkdir()
    with shared.locked(tmp_path / "f"):
        pass
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["f", "f/kept"]
    (tmp_path / ".f.99999.1.0.part").mkdir()
    with shared.locked(tmp_path / "f"):
        pass
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["f", "f/kept"]


def test_a_lock_is_held_by_one_at_a_time_and_clears_what_dead_ones_left(tmp_path: Path) -> None:
    (tmp_path / ".made.99999.1.part").write_text("half")
    (tmp_path / ".made.more.99999.1.part").write_text("another file's")
    with shared.locked(tmp_path / "made") as first, shared.locked(tmp_path / "made", wait_s=0.05) as second:
        assert first and not second
    assert sorted(p.name for p in tmp_path.iterdir()) == [".made.more.99999.1.part"]
    with shared.locked(tmp_path / "made") as third:
        assert third


def test_eight_processes_that_want_one_lock_hold_it_one_after_another(tmp_path: Path) -> None:
    """Its file goes with it, which must not let two hold it: each adds one to a number that it has read before."""
    (tmp_path / "number").write_text("0")
    code = """
import sys, time
from pathlib import Path
from headstart import shared
number = Path(sys.argv[1])
for _ in range(25):
    with shared.locked(number) as held:
        assert held
        read = int(number.read_text())
        time.sleep(0.0005)
        number.write_text(str(read + 1))
"""
    crew = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "number")]) for _ in range(8)]
    assert [process.wait() for process in crew] == [0] * 8
    assert (tmp_path / "number").read_text() == "200" and [p.name for p in tmp_path.iterdir()] == ["number"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        OSError(errno.ENOSPC, "No space left on device", "/what/was/read", None, None),
    ],
)
def test_whoever_reports_a_full_disk_the_error_names_what_was_written(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError) as told, shared.replacing(tmp_path / "out.csv"):
        raise error
    assert told.value.errno == errno.ENOSPC and told.value.filename == str(tmp_path / "out.csv")
    assert "is full" in outputs.refusal(told.value) and "MB free" in outputs.refusal(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_command_whose_file_grows_beyond_a_limit_says_so_in_a_line_and_leaves_no_part(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_CHILD]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and done.stderr.startswith("Error: The file big.txt would be larger than")
    assert len(done.stderr.splitlines()) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["/proc/here", "a file/here"])
def test_an_out_that_cannot_be_written_is_found_before_the_work_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a file").write_text("in the way")
    for check in (outputs.claim, lambda folder: outputs.check_file(folder / "x.csv", (".csv",))):
        with pytest.raises(UserError, match="cannot be written"):
            check(Path(out))
    outputs.claim(tmp_path / "new" / "deep")
    assert [p.name for p in tmp_path.iterdir()] == ["a file"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path / "models"


PICTURES = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)


def answers() -> bytes:
    backbone = resolve("sprout")
    return ON_CPU.open(backbone, "pooled", Preprocess(24, 24)).run(PICTURES).tobytes()


def test_a_compiled_network_is_one_whole_file_and_a_damaged_one_is_made_again(models: Path) -> None:
    first = answers()
    (file,) = models.glob("*.compiled")
    whole = file.read_bytes()
    assert answers() == first and file.read_bytes() == whole
    for damaged in (whole[:-9], b"", whole[:5000] + b"?" + whole[5001:]):
        file.write_bytes(damaged)
        assert answers() == first and len(made := file.read_bytes()) > len(whole) / 2 and made != damaged
        assert answers() == first and file.read_bytes() == made
    assert not list(models.glob("*.part"))


def test_threads_that_open_a_network_at_once_get_the_same_rows_and_one_compiles_it(models: Path) -> None:
    found: list[bytes] = []
    crew = [threading.Thread(target=lambda: found.append(answers())) for _ in range(3)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert len(found) == 3 and len(set(found)) == 1 and len(list(models.glob("*.compiled"))) == 1


def test_without_a_disk_a_network_is_compiled_and_runs(models: Path) -> None:
    models.parent.joinpath("models").write_text("in the way")
    assert len(answers()) > 0
