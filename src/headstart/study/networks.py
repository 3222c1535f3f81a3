"""Cells that train a network, on all cores: one process for each, which takes one cell after another.

A process runs `study.worker`: it draws the study's subsets for itself and is told cells by line, so nothing is pickled
and a script that calls `compare` need not be guarded against being imported again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from headstart.errors import HeadstartError
from headstart.features.auto import with_augment
from headstart.features.extract import Settings
from headstart.progress import Progress, silent
from headstart.study.arms import Arm
from headstart.study.cells import Cell, Where, fit_network
from headstart.study.folder import ArmFolder
from headstart.study.recipe import StudyRecipe
from headstart.study.subsets import Subsets
from headstart.threads import cores


@dataclass(frozen=True)
class Networks:
    """The trainings of one arm. `side` is that of the network's input in every cell, None for each cell's own."""

    recipe: StudyRecipe
    drawn: Subsets
    arm: Arm
    side: int | None
    kept: ArmFolder
    settings: Settings

    def fit(self, where: Where, progress: Progress = silent) -> Cell:
        """Train on one cell and keep what came of it; every repeat begins with its own random numbers.

        On the CPU with one thread, however many cells are trained at once, so that results do not depend on it.
        """
        images, _ = self.drawn.cell((where.size, where.repeat))
        recipe = with_augment(self.arm.recipe, self.drawn.images)
        threads = recipe.training.threads or 1
        chosen = {
            "backbone": recipe.backbone.model_copy(update={"image_size": self.side}),
            "training": recipe.training.model_copy(update={"threads": threads}),
            "seed": self.recipe.seed + where.repeat,
        }
        folder = self.kept.training(where.size, where.repeat)
        cell = fit_network(recipe.model_copy(update=chosen), images, folder, self.settings, where, progress)
        self.kept.keep(cell)
        return cell

    def fitted(self, where: Where, progress: Progress = silent) -> Cell | str:
        """The cell, or why there is none."""
        try:
            return self.fit(where, progress)
        except HeadstartError as error:
            return where.failed(error)

    def fit_all(
        self, study: Path, pending: Sequence[Where], on_cpu: bool, progress: Progress
    ) -> Generator[Cell | str, None, None]:
        """Every pending cell, or why it failed, as they are done; `study` is the folder that says what was asked."""
        workers = min(cores() // (self.recipe.training.threads or 1), len(pending)) if on_cpu else 1
        if workers > 1:
            yield from self._in_processes(study, pending, workers)
            return
        for where in pending:
            yield self.fitted(where, progress)

    def _in_processes(self, study: Path, pending: Sequence[Where], workers: int) -> Generator[Cell | str, None, None]:
        asked = {
            "study": str(study),
            "arm": self.arm.name,
            "side": self.side,
            "kept": str(self.kept.folder),
            "store": self.settings.store is not None,
        }
        command = json.dumps(asked)
        crew = [_Worker(command) for _ in range(workers)]
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in crew:
            idle.put(worker)

        def fitted(where: Where) -> Cell | str:
            worker = idle.get()
            if worker.process.poll() is not None:  # it was ended at an earlier cell, by lack of memory perhaps
                worker = _Worker(command)
                crew.append(worker)
            try:
                said = worker.fit(where)
            finally:
                idle.put(worker)
            found = self.kept.cell(where.size, where.repeat, where.pictures)
            return found if found is not None and said is None else where.failed(said or "it was not kept")

        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(fitted, where) for where in pending]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()
                for worker in crew:
                    worker.end()


class _Worker:
    """A process that trains the cells it is told."""

    def __init__(self, command: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        arguments = [sys.executable, "-m", "headstart.study.worker", command]
        apart: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}  # Ctrl-C is the parent's to answer
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, **apart
        )

    def fit(self, where: Where) -> str | None:
        """Train a cell; None, or the sentence why it failed."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(asdict(where)) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            return f"its process ended with code {self.process.wait()}; out of memory, perhaps."
        failed: str | None = json.loads(line)["failed"]
        return failed

    def end(self) -> None:
        """Stop it, whatever it does; what it trained half is taken up again by the next study in the folder."""
        with contextlib.suppress(OSError), self.process:  # which closes its pipes and waits
            self.process.kill()
