"""A process that trains cells of a study: `python -m headstart.study.worker`, started by `study.networks`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import HeadstartError
from headstart.features.extract import Settings
from headstart.paths import features_dir
from headstart.study.arms import arms_of
from headstart.study.cells import Where
from headstart.study.folder import RECIPE, ArmFolder, seen
from headstart.study.networks import Networks
from headstart.study.recipe import StudyRecipe
from headstart.study.subsets import subsets


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, so that two never train the same cell."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def main() -> None:
    """A worker's life: what it works on in its argument, then a line for each cell, answered by a line."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    asked: dict[str, Any] = json.loads(sys.argv[1])
    study, kept = Path(asked["study"]), ArmFolder(Path(asked["kept"]))
    recipe = StudyRecipe.load(study / RECIPE)
    drawn = subsets(recipe)
    looks = seen(study, drawn.mark())
    if looks is not None:
        drawn = drawn.without(np.array(looks["looks"]["refused_at"], dtype=np.int64))
    arm = next(arm for arm in arms_of(recipe) if arm.name == asked["arm"])
    networks = Networks(recipe, drawn, arm, asked["side"], kept, Settings(features_dir() if asked["store"] else None))
    for line in sys.stdin:
        failed = None
        try:
            networks.fit(Where(**json.loads(line)))
        except HeadstartError as error:
            failed = str(error)
        print(json.dumps({"failed": failed}), flush=True)


if __name__ == "__main__":
    main()
