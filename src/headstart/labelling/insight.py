"""What the labels so far come to: accuracy, what more would bring, the least sure pictures and the doubted labels."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.audit.checks.labels import AGREE, unsure, upheld
from headstart.enough import enough, out_of_fold, settled
from headstart.evidence.cross_validated import interval
from headstart.evidence.forecast import Forecast
from headstart.heads.folds import numbers
from headstart.labelling.album import Album
from headstart.labelling.choosing import EVERY, Codes, doubts, mixed
from headstart.labelling.session import Session, Snapshot
from headstart.learner import FOLDS, FittedHead, Learner
from headstart.logits import apply_temperature, full_logits
from headstart.pictures import Pictures

FEWEST = 10
"""Labels below which nothing is judged, and pictures drawn at random below which no accuracy is told."""
AHEAD = 200
"""Pictures that are put in order at a time."""
LISTED = 24
NEXT = 50
"""Labels ahead of which it is told what they will likely bring."""
NEIGHBOURS = 10
PAUSE_S = 0.3
"""Between two fits, so that a person who labels quickly does not have one for each key."""
log = logging.getLogger(__name__)
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Insight:
    """What is known after the labels of `version`; `probabilities` (n, k) are those of all pictures, None at first.

    `accuracy` is by cross-validation on the `measured` pictures that were drawn at random: value, low and high.
    `doubted` are (place, class it seems to be, probability). `sure_right` are, of the labelled pictures, (confidence,
    right) by classifiers that had not seen them.
    """

    version: int = -1
    classes: tuple[str, ...] = ()
    probabilities: Matrix | None = None
    accuracy: tuple[float, float, float] | None = None
    measured: int = 0
    forecast: Forecast | None = None
    doubted: tuple[tuple[int, str, float], ...] = ()
    sure_right: Matrix = field(default_factory=lambda: np.zeros((0, 2)))
    seconds: float = 0.0

    def unsure(self, left: Codes) -> Codes:
        """The places of the pictures `left` (m,) that it is least sure of."""
        if self.probabilities is None or not len(left):
            return left[:0]
        return left[np.argsort(-doubts(self.probabilities[left]), kind="stable")[:LISTED]]

    def sure(self, left: Codes, at: float) -> Codes:
        """The places of those that it is at least so sure of, the surest first."""
        if self.probabilities is None or not len(left):
            return left[:0]
        top = self.probabilities[left].max(axis=1)
        chosen = np.flatnonzero(top >= at)
        return left[chosen[np.argsort(-top[chosen], kind="stable")]]


def look(album: Album, labels: Snapshot) -> Insight:
    """Fit a head on the labels, judge it by cross-validation, and go on from its curve."""
    started = time.perf_counter()
    rows = np.array(sorted(labels.labels), np.int64)
    y = np.array([labels.classes.index(labels.labels[i]) for i in rows.tolist()], np.int64)
    k = len(labels.classes)
    if len(np.unique(y)) < 2:
        return Insight(labels.version, labels.classes)
    pictures = album.pictures(rows, y)
    fitted = Learner().fit(pictures)
    probabilities = apply_temperature(full_logits(fitted.head, album.features, k), fitted.temperature)
    random = np.isin(rows, np.array(sorted(labels.random), np.int64))
    found = Insight(labels.version, labels.classes, probabilities, measured=int(random.sum()))
    if len(y) >= FEWEST:
        found = _judged(album, found, pictures, fitted, rows, random)
    return replace(found, seconds=time.perf_counter() - started)


def _judged(
    album: Album,
    found: Insight,
    pictures: Pictures,
    fitted: FittedHead,
    rows: Codes,
    random: NDArray[np.bool_],
) -> Insight:
    """With what cross-validation says; the settings are those chosen on all labels, which keeps it quick."""
    again, y, k = settled(fitted.head), pictures.y, len(found.classes)
    if again is None:
        return found
    fold = numbers(y, min(FOLDS, len(y)), pictures.marks or (), pictures.groups)
    answers = apply_temperature(out_of_fold(again, pictures, k, fold), fitted.temperature)
    named = answers.argmax(axis=1)
    right = named == y
    told = found.measured >= FEWEST
    return replace(
        found,
        accuracy=(float(right[random].mean()), *interval(right[random], k)) if told else None,
        forecast=enough(fitted.head, pictures, k, answers, fold, random) if told else None,
        doubted=_doubted(album, found.classes, rows, y, answers),
        sure_right=np.column_stack([answers.max(axis=1), right]),
    )


def _doubted(
    album: Album, classes: tuple[str, ...], rows: Codes, y: Codes, answers: Matrix
) -> tuple[tuple[int, str, float], ...]:
    """Labels that confident learning doubts and the nearest labelled pictures outvote (as `audit`), worst first."""
    if len(y) < 2 * NEIGHBOURS:
        return ()
    points, named = album.pool.points[rows], answers.argmax(axis=1)
    near = points @ points.T
    near[album.groups[rows][:, None] == album.groups[rows]] = -2.0
    around = y[np.argsort(-near, axis=1, kind="stable")[:, :NEIGHBOURS]]
    share = (around == y[:, None]).mean(axis=1)
    own = answers[np.arange(len(y)), y]
    outvoted = (share <= AGREE) & (named != y) & upheld(y, album.groups[rows], around.shape[1])
    doubted = np.flatnonzero(unsure(y, answers) & outvoted)
    worst = doubted[np.argsort(own[doubted], kind="stable")[:LISTED]]
    return tuple((int(rows[j]), classes[int(named[j])], float(answers[j].max())) for j in worst.tolist())


class Worker:
    """A thread that looks anew whenever labels have changed, and puts what is to be labelled next in order."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.insight = Insight()
        self.failure = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="insight", daemon=True)

    def start(self) -> None:
        """Begin; the first pictures are in order when this returns."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End after what is being computed."""
        self._stopping.set()
        self.session.changed.set()
        self._thread.join(timeout=20)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.session.changed.wait()
            self._stopping.wait(PAUSE_S)
            if not self._stopping.is_set():
                self._look()

    def _look(self) -> None:
        self.session.changed.clear()
        labels, album = self.session.snapshot(), self.session.album
        try:
            found = look(album, labels)
            done = np.array(sorted({*labels.labels, *labels.none}), np.int64)
            useful = album.next(AHEAD, done, found.probabilities, seed=labels.version)
            owed = min(max(len(done) // EVERY - len(labels.random), 0), EVERY)
            order, random = mixed(useful, album.left(done), labels.version, owed)
            self.session.order, self.session.at_random = order.tolist(), set(random.tolist())
            self.insight, self.failure = found, ""
        except Exception as error:
            log.exception("The labels could not be checked.")
            self.failure = f"The classifier could not be fitted ({error}); your labels are kept."

    def status(self) -> dict[str, Any]:
        """Whether it is behind, and why it failed where it did."""
        return {"behind": self.session.action != self.insight.version, "failure": self.failure}
