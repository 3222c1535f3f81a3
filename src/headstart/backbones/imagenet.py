"""The names of ImageNet's 1,000 classes, from timm's data files, read without importing timm."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path


@cache
def names() -> dict[str, str]:
    """WordNet id (`n01440764`) -> all names (`tench, Tinca tinca`), in the order of timm's list of the ids.

    Raises OSError where the installed timm lacks the files.
    """
    spec = importlib.util.find_spec("timm")
    folder = Path(str(spec.origin if spec else "timm")).parent / "data" / "_info"
    ids = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    known = dict(line.split("\t", 1) for line in lines)
    return {wordnet: known[wordnet] for wordnet in ids}
