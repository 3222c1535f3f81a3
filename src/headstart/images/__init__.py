"""Pictures in: where they are, what they show, which part they belong to, and how one of them is decoded.

load(data) -> ImageSet -> select -> split -> raw(i) -> digest, decode
"""

from headstart.images.decode import REASONS, Limits, Raw, decode, digest
from headstart.images.imageset import ImageSet, Probe, Refusal

__all__ = ["REASONS", "ImageSet", "Limits", "Probe", "Raw", "Refusal", "decode", "digest"]
