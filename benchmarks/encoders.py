"""What the size rule saves: pictures a second of an encoder at its own size and at the size that pays, as one ratio.

python benchmarks/encoders.py                  DINOv2 small, 518 against 224: at least 5 times as fast
python benchmarks/encoders.py --name NAME      another network of a fixed size

Random weights, which run as fast as trained ones; the two sizes in turns, so that other work slows both alike.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from headstart.backbones import BaseBackbone, resolve
from headstart.engines import choose

FLOOR = 5.0
ROUNDS = 3


def rate(backbone: BaseBackbone, engine: object, n: int) -> float:
    """Pictures a second of one round; the engine is open."""
    side = backbone.preprocess.height
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    begun = time.perf_counter()
    engine.run(pixels)  # type: ignore[attr-defined]
    return n / (time.perf_counter() - begun)


def main() -> int:
    """Print the rates and their ratio; 1 where the floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="vit_small_patch14_dinov2")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--pictures", type=int, default=8)
    asked = parser.parse_args()
    own = resolve(asked.name, "none")
    size = own.usual_size(small=False)
    both = [own, own.at(size)]
    choice = choose(asked.engine)
    engines = [choice.open(each, "pooled", each.preprocess) for each in both]
    for each, engine in zip(both, engines, strict=True):
        rate(each, engine, 2)  # warm
    rates = np.array([[rate(b, e, asked.pictures) for b, e in zip(both, engines, strict=True)] for _ in range(ROUNDS)])
    ratio = float(np.median(rates[:, 1] / rates[:, 0]))
    for each, found in zip(both, np.median(rates, axis=0), strict=True):
        print(f"{each.name} at {each.preprocess.height}: {found:.2f} pictures a second")
    print(f"ratio {ratio:.2f} (floor {FLOOR:g}), {choice.name} on {choice.device}")
    return 0 if ratio >= FLOOR or asked.name != parser.get_default("name") else 1


if __name__ == "__main__":
    raise SystemExit(main())
