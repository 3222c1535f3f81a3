"""Occlusion: parts of the picture are covered, and what the answer loses is the map. It looks into no network.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import Classifier
from headstart.engines import Engine
from headstart.logits import log_softmax

Matrix = NDArray[np.float64]
CELLS = 8
"""Cells of the map along each side; a window covers WINDOW x WINDOW of them."""
WINDOW = 2


def occlusion(classifier: Classifier, engine: Engine, picture: NDArray[np.uint8], column: int) -> Matrix:
    """(CELLS, CELLS): by how much the log-probability of a class falls when what lies there is covered, on average.

    `picture` (s, s, c) is prepared, `column` one of the head's, `engine` gives the head's features. Windows get the
    picture's mean colour.
    """
    rows, columns = _edges(picture.shape[0]), _edges(picture.shape[1])
    windows = list(_windows(len(rows) - 1, len(columns) - 1))
    covered = (_covered(picture, rows, columns, window) for window in windows)
    fed = enumerate(_with_plain(picture, covered))
    features = dict(engine.stream(fed))
    stacked = np.stack([features[i] for i in range(1 + len(windows))])
    told = log_softmax(classifier.head.logits(stacked))[:, column]
    total, times = np.zeros((len(rows) - 1, len(columns) - 1)), np.zeros((len(rows) - 1, len(columns) - 1))
    for (y, x), value in zip(windows, told[1:], strict=True):
        total[y : y + WINDOW, x : x + WINDOW] += told[0] - value
        times[y : y + WINDOW, x : x + WINDOW] += 1
    return total / times


def _edges(side: int) -> NDArray[np.int64]:
    return np.linspace(0, side, min(CELLS, side) + 1).round().astype(np.int64)


def _windows(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    for y in range(max(1, rows - WINDOW + 1)):
        for x in range(max(1, columns - WINDOW + 1)):
            yield y, x


def _covered(
    picture: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64], window: tuple[int, int]
) -> NDArray[np.uint8]:
    y, x = window
    found = picture.copy()
    bottom, right = rows[min(y + WINDOW, len(rows) - 1)], columns[min(x + WINDOW, len(columns) - 1)]
    found[rows[y] : bottom, columns[x] : right] = picture.reshape(-1, picture.shape[2]).mean(axis=0).round()
    return found


def _with_plain(picture: NDArray[np.uint8], covered: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield picture
    yield from covered
