"""Downloads from a real server on this machine, and archives that try to leave their folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headstart.errors import DataError, Offline
from headstart.images.download import MAX_MEMBERS, Remote, extract, fetch_all, is_complete


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No lines on the console."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """(folder that is served, its address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def test_files_arrive_whole_with_the_marker_last(server: tuple[Path, str], tmp_path: Path) -> None:
    """The second mirror serves when the first has nothing; progress is reported; the marker holds the SHA-256."""
    folder, url = server
    raw = bytes(range(256)) * 9000
    (folder / "a.bin").write_bytes(raw)
    seen: list[tuple[str, int, int]] = []
    remote = Remote("a.bin", [f"{url}/none/a.bin", f"{url}/a.bin"], md5(raw))
    fetch_all([remote], tmp_path / "got", lambda *step: seen.append(step))
    assert (tmp_path / "got" / "a.bin").read_bytes() == raw
    assert seen[-1][1:] == (len(raw), len(raw)) and len(seen) > 1
    marker = json.loads((tmp_path / "got" / "complete.json").read_text())
    assert marker == {"a.bin": hashlib.sha256(raw).hexdigest()}
    assert sorted(p.name for p in (tmp_path / "got").iterdir()) == ["a.bin", "complete.json"]


def test_a_download_goes_by_the_proxies_that_are_set_when_it_begins(
    server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where someone sees it fail, mends `http_proxy` in the notebook, and asks again."""
    folder, url = server
    (folder / "a.bin").write_bytes(b"mine")
    remote = Remote("a.bin", [f"{url}/a.bin"], md5(b"mine"))
    monkeypatch.setattr("urllib.request._opener", None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as wrong:
        wrong.setenv("http_proxy", "http://127.0.0.1:9")
        with pytest.raises(Offline):
            fetch_all([remote], tmp_path / "got")
    fetch_all([remote], tmp_path / "got")
    assert (tmp_path / "got" / "a.bin").read_bytes() == b"mine"


def test_a_changed_file_is_not_kept(server: tuple[Path, str], tmp_path: Path) -> None:
    """Another checksum than published: an error, no file, no marker."""
    folder, url = server
    (folder / "a.bin").write_bytes(b"other")
    with pytest.raises(DataError, match="MD5"):
        fetch_all([Remote("a.bin", [f"{url}/a.bin"], md5(b"mine"))], tmp_path / "got")
    assert list((tmp_path / "got").iterdir()) == [] and not is_complete(tmp_path / "got")


def test_the_next_mirror_is_tried_where_one_gives_another_file(server: tuple[Path, str], tmp_path: Path) -> None:
    """A wrong checksum is a mirror's fault."""
    folder, url = server
    (folder / "old.bin").write_bytes(b"other")
    (folder / "a.bin").write_bytes(b"mine")
    fetch_all([Remote("a.bin", [f"{url}/old.bin", f"{url}/a.bin"], md5(b"mine"))], tmp_path / "got")
    assert (tmp_path / "got" / "a.bin").read_bytes() == b"mine" and is_complete(tmp_path / "got")


def test_a_download_that_fails_half_way_is_not_complete(server: tuple[Path, str], tmp_path: Path) -> None:
    """The first file arrives, the second does not: Offline names it, and there is no marker."""
    folder, url = server
    (folder / "a.bin").write_bytes(b"a")
    with pytest.raises(Offline, match=r"b\.bin"):
        fetch_all([Remote("a.bin", [f"{url}/a.bin"]), Remote("b.bin", [f"{url}/b.bin"])], tmp_path / "got")
    assert not is_complete(tmp_path / "got")


def test_an_archive_is_unpacked_and_removed(server: tuple[Path, str], tmp_path: Path) -> None:
    """A zip that is served becomes its files."""
    folder, url = server
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("top/cat/1.jpg", b"x")
    fetch_all([Remote("a.zip", [f"{url}/a.zip"])], tmp_path / "got")
    assert (tmp_path / "got" / "top" / "cat" / "1.jpg").read_bytes() == b"x"
    assert not (tmp_path / "got" / "a.zip").exists()


def tar_with(path: Path, **member: object) -> Path:
    """A tar.gz with one member."""
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(str(member["name"]))
        info.type = member.get("type", tarfile.REGTYPE)  # type: ignore[assignment]
        info.linkname = str(member.get("linkname", ""))
        raw = bytes(member.get("raw", b"x"))  # type: ignore[arg-type]
        info.size = len(raw) if info.type == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(raw))
    return path


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    """Neither a zip nor a tar writes outside."""
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"x")
    else:
        tar_with(path, name=name)
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="not trusted"):
        extract(path, tmp_path / "in")
    assert not list(tmp_path.rglob("*out.txt"))


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    """Symbolic and hard links and devices in a tar, and symbolic links in a zip."""
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with pytest.raises(DataError, match="not trusted"):
            extract(tar_with(tmp_path / "a.tar.gz", name="link", type=kind, linkname="/etc/passwd"), tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="not trusted"):
        extract(tmp_path / "a.zip", tmp_path / "in")
    assert not (tmp_path / "in" / "link").exists()


def test_an_archive_that_expands_too_far_is_stopped(tmp_path: Path) -> None:
    """One MiB of zeros is over a bound of 1,000 bytes, as zip and as tar."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**20))
    tar_with(tmp_path / "a.tar.gz", name="zeros", raw=bytes(2**20))
    for name in ("a.zip", "a.tar.gz"):
        with pytest.raises(DataError, match="expands"):
            extract(tmp_path / name, tmp_path / "in", most=1000)


def test_garbage_is_no_archive(tmp_path: Path) -> None:
    """One sentence instead of a traceback."""
    (tmp_path / "a.tar.gz").write_bytes(b"garbage")
    with pytest.raises(DataError, match="unpacked"):
        extract(tmp_path / "a.tar.gz", tmp_path / "in")


def test_an_archive_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    """Not even the members before the one that is at fault: encrypted, without a name, or damaged."""
    path, into = tmp_path / "a.zip", tmp_path / "in"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first", b"x")
        archive.writestr("second", b"y")
    raw = path.read_bytes()
    at = raw.rindex(b"PK\x01\x02")
    for name, changed, said in (
        ("encrypted", raw[: at + 8] + b"\x01" + raw[at + 9 :], "encrypted"),
        ("nameless", raw.replace(b"second", b"\0econd"), "no name"),
        ("damaged", raw.replace(b"secondy", b"secondz"), "unpacked"),
    ):
        path.write_bytes(changed)
        with pytest.raises(DataError, match=said):
            extract(path, into)
        assert list(into.iterdir()) == [], name


def test_a_tar_with_a_header_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    """A header is read into memory whole, so none may be large."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * (2 << 20)}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(DataError, match="header of"):
        extract(path, tmp_path / "in")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_one_name_twice_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path, into = tmp_path / f"a.{kind}", tmp_path / "in"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for raw in (b"x", b"y"):
                archive.writestr("cat/1.jpg", raw)
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name in ("cat/1.jpg", "./cat/1.jpg"):
                packed.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match=r"holds '1\.jpg' twice"):
        extract(path, into)
    assert list(into.iterdir()) == []


def test_an_archive_of_too_many_members_is_refused_before_one_is_written(tmp_path: Path) -> None:
    """In less than the minute that it takes to write them."""
    path, into = tmp_path / "a.tar.gz", tmp_path / "in"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(tarfile.TarInfo("a").tobuf() * (MAX_MEMBERS + 1))
    started = time.process_time()
    with pytest.raises(DataError, match="expands"):
        extract(path, into)
    assert time.process_time() - started < 5 and list(into.iterdir()) == []


def test_a_tar_whose_files_are_of_every_length_is_unpacked(tmp_path: Path) -> None:
    lengths = (0, 1, 511, 512, 513, 70_000)
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as packed:
        for length in lengths:
            info = tarfile.TarInfo(f"{'é' * 100}/{length}")
            info.size = length
            packed.addfile(info, io.BytesIO(bytes(length)))
    extract(path, tmp_path / "in")
    found = {int(file.name): file.stat().st_size for file in (tmp_path / "in").rglob("*") if file.is_file()}
    assert found == {length: length for length in lengths}
