"""What a GPU brings, and how close the engine comes to a bare loop of PyTorch on it; all measured in one run.

    python benchmarks/gpu.py [DATA --weights FILE] [--rounds 5]

For each network (random weights), in float32 and mixed precision: pictures per second of the engine on pictures in
memory, as a share of a bare loop's with pinned memory and the next batch copied meanwhile; medians over rounds that
alternate. With DATA and weights of mobilenetv2_100: seconds and accuracy of frozen features and of fine-tuning.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import headstart
from headstart.backbones import as_pytorch, resolve
from headstart.engines.choice import EngineChoice

NETWORKS = ("mobilenetv2_100", "resnet50", "vit_small_patch16_224")
N = 2048
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("features", {}),
    ("finetune", {"unfreeze": 3}),
    ("finetune", {"unfreeze": "all"}),
)


def bare_loop(name: str, pictures: np.ndarray, mixed: bool) -> float:
    """Pictures per second of a plain loop, batches of 64, channels last, the copy of a batch beside the work.

    Without TF32 in float32, as features must agree between engines.
    """
    torch.backends.cudnn.allow_tf32 = mixed
    backbone = resolve(name, "none", seed=0)
    net = as_pytorch(backbone).features("pooled").cuda().eval().to(memory_format=torch.channels_last)
    mean = torch.tensor(backbone.preprocess.mean, device="cuda").view(1, -1, 1, 1) * 255
    std = torch.tensor(backbone.preprocess.std, device="cuda").view(1, -1, 1, 1) * 255
    batches = [torch.from_numpy(pictures[i : i + 64]).pin_memory() for i in range(0, len(pictures), 64)]

    def work() -> None:
        rows = []
        with torch.inference_mode(), torch.autocast("cuda", enabled=mixed):
            for batch in batches:
                pixels = batch.to("cuda", non_blocking=True).permute(0, 3, 1, 2)
                rows.append(net(((pixels.float() - mean) / std).contiguous(memory_format=torch.channels_last)).float())
            torch.cat(rows).cpu()

    work()
    began = time.perf_counter()
    work()
    return len(pictures) / (time.perf_counter() - began)


def engine(name: str, pictures: np.ndarray, mixed: bool) -> float:
    """Pictures per second of Headstart's engine on the same pictures."""
    backbone = resolve(name, "none", seed=0)
    opened = EngineChoice("torch", "cuda", "mixed" if mixed else "float32").open(
        backbone, "pooled", backbone.preprocess
    )
    opened.run(pictures[:256])
    began = time.perf_counter()
    for _ in opened.stream(enumerate(pictures)):
        pass
    return len(pictures) / (time.perf_counter() - began)


def rates(rounds: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (N, 224, 224, 3), dtype=np.uint8)
    for name in NETWORKS:
        for mixed in (False, True):
            pairs = [(engine(name, pictures, mixed), bare_loop(name, pictures, mixed)) for _ in range(rounds)]
            ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
            shares = sorted(a / b for a, b in pairs)
            print(
                f"{name:24}{'mixed' if mixed else 'float32':8}{ours:9,.0f} images/s, a bare loop {bare:9,.0f}: "
                f"{statistics.median(shares):.2f} ({shares[0]:.2f} to {shares[-1]:.2f})",
                flush=True,
            )


def jobs(data: str, weights: str) -> None:
    """Whole runs: frozen features, fine-tuning of three blocks and of everything, in both precisions."""
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "mixed"):
            for method, training in (
                ("features", {}),
                ("finetune", {"unfreeze": 3}),
                ("finetune", {"unfreeze": "all"}),
            ):
                out = Path(folder) / f"{precision}-{method}-{training.get('unfreeze')}"
                began = time.perf_counter()
                run = headstart.fit(
                    data, backbone="mobilenetv2_100", weights=weights, method=method, training=training, device="cuda",
                    precision=precision, store=False, out=out,
                )  # fmt: skip
                told = run.content.after["test"]
                what = f"{method} {training.get('unfreeze', '')}".strip()
                print(
                    f"{what:16}{precision:8}{time.perf_counter() - began:7.1f} s, test accuracy {told.accuracy:.4f}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--weights")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    rates(asked.rounds)
    if asked.data and asked.weights:
        jobs(asked.data, asked.weights)


if __name__ == "__main__":
    main()
