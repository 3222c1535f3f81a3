"""The 1,000 classes of ImageNet in the order of every network's outputs: that of their sorted WordNet ids.

Names and ids are those of `backbones.imagenet`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import imagenet
from headstart.errors import HeadstartError

COUNT = 1000


@dataclass(frozen=True)
class Category:
    """One class: its WordNet id (`n01440764`), a name that no other class has (`tench`), all its names."""

    wordnet: str
    name: str
    names: str


@cache
def categories() -> tuple[Category, ...]:
    """The classes in the order of a network's outputs. Two that share their first name have the id behind it."""
    try:
        names = imagenet.names()
    except OSError as error:
        raise HeadstartError("The installed timm lacks the names of ImageNet's classes; install it again.") from error
    first = {wordnet: told.partition(",")[0].strip() for wordnet, told in names.items()}
    often = Counter(first.values())
    return tuple(
        Category(i, first[i] if often[first[i]] == 1 else f"{first[i]} ({i})", names[i]) for i in sorted(names)
    )


def ids_in(names: Sequence[str]) -> NDArray[np.int64] | None:
    """The classes (n,) that file names state, as in `n01440764_tench.jpeg` or `n01440764/1.jpeg`.

    None unless every name has a part that begins with the WordNet id of one of the 1,000.
    """
    index = {category.wordnet: k for k, category in enumerate(categories())}
    stated = [re.findall(r"(?:^|/)(n\d{8})(?!\d)", name) for name in names]
    found = [index.get(ids[-1], -1) if ids else -1 for ids in stated]
    return np.array(found, np.int64) if found and min(found) >= 0 else None
