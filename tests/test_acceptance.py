"""What the core path must reach on real pictures with real ImageNet weights, run as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from reading import headstart

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("acceptance-cache")


def fit(cache: Path, out: Path, *arguments: str | Path) -> dict[str, Any]:
    """scores.json of `headstart fit ARGUMENTS`."""
    headstart(cache, "fit", *arguments, "--out", out)
    assert (out / "report.html").is_file()
    return json.loads((out / "scores.json").read_text())


def accuracy(scores: dict[str, Any]) -> float:
    return scores["after"]["test"]["accuracy"]


@pytest.mark.parametrize("n", [pytest.param(2000, marks=pytest.mark.exhaustive), 400])
def test_cats_and_dogs_reach_98_percent_and_a_second_head_computes_nothing_again(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path, n: int
) -> None:
    """Learnt from as many as are judged; of 400 pictures two percent more may be wrong by chance."""
    least = 0.98 if n == 2000 else 0.96
    arguments = [
        data_dir / "cats_vs_dogs", "--limit", str(2 * n), "--backbone", "mobilenetv2_100",
        "--weights", weights_dir / "mobilenetv2_100.safetensors",
    ]  # fmt: skip
    first = fit(cache, tmp_path / "cd", *arguments, "--head", "logistic")
    assert first["after"]["test"]["n"] == n
    assert accuracy(first) >= least
    assert first["memory"]["peak_mb"] < 2000
    second = fit(cache, tmp_path / "cd-mlp", *arguments, "--head", "mlp")
    assert accuracy(second) >= least
    assert (second["counts"]["decoded"], second["counts"]["computed"], second["counts"]["reused"]) == (0, 0, 2 * n)


def test_raw_pixels_tell_7_from_8_in_985_of_1000(data_dir: Path, cache: Path, tmp_path: Path) -> None:
    arguments = [data_dir / "mnist", "--classes", "7,8", "--limit", "8000"]
    scores = fit(cache, tmp_path / "pixels", *arguments, "--method", "pixels")
    assert scores["run"]["n_features"] == 784
    assert accuracy(scores) >= 0.985


@pytest.mark.exhaustive
def test_the_flattened_last_convolution_tells_7_from_8_in_998_of_1000_under_4_gb(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path
) -> None:
    network = ["--backbone", weights_dir / "mobilenetv1_075.onnx", "--layer", "last_conv"]
    arguments = [data_dir / "mnist", "--classes", "7,8", "--limit", "8000"]
    scores = fit(cache, tmp_path / "conv", *arguments, *network)
    assert scores["run"]["n_features"] == 37632
    assert accuracy(scores) >= 0.998
    assert scores["memory"]["peak_mb"] < 4000


@pytest.mark.exhaustive
def test_all_of_fashion_mnist_reaches_885_of_1000_under_2_gb(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path
) -> None:
    network = ["--backbone", "squeezenet1_0", "--weights", weights_dir / "squeezenet1_0.safetensors"]
    scores = fit(cache, tmp_path / "fashion", data_dir / "fashion_mnist", *network, "--image-size", "96")
    assert scores["counts"]["images"] == 70000
    assert accuracy(scores) >= 0.885
    assert scores["memory"]["peak_mb"] < 2000


@pytest.mark.exhaustive
def test_fine_tuning_three_blocks_on_stored_activations_reaches_985_of_1000(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path
) -> None:
    """Row 0 is a coin's toss, the frozen network is far better, and training it keeps or raises that."""
    arguments = [
        data_dir / "cats_vs_dogs", "--backbone", "mobilenetv2_100",
        "--weights", weights_dir / "mobilenetv2_100.safetensors", "--method", "finetune", "--unfreeze", "3",
    ]  # fmt: skip
    scores = fit(cache, tmp_path / "tuned", *arguments)
    with (tmp_path / "tuned" / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    begun = history[0].get("val_accuracy") or history[0]["test_accuracy"]
    assert float(history[0]["epoch"]) == 0 and abs(float(begun) - 0.5) < 0.1
    assert accuracy(scores) >= 0.985
    assert scores["training"]["frozen"]["test"]["accuracy"] >= 0.975


@pytest.mark.exhaustive
def test_a_source_model_of_our_own_beats_the_same_network_untrained(
    data_dir: Path, cache: Path, tmp_path: Path
) -> None:
    """Fashion-MNIST as the source, ten labelled pictures of each digit of MNIST; `benchmarks/source.py` has scratch."""
    weights = tmp_path / "fashion.safetensors"
    headstart(
        cache, "pretrain", data_dir / "fashion_mnist", "--architecture", "sprout", "--limit", "8000", "--epochs", "2",
        "--out", weights,
    )  # fmt: skip
    target = [data_dir / "mnist", "--backbone", "sprout", "--train-per-class", "10"]
    transfer = fit(cache, tmp_path / "transfer", *target, "--weights", weights)
    untrained = fit(cache, tmp_path / "untrained", *target, "--weights", "none")
    assert transfer["after"]["test"]["accuracy_low"] > untrained["after"]["test"]["accuracy_high"]
