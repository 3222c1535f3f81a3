"""Every speed benchmark, one after the other, and docs/benchmarks.md from what they find.

    python benchmarks/bench.py DATA WEIGHTS [--full] [--only startup,store] [--rounds 3]

DATA is cats_vs_dogs (`train` and `test`, a folder for each class), WEIGHTS the file of mobilenetv2_100. Without --full,
each runs at its quick size, half an hour in all on two idle cores. One that fails is told of and the others go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import HERE, surroundings

WANTED = {
    "startup": ("data", "weights"), "classifier": ("data", "weights"), "extraction": ("data",),
    "decoding": ("data", "weights"), "logistic": (), "finetune": ("data", "weights"), "store": (), "growth": (),
    "precision": ("data", "weights"),
}  # fmt: skip
"""What each is given."""


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default=",".join(WANTED))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    failed = []
    for name in asked.only.split(","):
        command = [sys.executable, str(HERE / f"{name}.py")]
        command += [str(asked.data.resolve())] if "data" in WANTED[name] else []
        command += ["--weights", str(asked.weights.resolve())] if "weights" in WANTED[name] else []
        command += [] if asked.full else ["--quick"]
        command += ["--rounds", str(asked.rounds)] if asked.rounds else []
        print(f"== {name}", flush=True)
        begun = time.perf_counter()
        done = subprocess.run(command, env=surroundings(asked.threads, ours=True), check=False)
        print(f"== {name}: {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)
        failed += [name] if done.returncode else []
    subprocess.run([sys.executable, str(HERE / "report.py")], check=True)
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
