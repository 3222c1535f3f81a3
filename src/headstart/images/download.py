"""Downloads that are whole or absent: checked, renamed into place, and a marker written last.

`NAME.part` -> checksum -> `NAME`; once a folder has all its files, `complete.json` (names and SHA-256) is written.
Its existence means the download completed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from headstart.errors import DataError, Offline, first_line
from headstart.progress import Progress
from headstart.shared import full, locked, naming, replacing

if TYPE_CHECKING:
    import zipfile

MARKER = "complete.json"
TIMEOUT_S = 30
MAX_DOWNLOAD = 2 * 2**30
MAX_EXPANDED = 8 * 2**30
MAX_MEMBERS = 200_000
MAX_RATIO = 100
"""How many times its size an archive may expand to: pictures are compressed already."""
_CHUNK = 2**20
_HEADERS = 2**26  # what a tar may have beside the content of its members


@dataclass(frozen=True)
class Remote:
    """A published file: mirrors in order of trial, and its MD5 where the publisher or torchvision states one.

    Without a stated checksum the SHA-256 is recorded at the first download (in `complete.json`).
    """

    name: str
    urls: Sequence[str]
    md5: str | None = None


def is_complete(folder: Path) -> bool:
    """Whether every file of this folder was downloaded."""
    return (folder / MARKER).is_file()


def fetch_all(files: Sequence[Remote], folder: Path, progress: Progress | None = None) -> None:
    """Download the files into `folder`, unpack archives beside them, write the marker last.

    Raises `Offline` when no mirror answers, `DataError` for a checksum that differs or an unsafe archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), naming(folder):
        if is_complete(folder):  # another process has done it while this one waited
            return
        sums = {}
        for remote in files:
            path = folder / remote.name
            sums[remote.name] = _fetch(remote, path, progress)
            if path.name.endswith((".zip", ".tar.gz")):
                try:
                    extract(path, folder)
                finally:
                    path.unlink()
        with replacing(folder / MARKER) as part:
            part.write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _fetch(remote: Remote, path: Path, progress: Progress | None) -> str:
    """One file from the first mirror that gives it as it was published; its SHA-256."""
    from http.client import HTTPException

    reasons, changed = [], False
    for url in remote.urls:
        try:
            with replacing(path) as partial:
                md5, sha256 = _copy(url, partial, progress)
                if remote.md5 is not None and md5 != remote.md5:
                    raise _Changed(f"its MD5 is {md5}, expected {remote.md5}")
            return sha256
        except _Changed as error:
            reasons.append(f"{url} has changed: {error}")
            changed = True
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError
            if isinstance(error, OSError) and full(error):
                raise
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
    if changed:
        raise DataError(f"{remote.name} could not be downloaded ({'; '.join(reasons)}); it was not kept.")
    raise Offline(f"{remote.name} could not be downloaded ({'; '.join(reasons)}).")


class _Changed(Exception):
    """A mirror gave another file than the one that was published."""


def _copy(url: str, target: Path, progress: Progress | None) -> tuple[str, str]:
    """url -> file; (MD5, SHA-256)."""
    import urllib.request

    md5, sha256, done = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "headstart"})
    opener = urllib.request.build_opener()  # `urlopen` would keep the proxies of this process's first call
    with opener.open(request, timeout=TIMEOUT_S) as response, target.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0)
        while piece := response.read(_CHUNK):
            file.write(piece)
            md5.update(piece)
            sha256.update(piece)
            done += len(piece)
            if done > MAX_DOWNLOAD:
                raise ValueError(f"more than {MAX_DOWNLOAD} bytes")
            if progress:
                progress(target.name.lstrip(".").split(".")[0], done, total)
        if total and done < total:
            raise ValueError(f"only {done} of {total} bytes arrived")
    return md5.hexdigest(), sha256.hexdigest()


def extract(archive: Path, folder: Path, most: int = MAX_EXPANDED) -> None:
    """Unpack a zip or tar.gz: regular files only, below `folder` only, at most `most` bytes in all.

    Nothing is left of an archive that is refused. Raises `DataError` for absolute names, '..', links, devices,
    encrypted members, and archives that expand beyond the bound or are damaged.
    """
    import shutil
    import tempfile
    import zipfile

    folder.mkdir(parents=True, exist_ok=True)
    most = min(most, _HEADERS + MAX_RATIO * archive.stat().st_size)
    part = Path(tempfile.mkdtemp(prefix=f".{archive.name}.", dir=folder))
    try:
        unpack = _extract_zip if zipfile.is_zipfile(archive) else _extract_tar
        names = unpack(archive, part, most)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).replace(folder / name)
    except DataError:
        raise
    except Exception as error:  # damaged archives make zipfile, tarfile and zlib raise a dozen kinds
        raise DataError(f"{archive} cannot be unpacked: {first_line(error)}.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract_zip(archive: Path, part: Path, most: int) -> list[PurePosixPath]:
    """The names of the files, unpacked below `part`. All members are checked before the first is read."""
    import zipfile

    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        _bounded(len(members), sum(m.file_size for m in members), most, archive)
        names = [_inside(member.filename, _is_folder(member), archive) for member in members]
        for member in members:
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise DataError(f"{archive}: {member.filename!r} is a link; the archive is not trusted.")
            if member.flag_bits & 1:
                raise DataError(f"{archive}: {member.filename!r} is encrypted; unpack it yourself and give the folder.")
        files = [(member, name) for member, name in zip(members, names, strict=True) if not _is_folder(member)]
        left = most
        for member, name in files:
            with zipped.open(member) as source:
                left -= _write(source, part / name, left, archive)
    return [name for _, name in files]


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith("/")  # its own `is_dir` fails where there is no name


def _extract_tar(archive: Path, part: Path, most: int) -> list[PurePosixPath]:
    """As `_extract_zip`; a tar has no table of its members, so each is checked as it comes."""
    import gzip
    import tarfile

    left, names = most, []
    with gzip.open(archive) as unzipped:
        bounded: Any = _Bounded(cast("IO[bytes]", unzipped), most, archive)
        _count_members(bounded, most, archive)
        bounded.seek(0)
        tar = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115 (what it reads is closed with `unzipped`)
        for number, member in enumerate(tar):
            _bounded(number, member.size, most, archive)
            name = _inside(member.name, member.isdir(), archive)
            if member.isdir():
                continue
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise DataError(f"{archive}: {member.name!r} is a link or device; the archive is not trusted.")
            with source:
                left -= _write(source, part / name, left, archive)
            names.append(name)
    return names


def _count_members(tar: _Bounded, most: int, archive: Path) -> None:
    """Refuse too many members before one is written: header by header, which `tarfile` would take a minute for.

    What is damaged ends the count; `tarfile` says so when it comes there.
    """
    import tarfile

    number = at = 0
    while header := tar.read(tarfile.BLOCKSIZE).rstrip(b"\0"):
        number += 1
        _bounded(number, 0, most, archive)
        try:
            size = tarfile.nti(header[124:136])  # type: ignore[attr-defined]
        except tarfile.TarError:
            return
        if size < 0:
            return
        at += tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))
        tar.seek(at)


class _Bounded:
    """What tarfile reads: in pieces of `_CHUNK` at most, so that no header is large, and not beyond a bound."""

    def __init__(self, file: IO[bytes], most: int, archive: Path) -> None:
        self._file, self._most, self._archive = file, most, archive

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise DataError(f"{self._archive} has a header of {size:,} bytes; the archive is not trusted.")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        _bounded(0, position, self._most + _HEADERS, self._archive)
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


def _bounded(members: int, size: int, most: int, archive: Path) -> None:
    if members > MAX_MEMBERS or size > most:
        raise DataError(f"{archive} expands to more than {most} bytes or {MAX_MEMBERS} files.")


def _inside(name: str, is_folder: bool, archive: Path) -> PurePosixPath:
    """The place of a member below the folder."""
    pieces = PurePosixPath(name.replace("\\", "/"))
    if pieces.is_absolute() or ".." in pieces.parts or ":" in name or "\0" in name:
        raise DataError(f"{archive}: {name!r} would leave the folder; the archive is not trusted.")
    if not pieces.parts and not is_folder:
        raise DataError(f"{archive}: a member has no name; the archive is not trusted.")
    return pieces


def _write(source: IO[bytes], target: Path, most: int, archive: Path) -> int:
    """Copy at most `most` bytes; the number written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # also by a name that is the same to the disk
        raise DataError(f"{archive} holds {target.name!r} twice in one folder; the archive is not trusted.")
    done = 0
    with target.open("wb") as file:
        while piece := source.read(_CHUNK):
            done += len(piece)
            _bounded(0, done, most, archive)
            file.write(piece)
    return done
