"""Inception-v3 (Szegedy et al. 2016) as in Keras: 94 numbered convolutions, each with a norm without gamma."""

from __future__ import annotations

from headstart.backbones.keras.family import TF, Entry, Family, predictions

POOL = "branch_pool.1"
"""`networks` puts the correction of the mean's edges before the convolution behind it."""
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
DOUBLE = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
SEVEN = tuple(f"branch7x7_{i}" for i in range(1, 4)) + tuple(f"branch7x7dbl_{i}" for i in range(1, 6))
A = ("branch1x1", "branch5x5_1", "branch5x5_2", *DOUBLE, POOL)
B = ("branch3x3", *DOUBLE)
C = ("branch1x1", *SEVEN, POOL)
D = ("branch3x3_1", "branch3x3_2", *(f"branch7x7x3_{i}" for i in range(1, 5)))
E = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b"),
    *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b", POOL),
)
MIXED = {"5b": A, "5c": A, "5d": A, "6a": B, "6b": C, "6c": C, "6d": C, "6e": C, "7a": D, "7b": E, "7c": E}


def _body() -> list[Entry]:
    """In the order in which Keras makes and so numbers them, which is not that of the layers in its model."""
    found = []
    paths = [*STEM, *(f"Mixed_{name}.{branch}" for name, branches in MIXED.items() for branch in branches)]
    for i, path in enumerate(paths):
        found += [
            Entry(f"conv2d#{i}", "conv", f"{path}.conv"),
            Entry(f"batch_normalization#{i}", "norm", f"{path}.bn"),
        ]
    return found


INCEPTIONV3 = Family(
    *("InceptionV3", "inception_v3", TF.resized(299), tuple(_body()), predictions("fc")), scaled=False, ordered=False
)
