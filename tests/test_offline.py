"""To take along: networks fetched into a folder, and the whole product on a machine without a network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from headstart.backbones import resolve
from headstart.backbones.fetch import SUMS, fetch
from headstart.backbones.spelling import parse
from headstart.cli.commands import app
from headstart.errors import WeightsError

NAME = "test_vit.r160_in1k"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `backbones fetch` leaves it: sprout, which comes along, and a transformer with random weights."""
    folder = tmp_path_factory.mktemp("taken along")
    resolve(NAME, "none").save(folder, NAME)
    fetch(["sprout"], folder)
    return folder


def test_a_fetched_folder_holds_weights_sidecars_licences_and_checksums(tmp_path: Path) -> None:
    """By the command; the file is the network, and `sha256sum -c` would find every line true."""
    done = CliRunner().invoke(app, ["backbones", "fetch", "sprout", "--out", str(tmp_path)])
    assert done.exit_code == 0 and "licence Apache-2.0" in done.output and "--weights" in done.output
    sidecar = json.loads((tmp_path / "sprout.json").read_text())
    assert (sidecar["architecture"], sidecar["license"]) == ("embedded:sprout", "Apache-2.0")
    for line in (tmp_path / SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert resolve("sprout", tmp_path).fingerprint == resolve("sprout").fingerprint


@pytest.mark.parametrize(
    "name", ["test_vit", NAME, f"timm/{NAME}", f"https://huggingface.co/timm/{NAME}", "timm:test_vit"]
)
def test_in_a_folder_the_file_of_the_architecture_is_found(weights: Path, name: str) -> None:
    """Under any spelling of its name, with its tag or without."""
    found = resolve(name, weights)
    assert found.weights.path == weights / f"{NAME}.safetensors" and found.fixed_size == (160, 160)
    assert parse(f"{name}@{weights}")["weights"] == str(weights)


def test_what_a_folder_does_not_hold_is_told_with_what_it_holds(weights: Path, tmp_path: Path) -> None:
    """Another network, other weights of the same, and an empty folder."""
    with pytest.raises(WeightsError, match=r"holds no weights of resnet18; it holds sprout, test_vit\.r160_in1k\.$"):
        resolve("resnet18", weights)
    with pytest.raises(WeightsError, match=r"holds no weights of test_vit\.other"):
        resolve("test_vit.other", weights)
    with pytest.raises(WeightsError, match="it holds no weights file with a sidecar"):
        resolve("sprout", tmp_path)
    for stem in ("one", "two"):
        resolve("sprout").save(tmp_path, stem)
    with pytest.raises(WeightsError, match=r"holds several files of sprout: one\.safetensors, two\.safetensors"):
        resolve("sprout", tmp_path)


REFUSING = """
import socket, sys
def refused(*_, **__):
    sys.stderr.write("A SOCKET WAS ASKED FOR\\n")
    raise OSError("refused by the test")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refused
from headstart.cli import main
main()
"""


@pytest.mark.slow
def test_the_whole_product_runs_with_every_socket_refused(weights: Path, tmp_path: Path) -> None:
    """Fit, compare, rank and predict, with their reports; none of them so much as tries to reach anything."""
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (30, 30, 200)), ("red", (200, 30, 30))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(colour, 60, size=(110, 110, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i:02d}.png")
    env = {**os.environ, "HEADSTART_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf"), "COLUMNS": "200"}

    def headstart(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", REFUSING, *words], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SOCKET" not in done.stderr
        return done.stdout

    both = ["--backbone", f"timm/{NAME}", "--weights", str(weights), "--image-size", "96", "--layer", "cls+mean"]
    headstart("fit", "data", *both, "--out", "run")
    arms = f"pixels,sprout@{weights},test_vit:cls+mean@{weights}"
    headstart(
        "compare", "data", "--arms", arms, "--sizes", "3,6", "--repeats", "2", "--image-size", "96", "--out", "study"
    )
    headstart("rank", "data", "--backbones", f"sprout,test_vit@{weights}", "--out", "ranking")
    assert "red" in headstart("predict", "run", "data/red/00.png")
    for report in ("run/report.html", "study/report.html", "ranking/ranking.html"):
        assert (tmp_path / report).is_file(), report
