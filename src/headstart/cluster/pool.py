"""Pictures to Parquet shards by a pool of actors of Ray Data: what is there already is not made again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.cluster.connect import disk_full, is_client
from headstart.errors import HeadstartError, UserError
from headstart.features.jobs import Job, jobs_of, mark_of
from headstart.features.shards import read_manifest, write_manifest, write_shard, written
from headstart.images import ImageSet, Refusal
from headstart.images.archive import Member
from headstart.phrases import plural
from headstart.progress import Progress, silent
from headstart.schema.files import from_json, to_json
from headstart.schema.shards import FILE, RefusedPicture, Shard, ShardManifest
from headstart.shared import full
from headstart.storage import Storage

Columns = Mapping[str, Any]
Compute = Callable[[ImageSet], tuple[Columns, Sequence[Refusal]]]
"""Pictures to the columns of a shard, and those that could not be used."""
Open = Callable[[int], Compute]
"""Made once by every actor, for so many threads."""
WrittenShard = tuple[Shard, tuple[RefusedPicture, ...]]


LOOK_S = 2.0
"""Seconds between two looks at what a cluster far away has done."""


@dataclass(frozen=True)
class Plan:
    """What is to be made: `images` to shards in `storage`, by what `opened` gives on a worker.

    `manifest` says what the shards will be, all but what is known in the end; its `made_by` has all that rows depend on
    beside the pictures. `gpus` is whether each actor needs one.
    """

    images: ImageSet
    storage: Storage
    opened: Open
    manifest: ShardManifest
    gpus: bool = False


@dataclass(frozen=True)
class Task:
    """A shard to be made, and the pictures that it is made of, by reference."""

    job: Job
    images: ImageSet


@dataclass(frozen=True)
class Made:
    """The finished shards; `computed` pictures were read for them now, the others before."""

    storage: Storage
    manifest: ShardManifest
    computed: int

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The pictures that were left out."""
        return tuple(Refusal(each.name, each.reason, each.detail) for each in self.manifest.refused)


def shards_at(out: str) -> Storage:
    """The folder or address for shards. Raises UserError for the name of a single file."""
    if out.lower().endswith((".csv", ".json", ".parquet", ".npz")):
        raise UserError(
            f"out={out} is the name of a file, but a cluster writes a folder of Parquet shards; name a folder."
        )
    return Storage.of(out)


def plan_of(kind: str, images: ImageSet, made_by: Mapping[str, Any]) -> tuple[ShardManifest, list[Job]]:
    """What the manifest of these pictures will be, and the shards to make."""
    jobs = jobs_of(images, made_by)
    refused = tuple(RefusedPicture(r.name, r.reason, r.detail) for r in images.refused)
    manifest = ShardManifest(
        kind, mark_of(jobs), made_by, len(images), 0, (), classes=images.classes, title=images.title,
        refused=refused, notes=images.notes, test_drawn=images.test_drawn,
    )  # fmt: skip
    return manifest, jobs


def finished(storage: Storage, manifest: ShardManifest) -> Made | None:
    """The shards, where they are all there already: no cluster is needed then.

    Raises UserError where the folder holds something else, so that nothing is overwritten.
    """
    known, names = read_manifest(storage), {stored.name for stored in storage.files()}
    if known is None and any(not name.startswith("part-") for name in names):
        raise UserError(f"out={storage} holds other files but no shards; name a new folder.")
    if known is None or known.mark != manifest.mark or not {shard.file for shard in known.shards} <= names:
        return None
    return Made(storage, known, 0)


def make(ray: Any, plan: Plan, jobs: Sequence[Job], progress: Progress = silent) -> Made:
    """Make what is missing, and write the manifest when all is there. Raises as `connect.in_words` says."""
    plan = replace(plan, images=placed(plan.images))
    there = {stored.name for stored in plan.storage.files()}
    kept = [job for job in jobs if job.file in there]
    with ThreadPoolExecutor(8) as pool:
        found = {job.file: told for job, told in zip(kept, pool.map(_written(plan), kept), strict=True) if told}
    missing = [job for job in jobs if job.file not in found]
    total, done = len(plan.images), len(plan.images) - sum(job.stop - job.start for job in missing)
    progress("extract", done, total)
    if missing:
        for row in _rows_there(ray, plan, missing, progress) if is_client(ray) else _rows(ray, plan, missing):
            if "failed" in row:
                raise (UserError if row["user"] else HeadstartError)(row["failed"])
            shard, refused = from_json(Shard, row["shard"]), row["refused"]
            found[shard.file] = shard, tuple(from_json(RefusedPicture, each) for each in refused)
            done += shard.pictures
            progress("extract", done, total)
    _check_visible(plan.storage, found)
    return _sealed(plan, [found[job.file] for job in jobs], sum(job.stop - job.start for job in missing))


def _written(plan: Plan) -> Callable[[Job], WrittenShard | None]:
    return lambda job: written(plan.storage, job.file)


def _rows_there(ray: Any, plan: Plan, missing: Sequence[Job], progress: Progress) -> list[dict[str, Any]]:
    """As `_rows`, from a task on the cluster: Ray Data does not run in a client far away. All at the end."""

    def all_rows(plan: Plan, missing: Sequence[Job]) -> list[dict[str, Any]]:
        import ray

        return list(_rows(ray, plan, missing))

    task = ray.remote(all_rows).options(num_cpus=0).remote(plan, missing)
    left, total = {job.file: job.stop - job.start for job in missing}, len(plan.images)
    while not ray.wait([task], timeout=LOOK_S)[0]:
        there = {stored.name for stored in plan.storage.files()}
        progress("extract", total - sum(n for file, n in left.items() if file not in there), total)
    rows: list[dict[str, Any]] = ray.get(task)
    return rows


def _rows(ray: Any, plan: Plan, missing: Sequence[Job]) -> Any:
    """What each shard is, as they are finished, in any order."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.execution_options.verbose_progress = False
    context.raise_original_map_exception = False
    workers, cpus, gpus = _sizes(ray, plan.gpus)
    opened = ray.put(plan.opened)
    items = [{"task": Task(job, plan.images.take(np.arange(job.start, job.stop)))} for job in missing]
    actors = min(workers, len(missing))
    rows = from_items(items, override_num_blocks=len(items))
    made = rows.map_batches(
        Worker, fn_constructor_args=([opened], plan.storage, cpus), batch_size=1, batch_format="numpy",
        compute=ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=2),
        num_cpus=cpus, num_gpus=gpus,
    )  # fmt: skip
    for row in made.iter_rows():
        yield json.loads(row["made"])


def _sizes(ray: Any, gpus: bool) -> tuple[int, int, int]:
    """Actors, and the cores and GPUs of each: one for each GPU of the cluster, or one for each core."""
    have = ray.cluster_resources()
    cores = max(1, int(have.get("CPU", 1)))
    if not gpus:
        return cores, 1, 0
    cards = int(have.get("GPU", 0))
    if not cards:
        raise UserError("device=cuda: no node of the cluster has a GPU; use device=cpu.")
    return cards, max(1, cores // cards), 1


class Worker:
    """An actor of the pool: holds open what computes, and writes shards."""

    def __init__(self, opened: list[Any], storage: Storage, threads: int) -> None:
        import ray

        make: Open = ray.get(opened[0])  # in a list: an actor that is started again fetches it again
        self.compute, self.storage = make(threads), storage

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make the shards of some jobs."""
        return {"made": [self._made(task) for task in batch["task"]]}

    def _made(self, task: Task) -> str:
        """What the shard is, or why there is none: an error that is raised would lose its kind on the way."""
        try:
            return self._told(task)
        except HeadstartError as error:
            return json.dumps({"failed": str(error), "user": isinstance(error, UserError)})
        except OSError as error:
            if full(error) is None:
                raise
            return json.dumps({"failed": disk_full(error), "user": False})

    def _told(self, task: Task) -> str:
        told = written(self.storage, task.job.file)  # by an actor that was lost before it could say so
        if told is None:
            columns, refused = self.compute(task.images)
            told = write_shard(self.storage, task.job, columns, refused)
        return json.dumps({"shard": to_json(told[0]), "refused": to_json(told[1])})


def placed(images: ImageSet) -> ImageSet:
    """The pictures by absolute paths: a worker may be in another folder."""
    if isinstance(images.items, np.ndarray):
        return images
    return replace(images, items=[_absolute(item) for item in images.items])


def _absolute(item: Any) -> Any:
    if isinstance(item, Member):
        return replace(item, archive=item.archive.absolute())
    return item.absolute() if isinstance(item, Path) else item


def _check_visible(storage: Storage, found: Mapping[str, WrittenShard]) -> None:
    """Raise UserError where workers wrote to disks that are not seen from here."""
    there = {stored.name for stored in storage.files()}
    if lost := sorted(set(found) - there):
        some = f"{plural(len(lost), 'shard')} {'was' if len(lost) == 1 else 'were'}"
        raise UserError(
            f"out={storage}: {some} written by workers that see another disk; name a folder that all nodes share, or "
            "an address such as s3://bucket/features."
        )


def _sealed(plan: Plan, told: Sequence[WrittenShard], computed: int) -> Made:
    """Write the manifest; shards of other pictures or settings go."""
    shards = tuple(shard for shard, _ in told)
    left = tuple(each for _, refused in told for each in refused)
    manifest = replace(
        plan.manifest, shards=shards, rows=sum(shard.rows for shard in shards),
        columns=_width(plan.storage, shards) if plan.manifest.kind == "features" else None,
        refused=(*plan.manifest.refused, *left),
    )  # fmt: skip
    write_manifest(plan.storage, manifest)
    known = {FILE, *(shard.file for shard in shards)}
    for stored in list(plan.storage.files()):
        if stored.name.startswith("part-") and stored.name not in known:
            plan.storage.delete(stored.name)
    return Made(plan.storage, manifest, computed)


def _width(storage: Storage, shards: Sequence[Shard]) -> int | None:
    """The number of features, from the first shard that has a row."""
    import pyarrow.parquet as pq

    first = next((shard for shard in shards if shard.rows), None)
    if first is None:
        return None
    with storage.open(first.file) as file:
        return int(pq.read_schema(file).field("features").type.list_size)
