"""What must not depend on what lies beside it: ranges of values by type, checkpoints by wrapping, many classes.

    python benchmarks/faults/scale.py --scale 0.2

At scale 1: 60 dim pictures of each type by array, file and .npz, alone and beside bright ones; every wrapping x prefix
x format of a checkpoint; runs of 2 to 2,000 classes with the size of scores.json and the peak of memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Row = tuple[str, int, int, str]
TOLERANCE = 1e-6
DIM = 300
"""A dim picture's values are these many times below a bright one's: under 1 of 255, under 219 of 65,535."""
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": lambda bright: bright.astype(np.uint8),
    "uint16": lambda bright: np.rint(bright * 257).astype(np.uint16),
    "int32 0..65535": lambda bright: np.rint(bright * 257).astype(np.int32),
    "float32 0..1": lambda bright: (bright / 255).astype(np.float32),
    "float 0..255": lambda bright: bright.astype(np.float64),
}
PREFIXES = ("", "module.", "model.", "_orig_mod.", "backbone.", "encoder.", "module.model.", "model._orig_mod.")
ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar")
WRAPPINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}},
    "averaged beside": lambda state: {"state_dict_ema": {k: v + 1 for k, v in state.items()}, "state_dict": state},
    "other head": lambda state: {**state, next(iter(state)).partition("conv")[0] + "head.0.weight": _ones()},
}
CLASSES = (2, 10, 100, 1_000, 2_000)
MOST_MB = 5.0
"""Of a scores.json."""


def rows(scale: float) -> Iterator[Row]:
    """(what was tried, how many, how many failed, note)."""
    yield from _ranges(max(2, round(60 * scale)))
    yield from _checkpoints(scale)
    yield from _many_classes([k for k in CLASSES if k <= max(10, 2_000 * scale)])


def _ranges(n: int) -> Iterator[Row]:
    """The features and the class of a dim picture alone and beside bright ones."""
    from sklearn.datasets import load_digits

    from headstart import TransferClassifier

    digits = load_digits()
    bright = digits.images[: 100 + n] * (255 / 16)
    for kind, made in KINDS.items():
        X, y = made(bright), digits.target[: 100 + n]
        model = TransferClassifier(method="pixels", head="prototype", cache=False).fit(X[:100], y[:100])
        dim = (X[100:] / DIM).astype(X.dtype)
        for way, given in {"array": _by_array, "file": _by_file, "npz": _by_npz}.items():
            if way == "file" and kind == "float 0..255":
                continue  # no format of files holds 64-bit floats
            failed, off = 0, 0.0
            whole = _features(model, given(np.concatenate([X[:2], dim, X[2:4]]), model))[2:-2]
            for picture, (beside, named) in zip(dim, zip(*whole_of(whole), strict=True), strict=True):
                ((alone, name),) = _features(model, given(picture[None], model))
                difference = float(np.abs(alone - beside).max())
                off = max(off, difference)
                failed += difference > TOLERANCE or name != named
            yield f"{kind} by {way}: a dim picture alone and beside bright ones", n, failed, f"off by {off:.1g} at most"
        alike = _features(model, _by_array(X[100:], model))
        reference = TransferClassifier(method="pixels", head="prototype", cache=False)
        reference.fit(KINDS["uint8"](np.rint(bright[:100])), y[:100])
        shown = _features(reference, _by_array(KINDS["uint8"](np.rint(bright[100:])), reference))
        failed = sum(np.abs(a - b).max() > 1.01 / 255 or m != k for (a, m), (b, k) in zip(alike, shown, strict=True))
        yield f"{kind}: the class and, within a grey level, the features of the same pictures in uint8", n, failed, ""


def whole_of(found: list[tuple[np.ndarray, int]]) -> tuple[list[np.ndarray], list[int]]:
    return [features for features, _ in found], [name for _, name in found]


def _features(model: Any, images: Any) -> list[tuple[np.ndarray, int]]:
    """(features, class) of each picture."""
    proba, extraction = model.classifier_.predict_proba(images)
    return list(zip(extraction.features, proba.argmax(axis=1).tolist(), strict=True))


def _by_array(X: np.ndarray, model: Any) -> Any:
    from headstart.images import from_arrays

    return from_arrays(X, white=model.classifier_.source.preprocess.white)


def _by_file(X: np.ndarray, model: Any) -> Any:
    from headstart.images import load

    folder = Path(tempfile.mkdtemp())
    for i, picture in enumerate(X):
        Image.fromarray(picture).save(folder / f"{i:04d}.tiff")
    return load(sorted(folder.iterdir()), labelled=False)


def _by_npz(X: np.ndarray, model: Any) -> Any:
    from headstart.images import Limits, load
    from headstart.images.ranges import White

    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "x.npz", x_train=X, y_train=np.zeros(len(X), int))
        return load(Path(folder) / "x.npz", limits=Limits(white=White(*model.classifier_.source.preprocess.white)))


def _ones() -> Any:
    import torch

    return torch.ones(3, 4)


def _checkpoints(scale: float) -> Iterator[Row]:
    """Every wrapping x prefix x format gives the network, with a note where a prefix was taken off."""
    import timm
    import torch
    from safetensors.torch import save_file

    from headstart.backbones import resolve
    from headstart.errors import HeadstartError

    torch.manual_seed(0)
    state = timm.create_model("test_resnet", num_classes=5).state_dict()
    cases = [(w, p, e) for e in ENDINGS for p in PREFIXES for w in WRAPPINGS if e != ".safetensors" or w in FLAT]
    cases = cases[:: max(1, round(1 / scale))]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for i, (wrapping, prefix, ending) in enumerate(cases):
            content, path = WRAPPINGS[wrapping]({prefix + k: v.clone() for k, v in state.items()}), Path(folder)
            path /= f"{i}{ending}"
            save_file(content, path) if ending == ".safetensors" else torch.save(content, path)
            try:
                backbone = resolve("timm:test_resnet", path)
            except HeadstartError as error:
                failed.append(f"{wrapping} {prefix} {ending}: {error}")
                continue
            own = backbone.network().state_dict()
            same = all(torch.equal(own[k], state[k]) for k in own) and own.keys() <= state.keys()
            told = any("prefix" in note for note in backbone.notes) or not prefix
            if not (same and told):
                failed.append(f"{wrapping} {prefix} {ending}: {backbone.notes}")
    yield "checkpoints: wrapping x prefix x format", len(cases), len(failed), failed[0] if failed else ""


FLAT = ("plain", "other head")
"""Wrappings that safetensors can hold."""


WATCH = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command and prints its peak; small itself, because a process inherits the peak of the one that starts it."""


def _many_classes(counts: list[int]) -> Iterator[Row]:
    """A run in a process of its own: a small scores.json, and the peak that it tells is the real one."""
    code = (
        "from headstart import Recipe, execute; "
        "asked = {'method': 'pixels', 'data': {'source': 'd.npz'}, 'head': {'name': 'prototype'}}; "
        "execute(Recipe.from_dict(asked), 'run', store=False)"
    )
    for k in counts:
        with tempfile.TemporaryDirectory() as folder:
            path, rng = Path(folder), np.random.default_rng(0)
            base = rng.integers(0, 255, (k, 8, 8, 3))
            X = np.repeat(base, 4, 0) + rng.integers(-20, 20, (4 * k, 8, 8, 3))
            X, y, test = X.clip(0, 255).astype(np.uint8), np.repeat(np.arange(k), 4), np.arange(4 * k) % 4 == 3
            np.savez(path / "d.npz", x_train=X[~test], y_train=y[~test], x_test=X[test], y_test=y[test])
            command = [sys.executable, "-c", WATCH, sys.executable, "-c", code]
            status, peak = map(float, subprocess.run(command, cwd=path, capture_output=True, check=True).stdout.split())
            size = (path / "run" / "scores.json").stat().st_size / 1e6 if status == 0 else float("inf")
            told = json.loads((path / "run" / "scores.json").read_text())["memory"]["peak_mb"] if size < 1e9 else 0.0
            peak *= (1 if sys.platform == "darwin" else 1024) / 1e6
            bad = status != 0 or size > MOST_MB or abs(told - peak) > 0.2 * peak
            note = f"scores.json {size:.1f} MB, peak {peak:,.0f} MB, of which it says {told:,.0f} MB"
            yield f"{k:,} classes, {4 * k:,} pictures", 1, int(bad), note


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scale", type=float, default=1.0)
    for what, tried, failed, note in rows(parser.parse_args().scale):
        print(f"{failed:>6,} of {tried:>6,} failed  {what}{f' ({note})' if note else ''}", flush=True)
