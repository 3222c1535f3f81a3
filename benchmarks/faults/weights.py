"""Mutated files from strangers: Keras's `.h5`, `.npz`, ONNX with external data, and archives of downloads.

    python benchmarks/faults/weights.py [--scale 1.0] [--only h5]

20,000 mutations of each at scale 1. A file is used, or refused by one sentence in under 2 s of processor time with less
than 256 MB more than before; no code runs, no process starts but those that read HDF5 and ONNX, nothing is written
outside the folder that is written to, and what is used of Keras's files is finite. The readers run in processes of
their own, so that one that hangs or crashes is counted and the rest goes on. `.h5` and ONNX take most of the time, for
each new file is read in a process of its own first.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FULL = 20_000
SECONDS = 2.0
MEGABYTES = 256.0
PATIENCE = 30.0
"""Seconds after which a reader that does not answer has hung."""
Rng = np.random.Generator
EXTREMES = [b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8, b"\x00" * 8]
NAMES = [
    "../out",
    "/out",
    "",
    ".",
    "..",
    "a/../../out",
    "C:\\out",
    "\x00",
    "a" * 300,
    "out\n",
    "\x1b[31m",
    "..\\out",
    "a/b",
]


def rows(scale: float) -> Iterator[tuple[str, int, int, str]]:
    """(what was tried, how many, how many failed, note) for each kind of file."""
    for kind in KINDS:
        yield tried(kind, max(1, round(FULL * scale)))


def tried(kind: str, n: int) -> tuple[str, int, int, str]:
    """All mutations of one kind."""
    failed: list[str] = []
    used, slowest, most, start = 0, 0.0, 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(kind, Path(folder))
        for number in range(n):
            found = worker.answer(number)
            used += found["what"] == "used"
            slowest, most = max(slowest, found["seconds"]), max(most, found["megabytes"])
            if found["wrong"]:
                failed.append(f"{number}: {found['wrong']}")
        worker.end()
    note = (
        f"{used:,} used, slowest {slowest:.1f} s, most memory {most:.0f} MB, {time.perf_counter() - start:.0f} s in all"
    )
    return f"mutations of {kind}", n, len(failed), "; ".join([note, *failed[:3]])


class Worker:
    """A process that mutates and reads files by number."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.arguments = [sys.executable, "-P", str(Path(__file__).resolve()), "--worker", kind, str(folder)]
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["HEADSTART_CACHE"] = str(Path(self.arguments[-1]) / "cache")
        self.process = subprocess.Popen(
            self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._line(120)

    def answer(self, number: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n".encode())
        self.process.stdin.flush()
        line = self._line(PATIENCE)
        if line:
            return dict(json.loads(line))
        self.process.kill()
        code = self.process.wait()
        self.start()
        wrong = f"the reader died or hung (code {code})"
        return {"what": "died", "seconds": 0.0, "megabytes": 0.0, "wrong": wrong}

    def _line(self, seconds: float) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else b""

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def work(kind: str, folder: Path) -> None:
    """A worker's life: a number in, a line of JSON out."""
    from headstart.errors import HeadstartError

    make, read = KINDS[kind]
    folder = folder.resolve()
    for number in (-1, -2, -3, -4):  # all that is imported when it is needed: sound files, and damaged ones
        with contextlib.suppress(HeadstartError):
            read(make(folder, np.random.default_rng(5 + number), mutate=number < -2), folder)
        empty(folder)
    watch = Watch(folder)
    sys.addaudithook(watch)
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line)
        file = make(folder, np.random.default_rng([number, len(kind)]), mutate=True)
        before, wrong, what = memory(reset=True), "", "used"
        watch.seen.clear()
        watch.on = True
        start = worked()
        try:
            read(file, folder)
        except HeadstartError as error:
            what = "refused"
            wrong = "" if str(error).isprintable() and len(str(error)) < 2_000 else f"not one sentence: {error!r}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:200]}"
        watch.on = False
        seconds, grown = worked() - start, max(memory() - before, children())
        if watch.seen:
            wrong = watch.seen[0]
        elif seconds > SECONDS and what == "refused":
            wrong = wrong or f"{seconds:.1f} s"
        elif grown > MEGABYTES:
            wrong = wrong or f"{grown:.0f} MB"
        print(json.dumps({"what": what, "seconds": seconds, "megabytes": grown, "wrong": wrong}), flush=True)
        empty(folder)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


class Watch:
    """An audit hook that notes code, processes, sockets, and writes outside the folder."""

    CODE = ("exec", "pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect",
            "ctypes.dlopen", "marshal.loads", "marshal.load")  # fmt: skip
    WRITES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.seen = folder, False, list[str]()
        self.temporary = str(Path(tempfile.gettempdir()).resolve())

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if (event in self.CODE and not self._own(event, arguments)) or (
            event == "subprocess.Popen" and not any(reader in str(arguments[1]) for reader in ("hdf5.py", "onnx_file"))
        ):
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif (event == "open" and self._writes(arguments)) or event in self.WRITES:
            at_folder = event in ("os.rmdir", "os.remove") and arguments[-1] >= 0  # rmtree, by the folder's number
            for path in arguments[:2] if event in ("os.rename", "os.link") else arguments[:1]:
                if isinstance(path, str | os.PathLike) and not at_folder and not self._within(os.fspath(path)):
                    self.seen.append(f"{event} of {path!r}"[:200])

    @staticmethod
    def _own(event: str, arguments: tuple[Any, ...]) -> bool:
        """A module of ours that is imported late is no code of a stranger's."""
        name = getattr(arguments[0], "co_filename", "") if event == "exec" else ""
        return name.startswith("<frozen") or Path(name).suffix == ".py" or event == "marshal.loads"

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        mode, flags = arguments[1], arguments[2]
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        return bool(set(mode or "") & set("wax+")) or (isinstance(flags, int) and bool(flags & writing))

    def _within(self, path: str) -> bool:
        full = os.path.abspath(path)  # noqa: PTH100 (Path.resolve would open)
        unnamed = full.rpartition(os.sep)[0] == self.temporary or full == self.temporary  # a file without a name
        return full == str(self.folder) or full.startswith(str(self.folder) + os.sep) or unnamed or full == os.devnull


def memory(reset: bool = False) -> float:
    """Megabytes of this process: now, after `reset`, or the most since then."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


def worked() -> float:
    """Seconds of processor time of this process and of those it started, so that a busy machine counts for nothing."""
    return sum(os.times()[:4])


def children() -> float:
    """Megabytes of the largest process that was started, its interpreter included."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3


def mutated(raw: bytes, rng: Rng) -> bytes:
    """Some bytes changed, removed, repeated or added, mostly near the beginning, where headers are."""
    data = bytearray(raw)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 8]))):
        at = int(rng.integers(len(data) or 1) if rng.random() < 0.6 else rng.integers(min(len(data), 512) or 1))
        length = int(rng.choice([1, 2, 4, 8, 64]))
        match int(rng.integers(8)):
            case 0 if data:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                value = EXTREMES[int(rng.integers(len(EXTREMES)))]
                data[at : at + len(value)] = value
            case 2:
                data[at : at + length] = rng.bytes(length)
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at:at] = rng.bytes(length)
            case 6:
                other = int(rng.integers(len(data) or 1))
                data[at : at + length] = data[other : other + length]
            case 7 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def zipped(members: dict[str, bytes], rng: Rng | None = None) -> bytes:
    """A zip archive; with a generator, of any compression, and a little odd."""
    out = io.BytesIO()
    method = int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) if rng else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, raw in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if rng is not None and rng.random() < 0.05:
                info.external_attr = 0o120777 << 16
            archive.writestr(info, raw)
    return out.getvalue()


def make_h5(folder: Path, rng: Rng, mutate: bool) -> Path:
    """A file in one of Keras's three layouts."""
    import h5py

    ending = str(rng.choice([".h5", ".weights.h5", ".keras"]))
    raw = io.BytesIO()
    with h5py.File(raw, "w", libver=str(rng.choice(["earliest", "latest"]))) as file:
        options = {"chunks": True, "compression": "gzip"} if rng.random() < 0.5 else {}
        for number, shape in enumerate([(3, 3, 3, 4), (4,), (16, 8)]):
            name = f"conv2d_{number}" if number else "conv2d"
            values = np.full(shape, 0.5, np.float32)
            if ending == ".h5":
                file.create_dataset(f"{name}/{name}/kernel:0", data=values, **options)
                file[name].attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            else:
                file.create_dataset(f"layers/{name}/vars/0", data=values, **options)
                file[f"layers/{name}/vars"].attrs["name"] = name
        if ending == ".h5":
            file.attrs["layer_names"] = [b"conv2d", b"conv2d_1", b"conv2d_2"]
    data = mutated(raw.getvalue(), rng) if mutate and (ending != ".keras" or rng.random() < 0.7) else raw.getvalue()
    if ending == ".keras":
        data = zipped({"config.json": b"{}", "model.weights.h5": data})
        data = mutated(data, rng) if mutate and rng.random() < 0.4 else data
    path = folder / f"file{ending}"
    path.write_bytes(data)
    return path


def read_h5(path: Path, folder: Path) -> None:
    from headstart.backbones.keras.reader import read, stored_layers

    with stored_layers(path, values=True) as layers:
        for layer in layers:
            assert all(np.isfinite(array).all() for array in read(layer, path))


def make_npz(folder: Path, rng: Rng, mutate: bool) -> Path:
    """An archive of arrays: the archive is mutated, or an array in it."""
    arrays: dict[str, Any] = {"x_train": np.arange(96, dtype=np.uint8).reshape(6, 4, 4), "y_train": np.arange(6) % 2}
    arrays |= {"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.array([0, 1])}
    if rng.random() < 0.3:
        arrays["classes"] = np.array(["a", "b"])
    members = {}
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array)
        members[f"{name}.npy"] = out.getvalue()
    if mutate and rng.random() < 0.7:
        name = str(rng.choice(list(members)))
        members[name] = mutated(members[name], rng)
        data = zipped(members, rng)
    else:
        data = zipped(members, rng if mutate else None)
        data = mutated(data, rng) if mutate else data
    path = folder / "file.npz"
    path.write_bytes(data)
    return path


def read_npz(path: Path, folder: Path) -> None:
    from headstart.images import load

    images = load(path)
    for i in range(min(3, len(images))):
        assert np.asarray(images.read(i)).dtype == np.uint8


def make_onnx(folder: Path, rng: Rng, mutate: bool) -> Path:
    """Two convolutions, half of them with their weights in another file."""
    from onnx import TensorProto, helper, numpy_helper

    kernels = [np.full((4, 3, 3, 3), 0.1, np.float32), np.full((4, 4, 3, 3), 0.1, np.float32)]
    nodes = [
        helper.make_node("Conv", ["image", "k0"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "k1"], ["last_conv"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["last_conv"], ["pooled"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("last_conv", "pooled")]
    stored = [numpy_helper.from_array(kernel, f"k{i}") for i, kernel in enumerate(kernels)]
    if rng.random() < 0.5:
        (folder / "w.data").write_bytes(b"".join(tensor.raw_data for tensor in stored))
        places = [
            "../w.data",
            "/etc/hostname",
            "",
            "w.data/..",
            "link",
            "*/_ORT_MEM_ADDR_/*",
            "none",
            "w.data\0",
            "sub/../w.data",
        ]
        (folder / "link").symlink_to("/etc/hostname")
        offset = 0
        for tensor in stored:
            length = len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            place = str(rng.choice(places)) if mutate and rng.random() < 0.3 else "w.data"
            sizes = [0, 1, 2**31, 2**63 - 1, -1, 2**64]
            odd = mutate and rng.random() < 0.2
            said = {"location": place, "offset": sizes[int(rng.integers(6))] if odd else offset, "length": length}
            for key, value in said.items():
                entry = tensor.external_data.add()
                entry.key, entry.value = key, str(value)
            offset += length
    graph = helper.make_graph(nodes, "net", [image], outputs, stored)
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    path = folder / "file.onnx"
    path.write_bytes(mutated(raw, rng) if mutate and rng.random() < 0.8 else raw)
    return path


def read_onnx(path: Path, folder: Path) -> None:
    """From the file to the features of a picture."""
    from headstart.backbones import resolve
    from headstart.engines.openvino import OpenVINOEngine

    backbone = resolve(str(path))
    preprocess = backbone.preprocess
    engine = OpenVINOEngine(backbone, backbone.layers()[-1].name, preprocess)
    engine.run(np.zeros((1, preprocess.height, preprocess.width, 3), np.uint8))


def make_archive(folder: Path, rng: Rng, mutate: bool) -> Path:
    """A zip or a tar.gz, with odd names, kinds, sizes and flags; or its bytes mutated."""
    names = ["top/cat/1.jpg", "top/dog/1.jpg", "top/readme"]
    if mutate and rng.random() < 0.5:
        names[int(rng.integers(3))] = NAMES[int(rng.integers(len(NAMES)))]
    raw = rng.bytes(64) if rng.random() < 0.9 else bytes(2**24)
    if rng.random() < 0.5:
        path = folder / "file.zip"
        data = zipped(dict.fromkeys(names, raw), rng if mutate else None)
    else:
        path = folder / "file.tar.gz"
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                if mutate and rng.random() < 0.1:
                    info.type = bytes(rng.choice([b"1", b"2", b"3", b"5", b"6", b"7", b"S", b"x", b"L"]))
                    info.linkname = "/etc/hostname"
                archive.addfile(info, io.BytesIO(raw))
        import gzip

        inner = mutated(out.getvalue(), rng) if mutate and rng.random() < 0.5 else out.getvalue()
        data = gzip.compress(inner, 1)
    path.write_bytes(mutated(data, rng) if mutate and rng.random() < 0.6 else data)
    return path


def read_archive(path: Path, folder: Path) -> None:
    from headstart.images.download import extract

    extract(path, folder / "in")
    assert not any(file.is_symlink() for file in folder.rglob("*"))


KINDS: dict[str, tuple[Callable[[Path, Rng, bool], Path], Callable[[Path, Path], None]]] = {
    "h5": (make_h5, read_h5),
    "npz": (make_npz, read_npz),
    "onnx": (make_onnx, read_onnx),
    "archives": (make_archive, read_archive),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=list(KINDS))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker[0], Path(asked.worker[1]))
        return
    bad = 0
    for kind in [asked.only] if asked.only else KINDS:
        what, n, failed, note = tried(kind, max(1, round(FULL * asked.scale)))
        print(f"{what}: {n:,} tried, {failed:,} failed; {note}", flush=True)
        bad += failed
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
