"""The pictures that a classifier has seen in fitting, known again by their content: a file of digests in its bundle.

    bundle/seen.safetensors      uint8 (m, 16): `images.digest` of each picture, sorted, each once

A digest names a picture to whoever has it and shows nothing of it. The same picture in another file format, or as an
array, is another content.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import tensors

FILE = "seen.safetensors"
WIDTH = 16
Digests = NDArray[np.uint8]


def distinct(contents: Digests) -> Digests:
    """Digests (n, 16) sorted, each once (m, 16)."""
    found: Digests = np.unique(contents.reshape(-1, WIDTH), axis=0)
    return found


def known(contents: Digests, seen: Digests) -> NDArray[np.bool_]:
    """Which of the digests (n, 16) are among those seen (m, 16)."""
    places = {row.tobytes() for row in seen}
    return np.array([row.tobytes() in places for row in contents], dtype=bool)


def write(seen: Digests, folder: Path) -> None:
    """Write the digests (n, 16) of seen pictures to `folder`."""
    tensors.write({"seen": distinct(seen)}, folder / FILE)


def read(folder: Path) -> Digests:
    """The digests (m, 16) in `folder`. Raises ValueError with one clause for a file that holds something else."""
    stored = tensors.header(folder / FILE).get("seen")
    if stored is None or stored.dtype != "U8" or len(stored.shape) != 2 or stored.shape[1] != WIDTH:
        raise ValueError(f"{FILE} does not hold digests of {WIDTH} bytes")
    found: Digests = tensors.arrays(folder / FILE)["seen"]
    return found
