"""From a recipe and its pictures to a feature source: network, layer, engine, and how the pictures are prepared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.engines import EngineChoice, choose
from headstart.errors import UserError
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, Probe
from headstart.preprocess import LEAST, Preprocess
from headstart.recipe import AUTO, TRAINED, Recipe

if TYPE_CHECKING:
    from headstart.backbones import BaseBackbone
    from headstart.engines.int8 import Calibration

PIXEL_SIDE = 64
"""Side of the pictures of the raw-pixel arm when they have no common small size of their own."""


def feature_source(recipe: Recipe, images: ImageSet) -> FeatureSource:
    """The backbone and preprocessing that a recipe asks for, with size and range of values settled by these pictures.

    Raises UserError when the network cannot take pictures of that size, with the sizes that work.
    """
    size, white = recipe.backbone.image_size, images.white()
    if recipe.method == "pixels":
        return FeatureSource(replace(_pixel_preprocess(images, size), white=white, decode=recipe.data.decode))
    from headstart.backbones import encoders, resolve

    chosen = recipe.backbone
    weights = "none" if recipe.method == "scratch" else chosen.weights
    backbone: BaseBackbone = resolve(chosen.name, weights, seed=recipe.seed)
    grey, decode = chosen.grey or backbone.preprocess.grey, recipe.data.decode
    preprocess = replace(backbone.preprocess, grey=grey, white=white, decode=decode)
    preprocess = sized(backbone, preprocess, size, images.probe())
    if size is not None and size < LEAST:
        raise UserError(f"image_size={size} is too small for a network; give {LEAST} or more.")
    wanted = (preprocess.height, preprocess.width)
    own = (backbone.preprocess.height, backbone.preprocess.width)
    backbone = backbone.at(wanted)
    layer = encoders.usual_layer(backbone.architecture) if chosen.layer == AUTO else chosen.layer
    if wanted != own:
        backbone.check(layer, wanted)
        if size is None and backbone.fixed_size is not None:
            note = encoders.resolution_note(backbone.architecture, own, wanted)
            backbone = replace(backbone, notes=(*backbone.notes, note))
    engine = choose(recipe.engine.name, recipe.engine.device, recipe.engine.precision)
    return FeatureSource(preprocess, backbone, layer, engine, calibration=_calibration(engine, recipe, images))


def _calibration(engine: EngineChoice, recipe: Recipe, images: ImageSet) -> Calibration | None:
    """What int8 is calibrated on: pictures that are no test pictures."""
    if engine.precision != "int8":
        return None
    if recipe.method in TRAINED:
        raise UserError(
            f"precision=int8 is for frozen features; method={recipe.method} trains in float32: leave it out."
        )
    from headstart.engines.int8 import Calibration

    return Calibration.of(images.take(np.flatnonzero(images.parts != "test")))


def sized(backbone: BaseBackbone, preprocess: Preprocess, size: int | None, probe: Probe) -> Preprocess:
    """The size rule, or the side that the user asked for; small pictures are shown whole either way.

    A network that is made for one size keeps it unless another pays (see `backbones.encoders`) or is asked for.
    """
    chosen = preprocess.for_images(probe)
    if (own := backbone.fixed_size) is None:
        return chosen if size is None else chosen.resized(size)
    wanted = backbone.usual_size(small=chosen != preprocess) if size is None else (size, size)
    return preprocess if wanted == own else chosen.resized(wanted)


def _pixel_preprocess(images: ImageSet, size: int | None) -> Preprocess:
    """Native pixels where the pictures are small and of one size; else the whole picture at 64 x 64."""
    probe = images.probe()
    native = size is None and probe.uniform and max(probe.height, probe.width) <= 96
    height, width = (probe.height, probe.width) if native else (size or PIXEL_SIDE, size or PIXEL_SIDE)
    channels = 1 if probe.grey else 3
    return Preprocess(
        height=height, width=width, crop_pct=1.0, interpolation="bilinear",
        mean=(0.0,) * channels, std=(1.0,) * channels, color="L" if probe.grey else "RGB",
    )  # fmt: skip
