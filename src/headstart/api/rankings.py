"""Comparing networks to build a classifier on. See `headstart.api`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.api.checks import check_flags, check_whole, known_parameters, listed
from headstart.errors import UserError
from headstart.features.extract import Settings
from headstart.paths import Place, absolute, expanded, features_dir
from headstart.progress import Progress, silent

if TYPE_CHECKING:
    from headstart.ranking.files import SavedRanking
    from headstart.ranking.request import RankingRequest


@known_parameters
def rank(
    data: Place,
    backbones: Sequence[str] | str | None = None,
    *,
    weights_folder: Place | None = None,
    limit: int | None = None,
    folds: int = 5,
    image_size: int | None = None,
    seed: int = 0,
    engine: str = "auto",
    device: str = "auto",
    follow_links: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    out: Place | None = None,
    store: bool = True,
    cluster: str | None = None,
    progress: Progress = silent,
) -> SavedRanking:
    """Rank backbones by how well a classifier on their features does, and write the folder with its report.

    Each is `NAME[:LAYER][@WEIGHTS]`; without `backbones`, all whose weights are here, those of `weights_folder` among
    them. The test part is never looked at. `cluster` is a Ray cluster whose tasks judge them. Raises UserError and its
    kinds.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     saved = rank("digits", ["sprout", "sprout@none"], limit=100, store=False, out=f"{folder}/ranking")
    >>> [row["backbone"] for row in saved.ranking["backbones"]]
    ['sprout', 'sprout@none']
    """
    from headstart.backbones.spelling import parse
    from headstart.images.options import Reading
    from headstart.ranking.local import local_backbones
    from headstart.ranking.request import RankingRequest

    check_whole(optional=True, limit=limit, image_size=image_size)
    check_whole(2, folds=folds)
    check_whole(0, seed=seed)
    check_flags(follow_links=follow_links, store=store)
    folder = None if weights_folder is None else expanded(weights_folder)
    if folder is not None and backbones is not None:
        raise UserError(
            "`weights_folder` is for ranking every network on this machine; with `backbones`, name a file as NAME@FILE."
        )
    named = None if backbones is None else listed("backbones", backbones)
    asked = tuple(local_backbones(folder) if named is None else (parse(str(each)) for each in named))
    reading = Reading(
        follow_links=follow_links, image_column=image_column, label_column=label_column,
        split_column=split_column, group_column=group_column,
    )  # fmt: skip
    request = RankingRequest(
        absolute(data), asked, limit, image_size, seed, folds, engine, device, backbones is None, reading
    )
    return carry_out_ranking(request, out, progress, store=store, cluster=cluster)


def carry_out_ranking(
    request: RankingRequest,
    out: Place | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    cluster: str | None = None,
) -> SavedRanking:
    """Rank what a request names, and write the folder with its report."""
    from headstart import outputs
    from headstart.cluster.tasks import spread_on
    from headstart.ranking.files import SavedRanking, claim, write
    from headstart.ranking.rank import rank as execute
    from headstart.report.ranking import write_ranking_report

    folder = claim(out, request.data)
    with outputs.listing_refused(folder), spread_on(cluster) as spread:
        found = execute(request, Settings(features_dir() if store else None), progress, spread)
    saved = SavedRanking(folder, write(found, folder))
    write_ranking_report(folder)
    return saved
