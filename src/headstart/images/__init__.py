"""Pictures in: where they are, what they show, which part they belong to, and how one of them is decoded.

load(data) -> ImageSet -> select -> split -> raw(i) -> digest, decode
"""

from headstart.images.decode import REASONS, Limits, Raw, decode, digest
from headstart.images.imageset import ImageSet, Probe, Refusal
from headstart.images.join import with_test
from headstart.images.load import load, load_unlabelled
from headstart.images.select import select
from headstart.images.sources import SOURCES
from headstart.images.sources.arrays import from_arrays
from headstart.images.split import TEST_SHARE, apply_split, left_of_split, split, write_split

__all__ = [
    "REASONS",
    "SOURCES",
    "TEST_SHARE",
    "ImageSet",
    "Limits",
    "Probe",
    "Raw",
    "Refusal",
    "apply_split",
    "decode",
    "digest",
    "from_arrays",
    "left_of_split",
    "load",
    "load_unlabelled",
    "select",
    "split",
    "with_test",
    "write_split",
]
