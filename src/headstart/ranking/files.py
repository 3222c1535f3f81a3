"""The folder of a ranking: ranking.json with everything, ranking.csv with the table; the report reads the first."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart import machine, outputs, records
from headstart.backbones.spelling import spell
from headstart.images.options import COLUMNS as READ_COLUMNS
from headstart.paths import Place
from headstart.ranking.judge import Judged
from headstart.ranking.pairwise import difference
from headstart.ranking.rank import Ranking
from headstart.ranking.request import RankingRequest
from headstart.report.charts.scatter import RankingDisplay
from headstart.report.figures import shown_as
from headstart.report.ranking import chart
from headstart.schema.ranking import (
    FILE,
    HINTS,
    HintAgreement,
    RankedBackbone,
    RankedData,
    RankingContent,
    RankingSettings,
)
from headstart.threads import cores

COLUMNS = (
    "backbone", "accuracy", "accuracy_low", "accuracy_high", "correct", "n", "points_to_best", "only_best", "only_this",
    "p", "told_apart", "on_front", "images_per_s", "features", "logme", "h_score", "leep", "parameters",
    "multiply_adds", "height", "width", "licence", "written",
)  # fmt: skip


@dataclass(frozen=True)
class SavedRanking:
    """A ranking that was written: its folder, and what was found."""

    folder: Path
    content: RankingContent

    @cached_property
    def ranking(self) -> Mapping[str, Any]:
        """What was found as ranking.json has it."""
        return self.content.to_dict()

    def plot(self) -> RankingDisplay:
        """Accuracy against speed, drawn.

        A notebook shows it, `.save("x.svg")` writes it, `.ax_` and `.figure_` are Matplotlib's.
        """
        return chart(self.content).plot()

    def __repr__(self) -> str:
        return f"SavedRanking({str(self.folder)!r}: {self.content.advice.headline})"

    def _repr_html_(self) -> str:
        """The headline and the chart."""
        return shown_as(self.content.advice.headline, {"ranking": chart(self.content)})


def claim(out: Place | None, data: str) -> Path:
    """The folder to write: `out`, new, empty or an earlier ranking's, or a new one by the name of the data.

    Raises UserError when it holds something else, or is among the pictures.
    """
    return outputs.output_folder(out, Path("rankings") / Path(data).stem, data, what="ranking", file=FILE)


def write(ranking: Ranking, folder: Path) -> RankingContent:
    """Write both files and return what is in ranking.json."""
    outputs.make(folder)
    found = content(ranking)
    rows = ([records.cell(getattr(row, c)) for c in COLUMNS] for row in (found.baseline, *found.backbones))
    records.write_csv(folder / "ranking.csv", COLUMNS, rows)
    records.write_json(folder / FILE, found.to_dict())
    return found


def content(ranking: Ranking) -> RankingContent:
    """The request, the pictures, a row for the raw pixels and each backbone, the advice, the notes."""
    best = ranking.backbones[0]
    images, request = ranking.images, ranking.request
    counts = images.class_counts()
    classes = {name: int(n) for name, n in zip(images.classes, counts, strict=True)}
    return RankingContent(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command(request),
        data=RankedData(request.data, images.title, len(images), classes, ranking.refused),
        settings=RankingSettings(request.folds, request.seed, request.limit, request.image_size, cores()),
        advice=ranking.advice,
        baseline=row(ranking, best, ranking.pixels),
        backbones=tuple(row(ranking, best, each) for each in ranking.backbones),
        failed=ranking.failures,
        hints=hints(ranking.backbones),
        notes=(*ranking.notes, *_notes(ranking)),
        seconds=round(ranking.seconds, 2),
        environment=machine.environment(),
    )


def row(ranking: Ranking, best: Judged, judged: Judged) -> RankedBackbone:
    """One line of the table."""
    right, cost = judged.scores.right, judged.cost
    low, high = judged.scores.interval
    found = difference(best, judged)
    return RankedBackbone(
        backbone=judged.label,
        accuracy=judged.scores.accuracy,
        accuracy_low=low,
        accuracy_high=high,
        correct=int(right.sum()),
        n=len(right),
        points_to_best=found.points,
        only_best=found.only_best,
        only_this=found.only_this,
        p=found.p,
        told_apart=None if judged is best else found.measured,
        on_front=judged.label in ranking.front if judged.spelled else None,
        images_per_s=cost.images_per_s,
        features=judged.scores.n_features,
        logme=judged.scores.logme,
        h_score=judged.scores.h_score,
        leep=judged.leep,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        height=judged.size[0],
        width=judged.size[1],
        licence=cost.licence,
        written=judged.spelled,
        notes=judged.notes,
    )


def hints(backbones: Sequence[Judged]) -> tuple[HintAgreement, ...]:
    """How far each cheap score orders the backbones as cross-validation does: Kendall's tau, and its first choice."""
    from scipy.stats import kendalltau

    found = []
    for name in HINTS:
        scored = [(value, each) for each in backbones if (value := each.hints[name]) is not None]
        if len(scored) < 2:
            continue
        tau = float(kendalltau([v for v, _ in scored], [each.scores.accuracy for _, each in scored]).statistic)
        first = max(scored, key=lambda pair: pair[0])[1].label
        found.append(HintAgreement(name, len(scored), tau if np.isfinite(tau) else None, first))
    return tuple(found)


def command(request: RankingRequest) -> str:
    """The command that repeats a request, with its backbones named one by one."""
    given = {"--limit": request.limit, "--image-size": request.image_size}
    words = ["headstart", "rank", request.data, "--backbones", _listed(map(spell, request.backbones))]
    words += ["--seed", str(request.seed), "--folds", str(request.folds)]
    words += [word for option, value in given.items() if value is not None for word in (option, str(value))]
    words += [w for o, v in (("--engine", request.engine), ("--device", request.device)) if v != "auto" for w in (o, v)]
    words += ["--follow-links"] if request.reading.get("follow_links") else []
    columns = ((name, request.reading.get(name)) for name in READ_COLUMNS)
    words += [word for name, value in columns if value for word in (f"--{name.replace('_', '-')}", str(value))]
    return shlex.join(words)


def _listed(names: Iterable[str]) -> str:
    """Names with commas between them; one that has a comma itself is in double quotes."""
    return ",".join(f'"{name}"' if "," in name else name for name in names)


def _notes(ranking: Ranking) -> list[str]:
    return [f"{each.label}: {note}" for each in (ranking.pixels, *ranking.backbones) for note in each.notes]
