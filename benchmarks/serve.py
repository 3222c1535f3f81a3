"""A server under load: 32 clients, one body in ten hostile; its rate against that of the open classifier itself.

    python benchmarks/serve.py --data PICTURES [--run RUN] [--hostile FILES.tar.xz] [--seconds 60] [--clients 32]

Every answer is compared with the picture's single prediction. In one run, in turns: the classifier alone over the same
pictures in blocks of 32, then the server. Printed are the rates (images/s) and their ratios, medians over the turns
with the least and the most, p50 and p99 (ms), the statuses, the largest difference, and how much the server's memory
grew.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from headstart import Predictor, fit, load_classifier
from headstart.images import from_arrays

PICTURES = 400
TELLING = ("Traceback", "site-packages", str(Path.home()), tempfile.gettempdir(), str(Path(__file__).parents[1]))
"""What no answer may say."""


def expected(run: Path, raws: list[bytes]) -> tuple[list[dict[str, float]], float]:
    """The probabilities of each picture by itself, and images/s in blocks of 32."""
    classifier = load_classifier(run)
    white = classifier.source.preprocess.white
    with Predictor(classifier) as predictor:
        single = [predictor.predict_proba(from_arrays([raw], white=white))[0][0] for raw in raws]
        begun = time.perf_counter()
        for start in range(0, len(raws), 32):
            predictor.predict_proba(from_arrays(raws[start : start + 32], white=white))
        rate = len(raws) / (time.perf_counter() - begun)
    return [dict(zip(classifier.classes, row.tolist(), strict=True)) for row in single], rate


def hostile_files(path: Path | None) -> list[bytes]:
    if path is None:
        return [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100)]
    with tarfile.open(path) as archive:
        return [archive.extractfile(one).read() for one in archive if one.isfile()]  # type: ignore[union-attr]


class Clients:
    """Clients that ask one after the other, and what they saw."""

    def __init__(self, address: str, good: list[bytes], truth: list[dict[str, float]], bad: list[bytes]) -> None:
        self.where = urlparse(address)
        self.good, self.truth, self.bad = good, truth, bad
        self.seconds: list[float] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.worst = 0.0
        self.trouble: list[str] = []
        self.lock = threading.Lock()

    def run(self, clients: int, seconds: float, share: float) -> float:
        """Ask for so long; the seconds that it took."""
        until = time.perf_counter() + seconds
        threads = [threading.Thread(target=self._ask, args=(i, until, share)) for i in range(clients)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begun

    def _ask(self, seed: int, until: float, share: float) -> None:
        chosen = random.Random(seed)
        line = http.client.HTTPConnection(self.where.hostname or "", self.where.port, timeout=60)
        while time.perf_counter() < until:
            kind = "bad" if chosen.random() < share else "good"
            i = chosen.randrange(len(self.bad if kind == "bad" else self.good))
            status, seconds, text = self._once(line, (self.bad if kind == "bad" else self.good)[i])
            with self.lock:
                self.statuses[(kind, status)] += 1
                if any(word in text for word in TELLING):
                    self.trouble.append(text[:300])
                if kind == "good" and status == 200:
                    self.seconds.append(seconds)
                    told = {
                        one["class"]: one["probability"] for one in json.loads(text)["predictions"][0]["probabilities"]
                    }
                    self.worst = max(self.worst, *(abs(told[name] - p) for name, p in self.truth[i].items()))
        line.close()

    @staticmethod
    def _once(line: http.client.HTTPConnection, raw: bytes) -> tuple[int, float, str]:
        begun = time.perf_counter()
        try:
            line.request("POST", "/predict?topk=0", raw, {"Content-Type": "application/octet-stream"})
            answer = line.getresponse()
            return answer.status, time.perf_counter() - begun, answer.read().decode()
        except (OSError, http.client.HTTPException):
            line.close()
            return 0, time.perf_counter() - begun, ""


def memory(pid: int) -> float:
    """Resident MB of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def served(run: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", "from headstart.cli import main; main()", "serve", str(run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    address = process.stdout.readline().split()[2]
    where = urlparse(address)
    while True:
        line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        line.request("GET", "/ready")
        if line.getresponse().status == 200:
            return process, address
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--backbone", default="sprout")
    parser.add_argument("--weights", default="pretrained")
    parser.add_argument("--hostile", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=4, help="turns of the server; before and after, the classifier")
    parser.add_argument("--clients", type=int, default=32)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = asked.run
        if run is None:
            run = Path(
                fit(asked.data, backbone=asked.backbone, weights=asked.weights, limit=400, out=f"{folder}/run").folder
            )
        report(run, pictures(Path(asked.data)), hostile_files(asked.hostile), asked)


def pictures(data: Path) -> list[bytes]:
    found = sorted(p for p in data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = random.Random(0).sample(found, min(PICTURES, len(found)))
    return [path.read_bytes() for path in chosen]


def report(run: Path, good: list[bytes], bad: list[bytes], asked: Any) -> None:
    truth, first = expected(run, good)
    process, address = served(run)
    Clients(address, good, truth, bad).run(asked.clients, 5, 0.1)  # warm
    clients = Clients(address, good, truth, bad)
    begun = memory(process.pid)
    alone, rates, bodies = [first], [], []
    for _ in range(asked.rounds):
        right, every = clients.statuses[("good", 200)], sum(clients.statuses.values())
        took = clients.run(asked.clients, asked.seconds / asked.rounds, 0.1)
        rates.append((clients.statuses[("good", 200)] - right) / took)
        bodies.append((sum(clients.statuses.values()) - every) / took)
        alone.append(expected(run, good)[1])
    grown = memory(process.pid) - begun
    process.send_signal(signal.SIGTERM)
    stopped = time.perf_counter()
    code = process.wait(30)
    ended = time.perf_counter() - stopped
    beside = [(before + after) / 2 for before, after in pairwise(alone)]
    print(f"{asked.clients} clients, {asked.rounds} times {asked.seconds / asked.rounds:g} s")
    print(f"{len(good)} pictures, {len(bad)} hostile bodies")
    print(f"classifier alone  {spread(alone)} images/s, before, between and after")
    print(f"server            {spread(rates)} images/s, {spread(ratios(rates, beside), 2)} of it")
    print(f"  with the hostile {spread(bodies)} bodies/s, {spread(ratios(bodies, beside), 2)} of it")
    p50, p99 = np.percentile(clients.seconds, [50, 99]) * 1000
    print(f"latency           p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(f"largest difference from the single prediction {clients.worst:.1e}")
    print(
        "statuses          "
        + ", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(clients.statuses.items()))
    )
    print(f"memory            {begun:.0f} MB, grown by {grown:.0f} MB")
    print(f"SIGTERM           ended with {code} after {ended:.1f} s")
    print(f"answers with a path or a traceback: {len(clients.trouble)}")
    for text in clients.trouble[:3]:
        print("  ", text)


def ratios(rates: list[float], beside: list[float]) -> list[float]:
    return [rate / alone for rate, alone in zip(rates, beside, strict=True)]


def spread(values: list[float], digits: int = 0) -> str:
    """The median, with the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
