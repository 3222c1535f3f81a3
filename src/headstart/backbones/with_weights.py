"""A backbone with other weights is another backbone, with a fingerprint of its own. Imports torch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.build import content, create
from headstart.backbones.fingerprint import fingerprint_of
from headstart.backbones.sources import Architecture
from headstart.backbones.weights import Weights
from headstart.preprocess import Preprocess


def tuned(backbone: Backbone, state: Mapping[str, torch.Tensor]) -> Backbone:
    """The network with some of its weights replaced by those in `state`, by name.

    Raises KeyError when the network has not what `state` names.
    """
    network = copy.deepcopy(backbone.network())
    own = network.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)
    return _of(backbone, network, backbone.weights.licence)


def headless(backbone: Backbone, preprocess: Preprocess, licence: str) -> Backbone:
    """The same network without its classifier, as a source model is kept; `preprocess` is what it was trained with."""
    network = create(backbone.architecture, Weights("none", kwargs=backbone.weights.kwargs, num_classes=0))
    own, theirs = network.state_dict(), backbone.network().state_dict()
    with torch.no_grad():
        for name in own:
            own[name].copy_(theirs[name])
    return _of(replace(backbone, preprocess=preprocess), network, licence)


def _of(backbone: Backbone, network: nn.Module, licence: str) -> Backbone:
    sha256, classes = content(network.eval())
    weights = Weights("tuned", sha256=sha256, kwargs=backbone.weights.kwargs, num_classes=classes, licence=licence)
    library = Architecture.of(backbone.architecture).library
    mark = fingerprint_of(backbone.architecture, weights.kwargs, classes, sha256, library)
    return replace(backbone, weights=weights, fingerprint=mark, built=network)
