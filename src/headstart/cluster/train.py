"""A network trained by several workers of Ray Train, on the loop and the checkpoints of one process.

The workers do the training alone and leave its last state in the run folder; whoever asked then goes on from there as
`resume` does. Where one is lost all begin again from the last state that was kept, with another in its place or, where
there is no room for one, without: the losses are the same with any number.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart import outputs
from headstart.cluster.connect import connected, is_client
from headstart.errors import HeadstartError, NotConverged, UserError
from headstart.features.extract import Settings
from headstart.fitting import STATE, begin_training, check_unfinished
from headstart.progress import Progress, silent
from headstart.recipe import TRAINED, Recipe
from headstart.run import default_name

AGAIN = 3
"""How often the workers begin again, from the last state kept, after one was lost."""
TELLING_S = 0.5
"""Seconds between two looks at how far they are."""


@dataclass(frozen=True)
class Workers:
    """How many train, and on which cluster."""

    count: int
    cluster: str = "local"


def train(
    recipe: Recipe, out: Path | str | None, workers: Workers, settings: Settings, progress: Progress = silent,
    *, resume: bool = False,
) -> Path:  # fmt: skip
    """Train the network of a recipe; the run folder, whose training is at its end and is to be resumed.

    All nodes must see the folder, the pictures and the weights at the same place. Raises UserError and its kinds.
    """
    if recipe.method not in TRAINED:
        raise UserError(
            f"`workers` is for training a network; with method={recipe.method} only a head is fitted, so leave it out."
        )
    if workers.count < 1:
        raise UserError(f"workers={workers.count}: it must be at least 1.")
    data = recipe.data
    folder = outputs.output_folder(out, Path("runs") / default_name(recipe), data.source, data.test)
    folder = folder.absolute()
    check_unfinished(folder, resume)
    if recipe.training.threads is None:
        recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"threads": 1})})
    with outputs.given_back(folder), connected(workers.cluster) as ray:
        if is_client(ray):
            raise UserError(
                "`workers` can only be started on a node of the cluster: run this command there, with cluster=auto."
            )
        _check_room(ray, workers.count, recipe)
        try:
            _run(ray, {"recipe": recipe, "folder": folder, "settings": settings, "resume": resume}, workers, progress)
        except BaseException:
            if not _kept(folder):  # a folder without a state is nothing to go on from
                shutil.rmtree(folder / STATE, ignore_errors=True)
            raise
    return folder


def _kept(folder: Path) -> bool:
    """Whether a state of the training was saved."""
    return any((folder / STATE).glob("*.safetensors"))


def _check_room(ray: Any, count: int, recipe: Recipe) -> None:
    """Raise UserError where the cluster has not so many workers at once: Ray would wait for them without end."""
    kind = "GPU" if recipe.engine.device == "cuda" else "CPU"
    have = int(ray.cluster_resources().get(kind, 0)) // (1 if kind == "GPU" else recipe.training.threads or 1)
    if count > have:
        raise UserError(f"workers={count}: the cluster has room for {have}; give fewer, or add nodes.")


def _run(ray: Any, asked: dict[str, Any], workers: Workers, progress: Progress) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    recipe, kept = asked["recipe"], asked["folder"] / STATE
    gpu = recipe.engine.device == "cuda"
    each = {"CPU": recipe.training.threads or 1, **({"GPU": 1} if gpu else {})}
    many = workers.count if workers.count == 1 else (1, workers.count)  # after a loss with as many as are left
    outputs.make(kept)
    with _telling(ray, progress) as told:
        trainer = TorchTrainer(
            _work,
            train_loop_config=asked | {"told": told},
            scaling_config=ScalingConfig(num_workers=many, use_gpu=gpu, resources_per_worker=each),
            run_config=RunConfig(
                name="ray", storage_path=str(kept), failure_config=FailureConfig(max_failures=AGAIN),
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )  # fmt: skip
        try:
            found = trainer.fit().return_value
        except ray.train.TrainingFailedError as error:
            raise _why(error) from error
    if isinstance(found, UserError):
        raise found


def _why(error: Any) -> Exception:
    """The worker's own error, where it is one of ours; else the sentence."""
    failures = getattr(error, "worker_failures", None) or {}
    for each in failures.values():
        inner = getattr(each, "cause", None) or each.__cause__ or each
        if isinstance(inner, HeadstartError):
            return inner
        if isinstance(each, HeadstartError):
            return each
    first = str(next(iter(failures.values()), error)).strip().splitlines()
    said = first[-1].rstrip(".") if first else type(error).__name__
    return HeadstartError(
        f"The workers failed {AGAIN + 1} times ({said}); what was trained is kept: add `resume` to continue."
    )


def _work(asked: dict[str, Any]) -> UserError | None:
    """A worker's life: everything before the training, and the training.

    An error that all workers meet is given back: to raise it would only make Ray begin again.
    """
    from headstart.training.crew import Crew
    from headstart.tuning.tune import prepared

    crew, recipe, folder, settings = Crew.here(), asked["recipe"], asked["folder"], asked["settings"]
    progress = _Telling(asked["told"]) if crew.rank == 0 else silent
    resume = crew.of_first(lambda: asked["resume"] or _kept(folder))  # the latter: begun again
    try:
        begun = crew.first_before_others(lambda: begin_training(recipe, folder, settings, progress, resume=resume))
        train = prepared(begun.recipe, begun.split, begun.rows, begun.head, progress)
    except UserError as error:
        return error
    try:
        train(begun.keeper)
    except NotConverged as error:
        return error
    return None


class _Telling:
    """A Progress that tells an actor, not more often than it is looked at."""

    def __init__(self, told: Any) -> None:
        self.told, self.last = told, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self.last >= TELLING_S:
            self.last = now
            self.told.put.remote((stage, done, total))


class _Told:
    """The actor: what the first worker has said and nobody has heard."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, int]] = []

    def put(self, said: tuple[str, int, int]) -> None:
        self.said.append(said)

    def take(self) -> list[tuple[str, int, int]]:
        said, self.said = self.said, []
        return said


@contextmanager
def _telling(ray: Any, progress: Progress) -> Iterator[Any]:
    """An actor for what workers say, which `progress` hears while the block runs."""
    told = ray.remote(_Told).options(num_cpus=0).remote()
    ended = threading.Event()

    def hear() -> None:
        while not ended.wait(TELLING_S):
            for said in ray.get(told.take.remote()):
                progress(*said)

    thread = threading.Thread(target=hear, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join()
        ray.kill(told)
