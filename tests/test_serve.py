"""The server: the classifier's own answers, one clear status for whatever is sent, and an end without loss."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import urlopen

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from starlette.testclient import TestClient
from threadpoolctl import threadpool_info, threadpool_limits

from headstart import Classifier, Predictor, export, fit, golden, predict, tensors
from headstart.features.extract import Settings
from headstart.paths import features_dir
from headstart.serve.app import LOOPBACK, application
from headstart.serve.batches import Batches
from headstart.serve.limits import Limits
from headstart.serve.load import load
from headstart.serve.server import Served
from serving import PIXELS, digits_bundle, digits_classifier, png, served

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return digits_classifier()


@pytest.fixture(scope="module")
def client(classifier: Classifier) -> Iterator[TestClient]:
    limits = Limits(body=200_000, pixels=1_000_000, pictures=40)
    with TestClient(application(Served(classifier, "digits"), limits, hosts=(*LOOPBACK, "testserver"))) as found:
        while found.get("/ready").status_code != 200:
            time.sleep(0.05)
        yield found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_bundle(tmp_path_factory.mktemp("served"))


def form(pictures: list[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{i}.png", raw)) for i, raw in enumerate(pictures)]


def probabilities(row: dict[str, Any]) -> dict[str, float]:
    return {one["class"]: one["probability"] for one in row["probabilities"]}


def test_a_number_that_cannot_be_is_told_in_a_sentence_and_counted(client: TestClient) -> None:
    answer = client.post("/predict?topk=-1", content=png(PIXELS[0]))
    assert answer.status_code == 400
    assert answer.json()["detail"] == "topk=-1 is not possible: input should be greater than or equal to 0."
    assert 'headstart_requests_total{status="400"}' in client.get("/metrics").text


def test_a_parameter_that_there_is_not_is_told_with_the_one_that_is_meant(client: TestClient) -> None:
    for name, told in (
        ("top_k", "did you mean topk?"),
        ("covrage", "did you mean coverage?"),
        ("size", "there are: topk, coverage, explain."),
    ):
        answer = client.post(f"/predict?{name}=0.9", content=png(PIXELS[0]))
        assert answer.status_code == 400
        assert answer.json()["detail"] == f"Unknown parameter of /predict '{name}': {told}"


def test_a_picture_has_the_classifiers_answer_alone_and_among_others(
    client: TestClient, classifier: Classifier
) -> None:
    """Within 1e-5, however many are answered together."""
    pictures = [png(pixels) for pixels in PIXELS[300:332]]
    together = client.post("/predict?topk=0", files=form(pictures)).json()["predictions"]
    alone = [client.post("/predict?topk=0", content=raw).json()["predictions"][0] for raw in pictures[:8]]
    with Predictor(classifier) as predictor:
        names = predictor.predict(PIXELS[300:332])
    assert [row["predicted"] for row in together] == names
    assert [row["name"] for row in together] == [f"{i}.png" for i in range(32)]
    for one, among in zip(alone, together, strict=False):
        a, b = probabilities(one), probabilities(among)
        assert list(a.values()) == sorted(a.values(), reverse=True)
        assert max(abs(a[name] - b[name]) for name in classifier.classes) < 1e-5


def test_who_asks_gets_a_set_of_classes_a_map_and_the_nearest_training_pictures(tmp_path: Path) -> None:
    """As the library gives them; a picture of noise is none of the classes."""
    run = fit("digits", method="pixels", head="ridge", limit=200, out=tmp_path / "run")
    with TestClient(application(load(run.folder, Settings(features_dir())), hosts=("*",))) as client:
        raw = png(PIXELS[0])
        row = client.post("/predict?coverage=0.9&explain=1&topk=0", content=raw).json()["predictions"][0]
        (found,) = predict(run.folder, [raw], coverage=0.9).rows(1)
        assert (row["set"], row["known"]) == (found["set"], found["known"])
        assert row["map"].startswith("data:image/png;base64,") and row["made"] == "cam"
        assert len(row["nearest"]) == 3 and row["nearest"][0]["class"] == "0"
        noise = png(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8))
        assert client.post("/predict", content=noise).json()["predictions"][0]["known"] is False
        assert "headstart_strangers_total 1.0" in client.get("/metrics").text
        assert client.get("/metadata").json()["card"].count("<h4>") > 1


def test_a_classifier_that_computes_something_else_here_ends_its_server_with_the_sentence(
    bundle: Path, tmp_path: Path
) -> None:
    """As `predict` refuses it: no server goes on that answers nothing."""
    folder = other_probabilities(bundle, tmp_path / "other")
    with served(folder) as (process, _):
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "This classifier gives other results here than when it was saved: expected" in printed
    assert "Traceback" not in printed and "Stopped" not in printed


def other_probabilities(bundle: Path, copy: Path) -> Path:
    """A copy that expects other answers to its golden pictures, as a bundle that was made by other versions does."""
    shutil.copytree(bundle, copy)
    file, manifest = copy / golden.FILE, copy / "manifest.json"
    found = load_file(file)
    save_file({**found, "probabilities": found["probabilities"][:, ::-1].copy()}, file)
    told = json.loads(manifest.read_text())
    told["files"][golden.FILE] = {"bytes": file.stat().st_size, "sha256": tensors.sha256(file)}
    manifest.write_text(json.dumps(told))
    return copy


def test_while_the_classifier_cannot_be_opened_requests_are_answered_so_and_counted(
    bundle: Path, tmp_path: Path
) -> None:
    folder = other_probabilities(bundle, tmp_path / "other")
    with TestClient(application(load(folder, Settings(features_dir())), hosts=("*",))) as client:
        answer = client.post("/predict", content=png(PIXELS[0]))
        assert answer.status_code == 503 and "cannot be opened" in answer.json()["detail"]
        assert client.get("/ready").json() == {"status": "failed"}
        assert 'headstart_requests_total{status="503"} 1.0' in client.get("/metrics").text


def test_a_defect_is_a_status_in_json_and_is_counted(classifier: Classifier) -> None:
    assert classifier.novelty is not None
    narrow = replace(classifier, novelty=replace(classifier.novelty, reference=classifier.novelty.reference[:, :3]))
    app = application(Served(narrow, "digits"), hosts=("*",))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/predict", content=png(PIXELS[0]))
        assert answer.status_code == 500 and "failed" in answer.json()["detail"]
        assert 'headstart_requests_total{status="500"} 1.0' in client.get("/metrics").text


def test_sets_that_cannot_be_made_are_refused(classifier: Classifier) -> None:
    without = Served(replace(classifier, conformal=None), "digits")
    with TestClient(application(without, hosts=("*",))) as client:
        answer = client.post("/predict?coverage=0.9", content=png(PIXELS[0]))
    assert answer.status_code == 422 and "coverage" in answer.json()["detail"]


def test_of_several_pictures_each_that_cannot_be_used_says_why_in_its_place(client: TestClient) -> None:
    good = png(PIXELS[0])
    answer = client.post("/predict", files=form([good, good[:60], b"hello", good]))
    rows = answer.json()["predictions"]
    assert answer.status_code == 200
    assert [row.get("reason") for row in rows] == [None, "truncated", "not-an-image", None]
    assert rows[0]["predicted"] == rows[3]["predicted"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no bytes"),
        (b"hello, this is no picture", 415, "not in a known picture format"),
        (b"%PDF-1.7 and so on", 415, "format"),
        (png(PIXELS[0])[:60], 422, "ends before"),
        (png(np.zeros((1500, 1500), np.uint8)), 413, "1500x1500"),
        (bytes(200_001), 413, "0.191 MiB"),
    ],
    ids=["empty", "text", "another format", "cut short", "too many pixels", "too long"],
)
def test_what_is_no_picture_has_one_status_and_one_sentence(
    client: TestClient, body: bytes, status: int, said: str
) -> None:
    answer = client.post("/predict", content=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert "Traceback" not in answer.text and str(Path.cwd()) not in answer.text


def test_a_body_without_a_length_is_counted_while_it_comes(client: TestClient) -> None:
    taken = 0

    def parts() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield bytes(50_000)

    assert client.post("/predict", content=parts()).status_code == 413


TEXT = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"nothing of a form", "multipart/form-data; boundary=x", 400),
        (b"nothing of a form", "multipart/form-data", 400),
        (TEXT, "multipart/form-data; boundary=x", 400),
    ],
    ids=["broken", "no boundary", "no file"],
)  # fmt: skip
def test_a_form_without_a_picture_is_refused(client: TestClient, body: bytes, kind: str, status: int) -> None:
    answer = client.post("/predict", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["detail"][:8]) == (status, "The form")


@pytest.mark.parametrize(("charset", "name"), [("utf-7", b"+2AA-"), ("unicode_escape", b"\\ud800")])
def test_a_form_whose_file_has_a_name_that_is_no_text_is_answered(
    client: TestClient, charset: str, name: bytes
) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="' + name + b'"\r\n\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    answer = client.post("/predict", content=part + png(PIXELS[0]) + b"\r\n--x--\r\n", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["predictions"][0]["name"]) == (200, r"\ud800")


def test_classes_of_folders_that_are_not_utf8_are_served(classifier: Classifier) -> None:
    """Each address answers, whatever the name of the run's folder is."""
    named = replace(classifier, classes=("caf\udce9", *classifier.classes[1:]))
    with TestClient(application(Served(named, "caf\udce9", "caf\udce9"), hosts=("testserver",))) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.05)
        answer = client.post("/predict?topk=0", content=png(PIXELS[0])).json()["predictions"][0]
        assert answer["predicted"] == client.get("/metadata").json()["classes"][0] == r"caf\xe9"
        assert client.get("/docs").status_code == client.get("/metrics").status_code == 200
        assert client.get("/openapi.json").json()["info"]["title"] == r"caf\xe9"


def test_a_form_with_more_pictures_than_allowed_is_refused(client: TestClient) -> None:
    assert client.post("/predict", files=form([b"x"] * 41)).status_code == 413


def test_it_tells_of_itself(client: TestClient, classifier: Classifier) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert [client.head(path).status_code for path in ("/health", "/ready")] == [200, 200]  # as balancers ask
    told = client.get("/metadata").json()
    assert (told["classes"], told["backbone"]) == (list(classifier.classes), "sprout")
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/predict", "/health", "/ready", "/metadata", "/metrics"}


def test_what_is_served_has_an_identity_that_changes_with_the_model_and_a_licence(tmp_path: Path) -> None:
    """Of an export too, which keeps no network."""

    def told(folder: Path) -> dict[str, Any]:
        with TestClient(application(load(folder, Settings(features_dir()), nearest=False), hosts=("*",))) as client:
            found: dict[str, Any] = client.get("/metadata").json()
            return found

    ridge = fit("digits", backbone="sprout", head="ridge", limit=200, out=tmp_path / "ridge")
    export(ridge.folder, tmp_path / "export")
    served = [told(folder) for folder in (ridge.folder, ridge.folder / "bundle", tmp_path / "export")]
    assert len({each["licence"] for each in served}) == 1 and served[0]["licence"]
    assert served[0]["identity"] == served[1]["identity"] != served[2]["identity"]
    other = fit("digits", backbone="sprout", head="prototype", limit=200, out=tmp_path / "other")
    assert told(other.folder)["identity"] != served[0]["identity"]


def test_metrics_count_requests_pictures_and_answers(client: TestClient) -> None:
    def count(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    lines = [
        'headstart_requests_total{status="200"}',
        'headstart_pictures_total{outcome="answered"}',
        'headstart_pictures_total{outcome="not-an-image"}',
    ]
    before = [count(line) for line in lines]
    client.post("/predict", files=form([png(PIXELS[0]), png(PIXELS[1]), b"no picture"]))
    assert [count(line) - b for line, b in zip(lines, before, strict=True)] == [1, 2, 1]
    assert count("headstart_requests_in_flight") == 0


def test_another_name_for_this_computer_is_refused(client: TestClient) -> None:
    """So that a page of the web cannot read what is served here under a name of its own."""
    assert client.get("/metadata", headers={"Host": "elsewhere.example"}).status_code == 400


def connect(address: str) -> socket.socket:
    found = urlparse(address)
    return socket.create_connection((found.hostname, found.port), timeout=20)


def begin(address: str, raw: bytes) -> socket.socket:
    """A request of which half the body is sent."""
    line = connect(address)
    line.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
    line.sendall(b"Content-Length: %d\r\n\r\n" % len(raw) + raw[: len(raw) // 2])
    return line


def under_way(address: str) -> None:
    """Wait until a request is being answered: a busy machine may take a while to begin."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with urlopen(f"{address}/metrics") as told:
            if b"headstart_requests_in_flight 1.0" in told.read():
                return
        time.sleep(0.05)
    raise AssertionError("the request did not begin")


def answer(line: socket.socket) -> tuple[int, dict[str, str], Any]:
    with line:
        text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    first, *fields = head.split("\r\n")
    return int(first.split()[1]), dict(field.lower().split(": ", 1) for field in fields), json.loads(body)


def test_a_full_queue_says_when_to_come_again_and_the_end_answers_what_is_in_flight(bundle: Path) -> None:
    raw = png(PIXELS[0])
    with served(bundle, "--queue", "1") as (process, address):
        slow = begin(address, raw)
        under_way(address)
        status, headers, told = answer(begin(address, raw))
        assert (status, headers["retry-after"]) == (503, "1")
        assert "Try again" in told["detail"]
        process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        time.sleep(0.3)
        slow.sendall(raw[len(raw) // 2 :])
        status, _, told = answer(slow)
        assert status == 200 and told["predictions"][0]["predicted"] == "0"
        assert process.wait(10) == 0
        assert time.monotonic() - stopped < 10


def test_a_port_that_is_taken_is_one_sentence(bundle: Path) -> None:
    from headstart import api
    from headstart.errors import UserError

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="choose another"):
        api.serve(bundle, port=taken.getsockname()[1])


AFTER_LARGE_ONES = """
import re, sys
from headstart.serve.shell import keep_memory_flat
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
if sys.argv[1] == "flat":
    keep_memory_flat()
begun = resident()
for size in (30, 29, 28, 27):
    large, small = bytearray(size << 20), bytearray(1000)
    del large
print(resident() - begun)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_gives_the_memory_of_a_large_picture_back() -> None:
    kept = {
        how: int(
            subprocess.run([sys.executable, "-c", AFTER_LARGE_ONES, how], stdout=subprocess.PIPE, check=True).stdout
        )
        for how in ("flat", "as it is")
    }
    assert kept["flat"] < 5 < 20 < kept["as it is"]


def test_while_pictures_are_answered_blas_has_one_thread(classifier: Classifier) -> None:
    """Its products are small, and its threads would wait for the cores at which the engine is at work."""

    def blas() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        batches = Batches(classifier, max_pixels=10**6)
        batches.start()
        assert batches.ready.wait(60) and blas() == {1}
        batches.stop()


def test_a_server_that_answers_no_picture_in_its_time_says_so(classifier: Classifier) -> None:
    app = application(Served(classifier, "digits"), Limits(request_s=1e-4), hosts=("*",))
    with TestClient(app) as client:
        assert client.post("/predict", content=png(np.zeros((8, 8), np.uint8))).status_code == 503


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of what hostile files hold
def test_hostile_files_get_a_status_of_their_own_never_a_traceback_or_a_path(
    client: TestClient, data_dir: Path
) -> None:
    """Every fifth of the hostile files; `benchmarks/serve.py` sends all of them."""
    with tarfile.open(data_dir / "hard_images.tar.xz") as archive:
        for file in [one for one in archive if one.isfile()][::5]:
            opened = archive.extractfile(file)
            assert opened is not None
            answer = client.post("/predict", content=opened.read(200_000))
            assert answer.status_code in (200, 400, 413, 415, 422), (file.name, answer.text)
            assert "Traceback" not in answer.text and "site-packages" not in answer.text
            assert file.name not in answer.text


def memory(process: subprocess.Popen[str]) -> int:
    """MiB that a process has held at most."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0]) // 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("line", [b"y" * 1_000_000, b"X: y\r\n" * 10_000], ids=["one line", "many lines"])
def test_a_header_is_bounded(bundle: Path, line: bytes) -> None:
    with served(bundle) as (process, address), connect(address) as flooded:
        before = memory(process)
        flooded.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        with pytest.raises(ConnectionError):
            for _ in range(200):
                flooded.sendall(line)
        assert memory(process) - before < 20


def test_many_requests_on_one_connection_may_have_more_than_one_header_has(bundle: Path) -> None:
    with served(bundle) as (_, address):
        line = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"))
        for _ in range(300):
            line.request("GET", "/health", headers={"X": "y" * 500})
            answered = line.getresponse()
            assert answered.status == 200 and answered.read() == b'{"status":"ok"}'
        line.close()


@pytest.mark.slow
def test_a_connection_whose_header_does_not_come_is_closed(bundle: Path) -> None:
    """However many of its bytes come, and also where nothing comes at all."""
    with served(bundle) as (_, address), connect(address) as late, connect(address) as silent:
        begun = time.monotonic()
        late.sendall(b"GET /health HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < 25:
                late.sendall(b"y")
                time.sleep(0.2)
        assert silent.recv(1) == b""


@pytest.mark.slow
def test_a_body_that_does_not_come_before_the_end_is_answered_and_is_no_traceback(bundle: Path) -> None:
    with served(bundle) as (process, address):
        slow = begin(address, png(PIXELS[0]))
        under_way(address)
        process.send_signal(signal.SIGTERM)
        status, _, told = answer(slow)
        assert status == 503 and "the server is stopping" in told["detail"]
        assert process.wait(10) == 0
        assert process.stdout is not None
        printed = process.stdout.read()
        assert "Traceback" not in printed and printed.count("ERROR") <= 1
