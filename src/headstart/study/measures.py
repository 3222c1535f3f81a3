"""What can be measured of features, pictures and class names that may explain why transfer did little."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import imagenet
from headstart.evidence.overlap import Overlap
from headstart.heads.solver.blocks import map_rows
from headstart.preprocess import Preprocess, crop_box

Features = NDArray[np.float32] | NDArray[np.float64]
T = TypeVar("T")
Names = dict[tuple[str, ...], str]
"""Words of a name -> the name as the source spells it."""

AT_THE_TOP = 0.9  # share of its values at its own maximum from which a column counts as saturated
BLOCK = 2**21  # numbers of a matrix looked at together


def dead_share(X: Features) -> float:
    """Share of the columns of X (n, d) that have the same value in every row."""
    low, high = _extremes(X)
    return float(np.mean(low == high))


def saturated_share(X: Features) -> float:
    """Share of the columns of X (n, d) with 90% or more of their values at their own maximum, without the dead ones."""
    low, high = _extremes(X)
    at_top = sum(_over_rows(lambda rows: np.count_nonzero(X[rows] == high, axis=0), X))
    return float(np.mean((at_top >= AT_THE_TOP * len(X)) & (low < high)))


def spread_of_scales(X: Features) -> float:
    """The 95th percentile of the columns' standard deviations over the 5th, of X (n, d) without dead columns.

    1 means equal scales; 1 also where fewer than two columns are live.
    """
    from headstart.heads.solver.scaler import Scaler

    low, high = _extremes(X)
    live = Scaler.measure(X, pseudo_rows=0).scale[low < high]
    if len(live) < 2:
        return 1.0
    fifth, last = np.percentile(live, [5, 95])
    return float(last / fifth)


def _extremes(X: Features) -> tuple[Features, Features]:
    """Smallest and largest value of each column (d,)."""
    found = _over_rows(lambda rows: (X[rows].min(axis=0), X[rows].max(axis=0)), X)
    low, high = zip(*found, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def _over_rows(function: Callable[[slice], T], X: Features) -> list[T]:
    """`function` of blocks of rows, in threads where X is large."""
    n, d = X.shape
    return map_rows(function, n, d, max(1, BLOCK // max(1, d)))


def cut_share(preprocess: Preprocess, height: float, width: float) -> float:
    """Share of a picture of that size in pixels that the centre crop leaves out."""
    size = (max(round(width), 1), max(round(height), 1))
    left, top, right, bottom = crop_box(size, (preprocess.width, preprocess.height), preprocess.crop_pct)
    return max(0.0, 1.0 - (right - left) * (bottom - top) / (size[0] * size[1]))


def overlap(classes: Sequence[str], source: str) -> Overlap | None:
    """How many of these class names are among what the weights of `source` ('imagenet', 'sprout') learnt to tell apart.

    None for another source, or when its list of names is not installed. Names are compared as words, without case and
    plural ("Cats" is "cat"), with the end of the source's name: a tabby cat is a cat, a cat box is none. Numbers are
    never named; single letters only where the source learnt letters. A class can be known under another word.
    """
    words, names = SOURCES.get(source, _nothing)()
    if not names:
        return None
    found = [(name, match) for name in classes if (match := _match(name, names)) is not None]
    return Overlap(words, len(found), len(classes), tuple(found[:3]))


def _match(name: str, names: Names) -> str | None:
    """The source's name for a class name; of "T-shirt/top" either will do."""
    for part in re.split(r"[/,;|]", name):
        words = _words(part)
        if not words or all(word.isdigit() for word in words):
            continue
        for last in _singulars(words[-1]):
            if (*words[:-1], last) in names:
                return names[(*words[:-1], last)]
    return None


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", name.lower()))


def _singulars(word: str) -> Iterator[str]:
    """The word itself, then what it may be the plural of."""
    yield word
    for plural, singulars in (("ies", ("y",)), ("ves", ("f", "fe")), ("es", ("",)), ("s", ("",))):
        if word.endswith(plural) and len(word) > len(plural) + 1:
            yield from (word.removesuffix(plural) + ending for ending in singulars)


def _nothing() -> tuple[str, Names]:
    return "", {}


@cache
def _imagenet() -> tuple[str, Names]:
    """Each class by its WordNet id, its names and their last words."""
    try:
        told = imagenet.names()
    except OSError:
        return _nothing()
    names: Names = {}
    for wordnet in sorted(told):
        names[(wordnet,)] = told[wordnet]
        for name in told[wordnet].split(", "):
            words = _words(name)
            for start in range(len(words)):
                if len(words[start]) > 1 or start == 0:
                    names.setdefault(words[start:], name)
    return f"the {len(told):,} of ImageNet", names


@cache
def _sprout() -> tuple[str, Names]:
    """The families of drawn pictures (docs/sprout/model-card.md), and every letter drawn among them."""
    from headstart.drawn.glyphs import CLASSES

    kinds = (
        "letter character glyph sign shape silhouette outline stroke fractal texture grating plaid marble grain cloud"
    )
    names: Names = {(kind,): kind for kind in kinds.split()}
    letters = {letter.lower() for drawn in CLASSES for letter in drawn if letter.isalpha()}
    return "the drawn letters, shapes and textures of sprout", names | {(letter,): "letters" for letter in letters}


SOURCES: dict[str, Callable[[], tuple[str, Names]]] = {"imagenet": _imagenet, "sprout": _sprout}
