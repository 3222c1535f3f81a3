"""Studies whose answer is known beforehand, on real pictures with real weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from headstart.backbones.from_embedded import weights_file
from reading import headstart

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies-cache")


def compare(cache: Path, out: Path, *arguments: str | Path) -> dict[str, Any]:
    """verdicts.json of `headstart compare ARGUMENTS`."""
    said = headstart(cache, "compare", *arguments, "--out", out)
    assert (out / "report.html").is_file()
    verdicts: dict[str, Any] = json.loads((out / "verdicts.json").read_text())
    assert verdicts["headline"] in said.replace("\n", " ")  # its sentences stand on lines of their own
    return verdicts


def pair(verdicts: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    return next(c for c in verdicts["comparisons"] if (c["first"], c["second"]) == (first, second))


def keys_of_reasons(verdicts: dict[str, Any], first: str) -> set[str]:
    return {r["key"] for block in verdicts["reasons"] if block["first"] == first for r in block["reasons"]}


def test_on_mnist_both_networks_help_and_sprout_starts_25_points_above_pixels(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path
) -> None:
    """And source-free and transfer arms choose from the same settings."""
    arms = f"pixels,sprout,squeezenet1_0@{weights_dir / 'squeezenet1_0.safetensors'}"
    asked = [data_dir / "mnist", "--arms", arms, "--sizes", "5,20", "--repeats", "3", "--limit-test", "1000"]
    told = compare(cache, tmp_path / "study", *asked)
    for arm in ("sprout", "squeezenet1_0"):
        assert pair(told, arm, "pixels")["verdict"]["word"] == "helped"
    assert pair(told, "sprout", "pixels")["by_size"][0]["difference"]["value"] >= 0.25
    assert len({arm["budget"] for arm in told["arms"]}) == 1


@pytest.mark.exhaustive  # everyday, arms with the same answers differ by exactly nothing
def test_the_same_features_twice_are_no_measurable_difference(data_dir: Path, cache: Path, tmp_path: Path) -> None:
    """A copy of the weights under another name: the same answers, so no difference can be found."""
    own = weights_file("sprout")
    assert own is not None
    for suffix in (".safetensors", ".json"):
        shutil.copy(own.with_suffix(suffix), (tmp_path / "copy").with_suffix(suffix))
    arms = f"sprout,sprout@{tmp_path / 'copy.safetensors'}"
    told = compare(
        cache, tmp_path / "study", data_dir / "mnist", "--arms", arms, "--sizes", "5,20", "--limit-test", "1000"
    )
    (found,) = told["comparisons"]
    assert found["verdict"]["word"] == "no measurable difference"
    difference = found["verdict"]["difference"]
    assert difference["value"] == 0.0 and -0.003 < difference["low"] == -difference["high"]


@pytest.mark.parametrize("network", [pytest.param("squeezenet1_0", marks=pytest.mark.exhaustive), "sprout"])
def test_features_of_random_weights_are_never_called_transfer(
    network: str, data_dir: Path, cache: Path, tmp_path: Path
) -> None:
    """Better than pixels they may be: a random convolution sees edges. Nothing was transferred, and that is said."""
    asked = ["--arms", f"pixels,{network}@none", "--sizes", "50", "--repeats", "3", "--limit-test", "1000"]
    told = compare(cache, tmp_path / "study", data_dir / "mnist", *asked)
    assert pair(told, f"{network}@none", "pixels")["verdict"]["word"] in ("worse", "inconclusive", "better")
    assert "Transfer" not in told["headline"] and "(random weights)" in told["headline"]


def test_a_poor_transfer_without_penalty_and_scaling_is_found_and_explained(
    data_dir: Path, weights_dir: Path, cache: Path, tmp_path: Path
) -> None:
    """MNIST's 7 and 8 at the network's own 32 pixels, where the last convolution is 1 x 1: pixels are better."""
    arm = "mobilenetv2_035:last_conv"
    told = compare(
        cache, tmp_path / "study", data_dir / "mnist", "--classes", "7,8", "--image-size", "32", "--sizes", "20,50,100",
        "--arms", f"pixels,{arm}@{weights_dir / 'mobilenetv2_035.safetensors'}", "--limit-test", "1000",
        "--set", "standardise=false", "--set", "C=1e12", "--repeats", "4",
    )  # fmt: skip
    assert pair(told, arm, "pixels")["verdict"]["word"] == "hurt"
    assert told["headline"].startswith("Transfer hurt")
    assert {"rows", "unscaled", "dead", "grey", "overlap", "background"} <= keys_of_reasons(told, arm)
