"""Networks from architecture and weights, and back to a file. Imports torch."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from headstart import tensors
from headstart.backbones import adopt, checkpoint, sidecar
from headstart.backbones.backbone import Backbone, Weights, weights_path
from headstart.backbones.keras import load
from headstart.backbones.sources import Architecture
from headstart.errors import UserError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping


SPARE = 20_000_000
"""Numbers that a network may have beside four times those of its file, such as a classifier that the file lacks."""


def build(architecture: str, weights: Weights) -> nn.Module:
    """The network in eval mode and float32. The caller's random state is left as it was."""
    parsed = Architecture.of(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights.seed)
        if weights.kind == "imagenet":
            network = parsed.source.pretrained(parsed.name)
        elif weights.kind == "none":
            network = create(architecture, weights)
        else:
            network = _from_file(architecture, weights)
    return network.float().eval()


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


def _from_file(architecture: str, weights: Weights) -> nn.Module:
    path = weights_path(weights)
    if weights.sha256 is not None and tensors.sha256(path) != weights.sha256:
        raise WeightsError(f"{path} changed while this program ran; start it again.")
    if path.suffix.lower() in checkpoint.KERAS:
        return load.network(architecture, weights, path)
    stored = checkpoint.read(path)
    _check_room(architecture, weights, sum(value.numel() for value in stored.values()), path)
    described = weights.num_classes is not None
    source = Architecture.of(architecture).source
    network = create(architecture, weights)
    classifier = checkpoint.classifier_path(network)
    adopted = adopt.adopt(stored, network, classifier, source.renamed)
    state, notes = adopted.state, adopted.notes
    if not described:
        classes = _classes(state, network)
        if classes != _classes(network.state_dict(), network):
            network = create(architecture, Weights("none", kwargs=weights.kwargs, num_classes=classes))
        spared = adopt.without_spares(state, network, classifier)
        state, notes = spared.state, (*notes, *spared.notes)
    checkpoint.fill(network, state, path)
    network.__dict__["notes"] = tuple(notes)
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


def notes(network: nn.Module) -> tuple[str, ...]:
    """Sentences on what was done to fit a weights file to the network that `build` gave."""
    return tuple(network.__dict__.get("notes", ()))


def serialised(network: nn.Module) -> bytes:
    """The network's weights as the bytes of a safetensors file; equal weights give equal bytes."""
    from safetensors.torch import save

    return save({k: v.detach().clone().contiguous() for k, v in network.state_dict().items()})


def content(network: nn.Module) -> tuple[str, int]:
    """(sha256 of `serialised`, number of classes)."""
    return hashlib.sha256(serialised(network)).hexdigest(), _classes(network.state_dict(), network)


def _classes(state: Mapping[str, torch.Tensor], network: nn.Module) -> int:
    return checkpoint.classes_in(state, network)


def write(backbone: Backbone, folder: Path) -> Path:
    """See `Backbone.save`, for weights that a file with a sidecar does not describe already."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "backbone.safetensors"
    weights = backbone.weights
    network = backbone.network()
    if weights.kind == "file" and weights_path(weights).suffix.lower() == ".safetensors":
        shutil.copyfile(weights_path(weights), file)
    else:
        file.write_bytes(serialised(network))
    sidecar.write(sidecar.of(backbone, file, _classes(network.state_dict(), network)), file)
    return file
