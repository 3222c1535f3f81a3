"""`headstart evaluate`, `predict` and `features`: a finished run, or a backbone, on other pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import arguments
from headstart.cli.flags import flagged
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headstart.cluster.predict import Asked
    from headstart.predictions import Predictions
    from headstart.recipe import Recipe

RUN = "A run folder or its bundle."


def evaluate(
    run: Annotated[Path, typer.Argument(help=RUN)],
    data: Annotated[str, typer.Argument(help="Labelled pictures. Their classes are matched by name.")],
    strict: Annotated[bool, typer.Option(help="Stop at the first picture that cannot be used.")] = False,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    out: Annotated[Path | None, typer.Option(help="Write all scores to this .json file.")] = None,
) -> None:
    """Score a finished run on labelled pictures: on their test part if they have one, otherwise on all.

    Pictures that the run was fitted on are recognised by their content. You see how many there are, and the score
    without them.

    Example: `headstart evaluate runs/first more_photos --out scores.json`
    """
    from headstart import api, inference, records

    if out is not None:
        inference.check_scores_out(out, data)
    with progress_bar() as progress:
        found = api.evaluate(
            run,
            data,
            strict=strict,
            follow_links=follow_links,
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
            group_column=group_column,
            progress=progress,
        )
    print(_evaluated(found))
    for note in found["notes"]:
        print(f"Note: {flagged(note)}")
    for refusal in found["refused"]:
        print(f"refused: {refusal['name']}: {refusal['reason']}", file=sys.stderr)
    if out is not None:
        records.write_json(out, found)
        print(f"Scores: {out}")


def _evaluated(found: Mapping[str, Any]) -> str:
    """`84.0% of 500 test pictures of more_photos named correctly (95% interval 80.6 to 87.0); log loss 0.5123, ...`."""
    from headstart.report.headline import between, share_of
    from headstart.schema.files import from_json
    from headstart.schema.scores import PartScores

    scores = from_json(PartScores, dict(found))
    what = plural(found["n"], "test picture" if found["part"] == "test" else "picture")
    return (
        f"{share_of(scores, what)} of {found['data']} named correctly{between(scores)}; "
        f"log loss {found['log_loss']:.4f}, macro F1 {found['macro_f1']:.4f}.{_strangers(found['strangers'])}"
    )


def _strangers(share: float | None) -> str:
    from headstart.phrases import percent

    return "" if share is None else f" Taken for none of these classes: {percent(share)}."


def predict(
    run: Annotated[Path, typer.Argument(help=RUN)],
    paths: Annotated[list[str], typer.Argument(help=arguments.PICTURES)],
    topk: Annotated[int, typer.Option(min=1, help="How many classes to name per picture.")] = 1,
    strict: arguments.Strict = False,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Also give a set of classes that contains the true one with at least this probability, such as 0.9."
        ),
    ] = None,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write a column `p:CLASS` for each class; needs --out.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            help="Write to a .csv, .json or .parquet file instead of printing; with --cluster, a folder or address for "
            "Parquet shards."
        ),
    ] = None,
    cluster: arguments.Cluster = None,
) -> None:
    """Predict the class of pictures. For a picture that cannot be used, print the reason to standard error.

    If a picture is unlike all those that the run was fitted on, the answer is none of these classes; in files, `known`
    is false.

    Example: `headstart predict runs/first holiday/ cat.jpg --topk 2 --out answers.csv`
    """
    from headstart import api, predictions
    from headstart.cli import show
    from headstart.errors import UserError

    if probabilities and (out is None or cluster is not None):
        raise UserError("--probabilities is for --out FILE, on this machine; add one, or leave it out.")
    if cluster is not None:
        from headstart.cluster.predict import Asked
        from headstart.images.options import Reading

        reading = Reading(follow_links=follow_links, image_column=image_column)
        _predict_on(cluster, run, paths, out, Asked(topk, coverage, reading), strict)
        return
    if out is not None:
        predictions.check_predictions_out(Path(out), paths)
    with progress_bar() as progress:
        found = api.predict(
            run,
            paths,
            follow_links=follow_links,
            image_column=image_column,
            coverage=coverage,
            progress=progress,
        )
    if out is not None:
        predictions.write_predictions(found, Path(out), topk, probabilities=probabilities)
        print(f"{plural(len(found.names), 'prediction')}: {out}")
    else:
        _print(found, topk)
    for note in found.notes:
        print(f"Note: {flagged(note)}")
    show.refusals(found.refused, strict)


def features(
    data: Annotated[str, typer.Argument(help="Pictures, labelled or not.")],
    out: Annotated[
        str,
        typer.Option(
            help="The .npz or .parquet file to write; with --cluster, a folder or address for Parquet shards."
        ),
    ],
    backbone: Annotated[
        str | None, typer.Option(help="A network by name, or FILE.onnx. By default mobilenetv2_100.")
    ] = None,
    weights: Annotated[str, typer.Option(help="`pretrained`, `none` or a file.")] = "pretrained",
    layer: arguments.Layer = "auto",
    method: Annotated[str, typer.Option(help="`features` of the backbone, or raw `pixels`.")] = "features",
    image_size: arguments.ImageSize = None,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    seed: Annotated[int, typer.Option(help="Random seed of random weights.")] = 0,
    labels: Annotated[bool, typer.Option(help="Whether the data have labels; if not, every picture is used.")] = True,
    strict: Annotated[bool, typer.Option(help="Stop at the first picture that cannot be used.")] = False,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    cluster: arguments.Cluster = None,
) -> None:
    """Compute the features of pictures and save them, with names, labels and parts. Shape (n, d), float32.

    Examples:

    `headstart features photos --backbone mobilenetv2_100 --out features.npz`

    `headstart features s3://bucket/photos --cluster auto --out s3://bucket/features`
    """
    from headstart import feature_files
    from headstart.api.idle import check_fit
    from headstart.cli import show
    from headstart.recipe import Recipe

    recipe = Recipe.from_dict(
        {
            "method": method,
            "seed": seed,
            "data": {
                "source": data,
                "strict": strict,
                "follow_links": follow_links,
                "image_column": image_column,
                "label_column": label_column,
                "split_column": split_column,
                "group_column": group_column,
            },
            "backbone": {
                **({} if backbone is None else {"name": backbone}),
                "weights": weights,
                "layer": layer,
                "image_size": image_size,
            },
            "engine": {"name": engine, "device": device},
        },
        "",
    )
    check_fit(recipe)
    if cluster is not None:
        _features_on(cluster, recipe, out, labels=labels)
        return
    with progress_bar() as progress:
        extraction = feature_files.features(recipe, Path(out), progress, labels=labels)
    show.refusals(extraction.refused)
    rows, columns = extraction.features.shape
    for note in extraction.notes:
        print(f"Note: {flagged(note)}")
    print(f"{rows:,} x {columns:,} features ({extraction.counts.reused:,} reused): {out}")


def _features_on(cluster: str, recipe: Recipe, out: str, *, labels: bool) -> None:
    """The features as shards, by a cluster."""
    from headstart.cli import show
    from headstart.cluster.features import features as on_cluster
    from headstart.outputs import check_outside

    check_outside(Path(out), recipe.data.source)
    with progress_bar() as progress:
        found = on_cluster(recipe, out, cluster, progress, labels=labels)
    made = found.manifest
    show.refusals(found.refused)
    for note in made.notes:
        print(f"Note: {flagged(note)}")
    print(
        f"{made.rows:,} x {made.columns:,} features in {plural(len(made.shards), 'shard')} "
        f"({plural(found.computed, 'picture')} read now): {found.storage}"
    )


def _predict_on(cluster: str, run: Path, paths: list[str], out: str | None, asked: Asked, strict: bool) -> None:
    """The predictions as shards, by a cluster."""
    from headstart.cli import show
    from headstart.cluster.predict import predict as on_cluster
    from headstart.errors import UserError

    if out is None:
        raise UserError("--cluster writes Parquet shards: name a folder or an address for them with --out.")
    with progress_bar() as progress:
        found = on_cluster(str(run), paths, out, cluster, asked, progress)
    made = found.manifest
    print(
        f"{plural(made.rows, 'prediction')} in {plural(len(made.shards), 'shard')} "
        f"({plural(found.computed, 'picture')} read now): {found.storage}"
    )
    for note in made.notes:
        print(f"Note: {flagged(note)}")
    show.refusals(found.refused, strict)


def _print(found: Predictions, topk: int) -> None:
    from headstart.classifier import top

    for i, (name, ranks) in enumerate(zip(found.names, top(found.probabilities, topk), strict=True)):
        named = "  ".join(f"{found.classes[k]} {found.probabilities[i, k]:.4f}" for k in ranks)
        if found.known is not None and not found.known[i]:
            named = f"none of these (most like {named})"
        if found.sets is not None:
            named += f"\t{{{', '.join(found.set_of(i))}}}"
        print(f"{name}\t{named}")
