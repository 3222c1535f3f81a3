"""The same main job on a CUDA device: features, mixed precision, trainings and studies. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from headstart.backbones import resolve
from headstart.engines.choice import EngineChoice, choose
from headstart.run import Run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

NETWORKS = ["sprout", "mobilenetv2_100", "resnet18", "vit_tiny_patch16_224"]


def rows(name: str, pictures: np.ndarray, **choice: Any) -> np.ndarray:
    """Features (n, d) of random weights, or of sprout's own, by PyTorch."""
    backbone = resolve(name, "pretrained" if name == "sprout" else "none", seed=1)
    asked = {"device": "cuda", "precision": "float32"} | choice
    return EngineChoice("torch", **asked).open(backbone, "pooled", backbone.preprocess).run(pictures)


def pictures_of(name: str, n: int = 70) -> np.ndarray:
    """Smooth random pictures (n, s, s, 3) uint8; 70 are one batch and a few."""
    side = resolve(name, "none" if name != "sprout" else "pretrained", seed=1).preprocess.height
    coarse = torch.rand(n, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1)
    return np.asarray((255 * fine).byte().permute(0, 2, 3, 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_processor_and_the_same_twice(name: str) -> None:
    """Float32 without TF32: they differ by a thousandth of their spread at most; a row depends on no other."""
    pictures = pictures_of(name)
    found = rows(name, pictures)
    on_cpu = rows(name, pictures[:8], device="cpu")
    assert np.abs(found[:8] - on_cpu).max() < 1e-3 * on_cpu.std()
    assert np.array_equal(found, rows(name, pictures))
    assert np.array_equal(found[60:], rows(name, pictures[60:])) and np.array_equal(
        found[5:6], rows(name, pictures[5:6])
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_mixed_precision_gives_nearly_the_same_features(name: str) -> None:
    """Half the digits: directions agree to a thousandth."""
    pictures = pictures_of(name, 8)
    exact, fast = rows(name, pictures), rows(name, pictures, precision="mixed")
    assert np.isfinite(fast).all() and not np.array_equal(exact, fast)
    cosine = (exact * fast).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(fast, axis=1)
    assert cosine.min() > 0.999


def test_the_network_of_a_backbone_stays_where_it_is() -> None:
    """What traces it, explains it or exports it afterwards finds it on the processor, whatever an engine has done."""
    backbone = resolve("sprout")
    EngineChoice("torch", "cuda", "float32").open(backbone, "pooled", backbone.preprocess)
    assert {tensor.device.type for tensor in backbone.network().state_dict().values()} == {"cpu"}


def test_a_device_that_is_there_is_chosen_by_itself() -> None:
    assert choose("auto", "auto").device == "cuda"


def run(tmp_path: Path, name: str, **settings: Any) -> Run:
    return headstart.fit("digits", out=tmp_path / name, store=False, **settings)


def test_a_classifier_on_frozen_features_is_that_of_the_processor(tmp_path: Path) -> None:
    """Same folds, same choice: the accuracies agree to a few pictures, and the bundle that was written predicts."""
    on = {device: run(tmp_path, device, backbone="sprout", engine="torch", device=device) for device in ("cpu", "cuda")}
    a, b = (on[device].content.after["cv"].accuracy for device in ("cpu", "cuda"))
    assert abs(a - b) < 0.003 and b > 0.98
    judged = headstart.evaluate(on["cuda"].folder, "digits")  # pictures that it has seen
    assert judged["accuracy"] > 0.99


@pytest.mark.parametrize("precision", ["float32", "mixed"])
@pytest.mark.parametrize("method", ["finetune", "scratch"])
def test_a_network_is_trained_on_the_device(tmp_path: Path, method: str, precision: str) -> None:
    """Fine-tuned and from scratch, in both precisions: it learns, and the bundle that it wrote can do it too."""
    settings: dict[str, Any] = {"backbone": "sprout"} if method == "finetune" else {}
    made = run(
        tmp_path, "net", method=method, device="cuda", precision=precision, evaluate="holdout",
        training={"epochs": 6} if method == "finetune" else {}, limit=600, **settings,
    )  # fmt: skip
    accuracy = made.content.after["test"].accuracy
    assert accuracy > 0.85
    assert headstart.evaluate(made.folder, "digits")["accuracy"] > 0.85


def test_a_study_on_the_device_finds_what_it_finds_on_the_processor(tmp_path: Path) -> None:
    """Trainings run in processes of their own, each with its context; transfer helps on few digits."""
    study = headstart.compare(
        "digits", arms=["pixels", "scratch", "sprout"], sizes=[2, 10], repeats=3, device="cuda", out=tmp_path / "study"
    )
    assert study.findings.headline.startswith("Transfer helped") and not any(a.failed for a in study.findings.arms)
