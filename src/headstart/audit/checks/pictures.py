"""Checks of single pictures, by their sketches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.audit.findings import Finding, Material
from headstart.images.sketch import MODES

RARE = 0.05
"""What fewer pictures than this share have is odd; what more have is a habit of the data."""
TIMES = 4.0
"""So many times larger or longer than is usual is odd."""
UPRIGHT = (0, 1)
TURNS = {
    2: "mirrored", 3: "turned upside down", 4: "mirrored, upside down", 5: "mirrored, a quarter turn to the left",
    6: "a quarter turn to the right", 7: "mirrored, a quarter turn to the right", 8: "a quarter turn to the left",
}  # fmt: skip
"""What the orientations of EXIF do to a picture as it is stored."""
COLOURS = {
    "1": "black and white", "L": "grey", "LA": "grey with transparency", "P": "a palette of colours",
    "PA": "a palette with transparency", "RGB": "colour", "RGBA": "colour with transparency", "RGBX": "colour",
    "CMYK": "colours of print", "I;16": "grey of 16 bits", "I": "grey of 32 bits", "F": "grey of fractions",
}  # fmt: skip
"""Pillow's modes in words."""


def plain(material: Material) -> Iterator[Finding]:
    """Pictures of one colour."""
    for i in np.flatnonzero(material.sketches.plain).tolist():
        colour = material.sketches.thumbs[i, 0, 0]
        yield Finding(material.images.names[i], f"red {colour[0]}, green {colour[1]}, blue {colour[2]}", i, drops=(i,))


def dark(material: Material) -> Iterator[Finding]:
    """Pictures of 16 or 32 bits that use so little of their range that they are read as nearly black."""
    for i in np.flatnonzero(material.sketches.dark).tolist():
        share = np.ceil(100 * (int(material.sketches.facts["high"][i]) + 0.5) / 255)
        yield Finding(material.images.names[i], f"no value is above {share:.0f}% of white", i)


def pages(material: Material) -> Iterator[Finding]:
    """Files of several pages, of which the first is the picture."""
    for i in np.flatnonzero(material.sketches.facts["pages"]).tolist():
        yield Finding(material.images.names[i], "more than one page; the first is read", i)


def tiny(material: Material) -> Iterator[Finding]:
    """Pictures too small to show anything."""
    for i in np.flatnonzero(material.sketches.tiny).tolist():
        yield Finding(material.images.names[i], _size(material, i), i)


def grey(material: Material) -> Iterator[Finding]:
    """Pictures without colour, where fewer than half have none."""
    found = material.sketches.facts["grey"] & ~material.sketches.plain
    if found.mean() < 0.5:
        for i in np.flatnonzero(found).tolist():
            yield Finding(material.images.names[i], "no colour", i)


def size(material: Material) -> Iterator[Finding]:
    """Pictures whose area or shape is far from the usual one."""
    facts = material.sketches.facts
    height, width = facts["height"].astype(float), facts["width"].astype(float)
    for measure, more, less in ((np.sqrt(height * width), "larger", "smaller"), (height / width, "taller", "wider")):
        usual = float(np.median(measure))
        odd = np.abs(np.log(measure / usual)) > np.log(TIMES)
        if 0 < odd.mean() < RARE:
            for i in np.flatnonzero(odd).tolist():
                times = float(np.exp(np.abs(np.log(measure[i] / usual))))
                how = f"{times:.1f} times {more if measure[i] > usual else less} than usual"
                yield Finding(material.images.names[i], f"{_size(material, i)}: {how}", i)


def mode(material: Material) -> Iterator[Finding]:
    """Pictures stored in a colour mode that few have."""
    modes = material.sketches.facts["mode"]
    for number, count in zip(*np.unique(modes, return_counts=True), strict=True):
        if count / len(modes) < RARE:
            for i in np.flatnonzero(modes == number).tolist():
                name = MODES[number] or "unknown"
                told = f"{COLOURS[name]} (mode {name})" if name in COLOURS else f"mode {name}"
                yield Finding(material.images.names[i], told, i)


def rotated(material: Material) -> Iterator[Finding]:
    """Pictures that their EXIF block turns."""
    turned = material.sketches.facts["turned"]
    for i in np.flatnonzero(~np.isin(turned, UPRIGHT)).tolist():
        told = f"shown {TURNS[turned[i]]} (EXIF orientation {turned[i]})"
        yield Finding(material.images.names[i], told, i)


def _size(material: Material, i: int) -> str:
    facts = material.sketches.facts
    return f"{facts['width'][i]} x {facts['height'][i]} pixels"
