"""Extraction in eight bits beside float32: rate, and the accuracy of a head on either.

    python benchmarks/precision.py DATA --weights mobilenetv2_100.safetensors [--quick] [--rounds 3]

Rates are those of extraction whole, without opening the engine. Accuracies are of logistic regression (C = 0.01) on the
test part; a head that was fitted on int8 features is also given float32 ones, as a bundle does when it predicts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import Result, by_turns, machine, rows_of
from headstart.engines import choose
from headstart.engines.int8 import Calibration
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings
from headstart.features.source import FeatureSource
from headstart.heads import make_head
from headstart.images import ImageSet, load
from headstart.recipe import Recipe

MOST_DROP, LEAST_GAIN = 0.5, 2.0
"""Points of accuracy, and times the rate of float32 where the processor has VNNI."""


def rate(images: ImageSet, source: FeatureSource) -> Callable[[], float]:
    """Pictures per second of an open extractor without a store."""
    extractor = Extractor(source)
    extractor.extract(images.take(np.arange(min(16, len(images)))))

    def run() -> float:
        return len(images) / extractor.extract(images).wall_s

    return run


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--quick", action="store_true", help="1,000 pictures for accuracy, 200 for the rate")
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    images = load(asked.data)
    most = asked.images or (1000 if asked.quick else len(images))
    images = images.take(np.sort(np.random.default_rng(0).permutation(len(images))[:most]))
    backbone = {"name": asked.backbone, "weights": str(asked.weights.resolve())}
    exact = feature_source(Recipe.from_dict({"data": {"source": asked.data}, "backbone": backbone}), images)
    trained = images.take(np.flatnonzero(images.parts == "train"))
    small = replace(exact, engine=choose(precision="int8"), calibration=Calibration.of(trained))
    ways = {"float32": exact, "int8": small}
    some = images.take(np.linspace(0, len(images) - 1, min(len(images), 200 if asked.quick else 1000)).astype(int))
    found = by_turns({name: rate(some, source) for name, source in ways.items()}, asked.rounds)
    features = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in ways.items():
            with Extractor(source, Settings(Path(folder))) as extractor:
                features[name] = extractor.extract(images)
    kept = images.take(features["float32"].kept)
    train, test = (np.flatnonzero(kept.parts == part) for part in ("train", "test"))
    right = {}
    for fitted in ways:
        head = make_head("logistic", C=0.01).fit(features[fitted].features[train], kept.labels[train])
        for judged in ways:
            answers = head.predict(features[judged].features[test])
            right[fitted, judged] = 100 * float((answers == kept.labels[test]).mean())
    drop = right["float32", "float32"] - right["int8", "int8"]
    notes = {
        "float32": f"{right['float32', 'float32']:.2f}% right",
        "int8": f"{right['int8', 'int8']:.2f}% right; fitted in int8, used in float32: {right['int8', 'float32']:.2f}%",
    }
    rows = rows_of(found, "images/s", "float32", notes, rates=True)
    gain = 1 / (rows[1].ratio or 1.0)
    floors = [(f"at most {MOST_DROP} points lost: {drop:.2f}", drop <= MOST_DROP)]
    if "VNNI" in machine():
        floors.append((f"{LEAST_GAIN:g} times the float32 rate: {gain:.2f} times", gain >= LEAST_GAIN))
    title = (
        f"{asked.backbone} at {exact.preprocess.height}, {len(some)} pictures; accuracy of {len(test):,} test pictures"
    )
    told = (
        []
        if "VNNI" in machine()
        else ["This processor has no VNNI instructions; without them, multiplying bytes takes three instructions."]
    )
    Result(
        "precision", "Extraction in int8", {title: rows}, "float32's rate as a multiple of this one", floors, told
    ).keep()


if __name__ == "__main__":
    main()
