"""Features of any number of pictures as Parquet shards, by a cluster: the same numbers as by one process."""

from __future__ import annotations

from dataclasses import replace

from headstart.cluster.connect import connected
from headstart.cluster.pool import Made, Plan, finished, make, plan_of, shards_at
from headstart.cluster.rows import ExtractRows, shippable
from headstart.errors import DataError
from headstart.feature_files import pictures_of
from headstart.feature_source import feature_source
from headstart.paths import absolute
from headstart.progress import Progress, silent
from headstart.recipe import Recipe


def features(recipe: Recipe, out: str, cluster: str, progress: Progress = silent, *, labels: bool = True) -> Made:
    """The features that a recipe's data, backbone and engine name, as shards in the folder or address `out`.

    Raises UserError where `out` holds something else, DataError where no picture can be used.
    """
    recipe = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"source": absolute(recipe.data.source)})}
    )  # which says where the pictures are to whoever fits a head on the shards
    images = pictures_of(recipe, labels=labels)
    if recipe.data.strict and images.refused:
        raise images.refused[0].error()
    storage = shards_at(out)
    if recipe.engine.device == "auto" and cluster != "local":
        recipe = _on_the_best(recipe, cluster)
    source = feature_source(recipe, images)
    made_by = {**source.space(), "max_pixels": images.limits.max_pixels}
    manifest, jobs = plan_of("features", images, made_by)
    notes = (*images.notes, *(source.backbone.notes if source.backbone else ()))
    manifest = replace(manifest, recipe=recipe.model_dump(exclude_none=True), notes=notes)
    found = finished(storage, manifest)
    if found is None:
        with connected(cluster) as ray:
            opened = ExtractRows(shippable(ray, source), recipe.data.strict)
            plan = Plan(images, storage, opened, manifest, gpus=source.engine.device == "cuda")
            found = make(ray, plan, jobs, progress)
    if not found.manifest.rows:
        raise DataError(f"None of the {len(images):,} pictures of {images.title} can be used; {storage} lists why.")
    return found


def _on_the_best(recipe: Recipe, cluster: str) -> Recipe:
    """The recipe on the cluster's GPUs, where it has some and the engine may use them."""
    if recipe.engine.name == "openvino" or recipe.method == "pixels":
        return recipe
    with connected(cluster) as ray:
        device = "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"device": device})})
