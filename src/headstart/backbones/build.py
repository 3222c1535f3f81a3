"""Networks from architecture and weights, and their weights as bytes. Imports torch."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from headstart import tensors
from headstart.backbones import adopt, checkpoint
from headstart.backbones.keras import convert, load
from headstart.backbones.sources import Architecture
from headstart.backbones.weights import Weights, weights_path
from headstart.errors import UserError, WeightsError

SPARE = 20_000_000
"""Numbers that a network may have beside four times those of its file, such as a classifier that the file lacks."""


@dataclass(frozen=True)
class Built:
    """A network, with sentences on what was done to fit a weights file to it."""

    network: nn.Module
    notes: tuple[str, ...] = ()


def build_network(architecture: str, weights: Weights) -> Built:
    """The network in eval mode and float32. The caller's random state is left as it was.

    Raises WeightsError when a file does not fit, Offline when a download is needed and fails.
    """
    parsed = Architecture.of(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights.seed)
        if weights.before is not None:
            built = build_network(architecture, weights.before)
            built = replace(built, network=at_size(architecture, weights, built.network))
        elif weights.kind == "imagenet":
            built = Built(parsed.source.pretrained(parsed.name))
        elif weights.kind == "none":
            built = Built(create(architecture, weights))
        else:
            built = _from_file(architecture, weights)
    return replace(built, network=built.network.float().eval())


def create(architecture: str, weights: Weights) -> nn.Module:
    """The architecture with random weights and what `weights` says of its arguments and classes."""
    parsed = Architecture.of(architecture)
    if not parsed.source.has(parsed.name):
        raise UserError(f"{parsed.library} has no architecture {parsed.name}; another version of it may.")
    try:
        return parsed.source.build(parsed.name, weights.kwargs, weights.num_classes)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError, AttributeError) as error:
        if not weights.kwargs:
            raise
        raise WeightsError(
            f"{architecture} cannot be built with the sidecar's kwargs {dict(weights.kwargs)}: {error}."
        ) from error


def at_size(architecture: str, weights: Weights, own: nn.Module) -> nn.Module:
    """The network that `weights` describe, with the weights of `own`, made for `weights.made_for`, resampled.

    Raises UserError where the library does not resample them.
    """
    network = create(architecture, replace(weights, num_classes=checkpoint.classes_in(own.state_dict(), own)))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own code for resampling
        state = Architecture.of(architecture).source.renamed(network, own.state_dict(), weights.made_for)
    needed = network.state_dict()
    if any(name not in state or state[name].shape != value.shape for name, value in needed.items()):
        raise UserError(f"{architecture} cannot be resampled for pictures of another size.")
    network.load_state_dict({name: state[name] for name in needed})
    return network


def _from_file(architecture: str, weights: Weights) -> Built:
    path = weights_path(weights)
    if weights.sha256 is not None and tensors.sha256(path) != weights.sha256:
        raise WeightsError(f"{path} changed while this program ran; start it again.")
    if path.suffix.lower() in checkpoint.KERAS:
        return Built(_from_keras(architecture, weights, path))
    stored = checkpoint.read(path)
    _check_room(architecture, weights, sum(value.numel() for value in stored.values()), path)
    described = weights.num_classes is not None
    source = Architecture.of(architecture).source
    network = create(architecture, weights)
    classifier = checkpoint.classifier_path(network)
    adopted = adopt.adopt_tensors(stored, network, classifier, source.renamed)
    state, notes = adopted.state, adopted.notes
    if not described:
        classes = checkpoint.classes_in(state, network)
        if classes != checkpoint.classes_in(network.state_dict(), network):
            network = create(architecture, Weights("none", kwargs=weights.kwargs, num_classes=classes))
        spared = adopt.without_spares(state, network, classifier)
        state, notes = spared.state, (*notes, *spared.notes)
    checkpoint.fill(network, state, path)
    return Built(network, tuple(notes))


def _from_keras(architecture: str, weights: Weights, path: Path) -> nn.Module:
    with load.opened(architecture, path) as matched:
        network = create(architecture, replace(weights, num_classes=matched.classes))
        checkpoint.fill(network, convert.state(matched, network.state_dict(), path), path)
    return network


def _check_room(architecture: str, weights: Weights, stored: int, path: Path) -> None:
    """Raise WeightsError before a network is built that is far larger than the `stored` numbers of its file.

    It is laid out without memory first; one that cannot be is built as it is.
    """
    laid_out = without_memory(architecture, weights)
    needed = 0 if laid_out is None else sum(value.numel() for value in laid_out.state_dict().values())
    if needed > SPARE + 4 * stored:
        raise WeightsError(
            f"{path} does not fit this architecture: it holds {stored:,} numbers, and the network has {needed:,}."
        )


def without_memory(architecture: str, weights: Weights) -> nn.Module | None:
    """The network on PyTorch's `meta` device, where it has shapes and no numbers; None where it cannot be laid out."""
    try:
        with torch.device("meta"):
            return create(architecture, weights)
    except Exception:  # anything: few libraries are tried on this device, and `create` has the words for the rest
        return None


def serialised(network: nn.Module) -> bytes:
    """The network's weights as the bytes of a safetensors file; equal weights give equal bytes."""
    from safetensors.torch import save

    return save({k: v.detach().clone().contiguous() for k, v in network.state_dict().items()})


def content(network: nn.Module) -> tuple[str, int]:
    """(sha256 of `serialised`, number of classes)."""
    return hashlib.sha256(serialised(network)).hexdigest(), checkpoint.classes_in(network.state_dict(), network)
