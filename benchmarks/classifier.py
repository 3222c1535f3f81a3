"""Time from a folder of pictures to a classifier, against what people would write instead.

    python benchmarks/classifier.py DATA --weights mobilenetv2_100.safetensors [--quick] [--rounds 3] [--pictures 384]

DATA has `train` and `test` with a folder for each class. Everyone puts a head on a frozen MobileNetV2 at 224 pixels,
for 10 epochs where it learns by epochs. Headstart is measured whole, from the command to the report, in a new process:
`cold` with nothing stored and no network converted, `again` with another head on the same pictures. The peers run on
`--pictures` of each part and on half of them, and their times are extrapolated linearly: see `extrapolated`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness import Result, Row, by_turns, command, environment, rows_of, same, told

EPOCHS = 10
TORCH = ("torch", "torchvision", "timm")
LOOPS = ("Keras, its guide", "fastai vision_learner", "Hugging Face Trainer", "PyTorch, its tutorial")
ONCE = "Keras, features predicted once"
COLD, AGAIN = "Headstart, cold", "Headstart, another head"


TRIES = 3
"""How often a peer is measured until its two epochs can be extrapolated."""


class Disturbed(Exception):
    """Other work on the machine took longer than what was measured."""


def count(data: Path, part: str = "train") -> int:
    """Pictures of a part."""
    return sum(1 for path in (data / part).rglob("*") if path.is_file())


@contextmanager
def subset(data: Path, each: int, judged: int | None = None) -> Iterator[Path]:
    """A folder with so many pictures of each part (`judged` of the test), as links, equally many of every class."""
    with tempfile.TemporaryDirectory() as place:
        for part, most in (("train", each), ("test", judged or each)):
            classes = sorted(path for path in (data / part).iterdir() if path.is_dir())
            for folder in classes:
                files = sorted(folder.iterdir())
                (Path(place) / part / folder.name).mkdir(parents=True)
                for i in np.unique(np.linspace(0, len(files) - 1, most // len(classes)).astype(int)):
                    (Path(place) / part / folder.name / files[i].name).symlink_to(files[i].resolve())
        yield Path(place)


def extrapolated(found: dict[str, Any], each: int, full: int) -> float:
    """Seconds for `full` pictures of a part and `EPOCHS`, from a peer that ran on `each` of them, and on half.

    What an epoch takes for a picture is the difference between those on all and on half; what it takes beside is not
    multiplied. So is what the process takes beside, once. Features predicted once are in proportion to the pictures.
    """
    if "once_s" in found:
        return float(found["wall_s"]) + found["once_s"] * (full / each - 1)
    first, usual = found["epoch_s"]
    of_one = (usual - found["half_s"]) / (each - each // 2)
    if of_one <= 0:
        raise Disturbed(f"an epoch on {each} pictures took {usual:.2f} s, one on half of them {found['half_s']:.2f} s")
    beside = found["wall_s"] - first - usual - found["half_s"] + max(0.0, first - usual)
    return float(beside + EPOCHS * (usual + of_one * (full - each)))


def ways(
    data: Path, parts: tuple[Path, Path], each: int, weights: Path, threads: int, cache: Path
) -> tuple[dict[str, Callable[[], float]], dict[str, list[float]]]:
    """What is measured by turns, and where the accuracies of Headstart come to stand."""
    keras = environment("keras", ["tensorflow-cpu", "keras>=3.5", "pillow"])
    fastai = environment("fastai", ["fastai", *same(*TORCH)], same("torch", "torchvision"))
    transformers = environment("transformers", ["transformers", "accelerate", *same(*TORCH)])
    accuracies: dict[str, list[float]] = {COLD: [], AGAIN: []}
    kept: list[Path] = []

    def headstart(name: str, *options: str) -> float:
        if name == COLD:
            kept.append(Path(tempfile.mkdtemp(dir=cache)))
        out = kept[-1] / name.replace(" ", "-")
        arguments = ["fit", str(data), "--backbone", "mobilenetv2_100", "--weights", str(weights), "--out", str(out)]
        seconds, _ = command(*arguments, *options, threads=threads, cache=kept[-1] / "cache")
        from headstart import load_run

        accuracies[name].append(load_run(out).scores["after"]["test"]["accuracy"])
        return seconds

    def peer(python: Path, script: str, form: str) -> Callable[[], float]:
        given = {"data": parts[0], "half": parts[1], "form": form}
        given |= {"full": count(data)} if script.startswith("keras") else {}

        def seconds() -> float:
            for left in reversed(range(TRIES)):
                try:
                    return extrapolated(told(python, script, given, threads), each, count(data))
                except Disturbed as error:
                    if not left:
                        raise SystemExit(f"{script}, {form}: {error}; measure on an idle machine.") from None
            raise AssertionError

        return seconds

    found = {
        COLD: lambda: headstart(COLD),
        AGAIN: lambda: headstart(AGAIN, "--head", "ridge"),
        LOOPS[0]: peer(keras, "keras_classifier.py", "guide"),
        ONCE: peer(keras, "keras_classifier.py", "once"),
        "Keras, width 0.35, Dense 128, 50 epochs": peer(keras, "keras_classifier.py", "appliance"),
        LOOPS[1]: peer(fastai, "torch_classifier.py", "fastai"),
        LOOPS[2]: peer(transformers, "torch_classifier.py", "trainer"),
        LOOPS[3]: peer(transformers, "torch_classifier.py", "loop"),
    }
    return found, accuracies


def accuracies_of_peers(data: Path, weights: Path, threads: int, cache: Path) -> dict[str, float]:
    """Test accuracy of the peers' heads on the features of this network."""
    out = cache / "features.npz"
    options = ["--backbone", "mobilenetv2_100", "--weights", str(weights), "--out", str(out)]
    command("features", str(data), *options, threads=threads, cache=cache / "features")
    keras = environment("keras", ["tensorflow-cpu", "keras>=3.5", "pillow"])
    torch = environment("transformers", ["transformers", "accelerate", *same(*TORCH)])
    asked = {"features": out}
    return {
        LOOPS[0]: told(keras, "keras_classifier.py", asked, threads)["accuracy"],
        LOOPS[3]: told(torch, "torch_classifier.py", asked, threads)["accuracy"],
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="192 pictures of each part for the peers")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    each = asked.pictures or (192 if asked.quick else 384)
    n = count(asked.data)
    half = subset(asked.data, each // 2)
    with subset(asked.data, each) as part, half as less, tempfile.TemporaryDirectory() as cache:
        measured, ours = ways(asked.data, (part, less), each, asked.weights.resolve(), asked.threads, Path(cache))
        found = by_turns(measured, asked.rounds)
        theirs = accuracies_of_peers(asked.data, asked.weights.resolve(), asked.threads, Path(cache))
    best = [min(found[name][i] for name in LOOPS) for i in range(asked.rounds)]
    times = {
        "best loop": [b / a for a, b in zip(found[COLD], best, strict=True)],
        "once": [b / a for a, b in zip(found[COLD], found[ONCE], strict=True)],
        "again": [b / a for a, b in zip(found[AGAIN], best, strict=True)],
    }
    middle = {name: float(np.median(values)) for name, values in times.items()}
    own, best_peer = float(np.median(ours[COLD])), max(theirs.values())
    chance = 1.96 * float(np.sqrt(2 * best_peer * (1 - best_peer) / count(asked.data, "test")))
    compared = (
        f"{100 * own:.2f}% against {100 * best_peer:.2f}%; "
        f"a difference of up to {100 * chance:.2f} points may be chance"
    )
    notes = {name: f"{100 * value:.2f}% right" for name, value in theirs.items()}
    notes |= {name: f"{100 * np.median(values):.2f}% right" for name, values in ours.items()}
    notes |= {name: ("extrapolated; " + notes.get(name, "")).rstrip("; ") for name in measured if name not in ours}
    rows: list[Row] = rows_of(found, "s", COLD, notes)
    Result(
        "classifier", "Time to a classifier", {f"{2 * n:,} pictures, {EPOCHS} epochs of head training": rows},
        "its time as a multiple of Headstart's from a cold start",
        [
            (f"15 times as fast as the best loop: {middle['best loop']:.1f} times", middle["best loop"] >= 15),
            (f"4 times as fast as features predicted once: {middle['once']:.1f} times", middle["once"] >= 4),
            (
                f"refitting with another head 80 times as fast as the best loop: {middle['again']:.0f} times",
                middle["again"] >= 80,
            ),
            (f"an accuracy no lower than the peers', except by chance: {compared}", own >= best_peer - chance),
        ],
        [
            f"To save time, the peers ran two epochs on {each} pictures of each part, and one epoch on half of them. "
            "The seconds for all pictures and 10 epochs are extrapolated: the cost per picture is the difference "
            "between the two, the rest of an epoch is added for each epoch, and the rest of the process is added once.",
            "The peers' networks have random weights, which does not change the time. The accuracies of the two loops "
            "are those of their heads after 10 epochs on the same ImageNet features that Headstart uses, without their "
            "augmentation.",
            f"fastai runs with this version of PyTorch, which is newer than those it asks for. Everyone gets "
            f"{asked.threads} threads.",
        ],
        charted=f"{2 * n:,} pictures, {EPOCHS} epochs of head training",
    ).keep()  # fmt: skip


if __name__ == "__main__":
    main()
