"""What of a network is trained: trunk rows and body together are the network, and a tuned network is one of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from headstart.backbones import Backbone, resolve
from headstart.backbones.grid import SPECIAL
from headstart.backbones.trainable import TrainableBlock, TrainablePart
from headstart.backbones.with_weights import tuned
from headstart.errors import UnknownName, UserError
from headstart.preprocess import Preprocess
from headstart.training.batches import RowBatches, StoredRows
from headstart.training.loop import Task, train
from headstart.training.network import BatchNorm, Tunable, dense, groups
from headstart.training.plan import Plan
from headstart.training.weights import snapshot

pytestmark = pytest.mark.usefixtures("one_thread")


class Family(NamedTuple):
    """A network and a small input."""

    name: str
    size: int


QUICK = [
    Family("resnet18", 48), Family("mobilenetv2_100", 48), Family("squeezenet1_0", 48),
]  # fmt: skip
SLOW = [
    Family("densenet121", 48),
    Family("vit_small_patch16_224", 224), Family("convnext_tiny", 64),
]  # fmt: skip
MORE = [  # one cut and one training step of these are in test_families
    Family("alexnet", 80), Family("vgg16", 48), Family("resnet50", 48), Family("inception_v3", 96),
    Family("inception_resnet_v2", 96), Family("xception", 96), Family("nasnetalarge", 96),
    Family("swin_tiny_patch4_window7_224", 224),
]  # fmt: skip
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]
EVERY = pytest.mark.parametrize(
    "family",
    [
        *(pytest.param(f, id=f.name) for f in QUICK),
        *(pytest.param(f, id=f.name, marks=pytest.mark.slow) for f in SLOW),
        *(pytest.param(f, id=f.name, marks=EXHAUSTIVE) for f in MORE),
    ],
)


@cache
def backbone(name: str) -> Backbone:
    """A network with random weights, built once for this module, whose normalisations have seen something."""
    made = resolve(name, "none")
    generator = torch.Generator().manual_seed(5)
    for module in made.network().modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
    return made


def pixels(size: int, n: int = 2) -> torch.Tensor:
    """uint8 (n, size * size * 3), rows of pictures."""
    return torch.randint(0, 256, (n, size * size * 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def normalised(rows: torch.Tensor, size: int, preprocess: Preprocess) -> torch.Tensor:
    """float32 (n, 3, size, size): (value / 255 - mean) / std."""
    x = rows.view(len(rows), size, size, 3).permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(v).double().view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    return ((x - mean) / std).float()


def tunable(
    made: Backbone,
    body: TrainablePart,
    size: int,
    end: str = "pooled",
    classes: int = 3,
    batchnorm: BatchNorm = "frozen",
) -> Tunable:
    with torch.no_grad():
        width = made.features(end)(torch.zeros(1, 3, size, size)).shape[1]
    return Tunable(
        body, body.shapes(made.split, (size, size)), made.preprocess, dense([width, classes]), batchnorm
    ).eval()


def ends(made: Backbone, every: bool) -> list[str | None]:
    """Where to cut: all boundaries of blocks, or some of them."""
    known = [block.end for block in made.trainable_blocks()]
    some = [known[-1], known[-2], known[-4], known[len(known) // 2], known[0]]
    return [None, *(known if every else dict.fromkeys(some))]


@EVERY
@torch.no_grad()
def test_trunk_rows_and_body_are_the_network(family: Family) -> None:
    """At each cut the body on stored rows gives the features of the whole network, and `shapes` lay the rows out."""
    made = backbone(family.name)
    rows = pixels(family.size)
    x = normalised(rows, family.size, made.preprocess)
    wanted = made.features("pooled")(x)
    scale = float(wanted.abs().max())
    for layer in ends(made, every=family.name == "squeezenet1_0"):
        body = made.trainable_part(layer, "pooled")
        network = tunable(made, body, family.size)
        given = rows if layer is None else made.features(body.source)(x)
        if layer is not None:
            shapes = body.shapes(made.split, (family.size, family.size))
            assert given.shape[1] == sum(int(np.prod(shape)) for shape in shapes)
            assert body.source == (layer if len(shapes) == 1 else f"cut:{layer}")
        before = given.clone()
        torch.testing.assert_close(network.features(given), wanted, rtol=0, atol=1e-4 * scale, msg=str(layer))
        assert torch.equal(given, before)


@EVERY
def test_a_body_has_the_networks_names_and_weights(family: Family) -> None:
    """Every tensor of a body has its name and value from the network's state, and is a copy of it."""
    made = backbone(family.name)
    own = made.network().state_dict()
    for layer in ends(made, every=False):
        for name, value in made.trainable_part(layer, "pooled").module.state_dict().items():
            assert torch.equal(value, own[name]), name
            assert value.data_ptr() != own[name].data_ptr() or not value.numel(), name


@EVERY
def test_trainable_blocks_have_weights_and_run_from_input_to_output(family: Family) -> None:
    """Each has layers of the network, some matrix or kernel of its own, and those behind a cut are the part's."""
    made = backbone(family.name)
    network, known = made.network(), made.trainable_blocks()
    names = [layer.name for layer in made.layers()]
    assert [layer for block in known for layer in block.layers] == [n for n in names if n not in SPECIAL]
    for i, block in enumerate(known):
        assert any(p.ndim > 1 for n in block.layers for p in network.get_submodule(n).parameters()), block
        if i in (0, len(known) // 2, len(known) - 1):
            body = made.trainable_part(block.end, "pooled")
            assert body.blocks == known[i + 1 :]
            learnt = [n for n, _ in body.module.named_parameters()]
            assert not any(n.startswith(f"{layer}.") for n in learnt for u in known[: i + 1] for layer in u.layers)
            assert all(any(n.startswith(f"{u.name}.") for n in learnt) for u in body.blocks)
    assert made.trainable_part(None, "pooled").blocks == known


@EVERY
def test_every_parameter_is_in_one_group_and_lower_ones_learn_more_slowly(family: Family) -> None:
    """The top learns at the full rate, each block at `decay` times the one above it, and nothing is left out."""
    made = backbone(family.name)
    network = tunable(made, made.trainable_part(None, "pooled"), family.size)
    found = groups(network, made.trainable_blocks(), 0.5, 0.01, gradual=2)
    members = [id(p) for group in found for p in group.parameters.values()]
    assert sorted(members) == sorted(id(p) for p in network.parameters())
    assert {n for g in found for n in g.parameters} == {n for n, _ in network.named_parameters()}
    assert [g.name for g in found] == ["head", *(u.name for u in reversed(made.trainable_blocks()))]
    assert [g.rate for g in found] == [0.5**i for i in range(len(found))]
    assert [g.first_epoch for g in found] == [1 + 2 * i for i in range(len(found))]
    assert [g.pull for g in found] == [0.0] + [0.01] * (len(found) - 1)


def test_weights_outside_the_blocks_learn_with_their_neighbours() -> None:
    """What a transformer adds to its patches is with the first block, the norm behind its blocks with the last."""
    made = backbone("test_vit")
    network = tunable(made, made.trainable_part(None, "pooled"), 160)
    found = {g.name: set(g.parameters) for g in groups(network, made.trainable_blocks(), 0.5, 0.0)}
    first, last = made.trainable_blocks()[0].name, made.trainable_blocks()[-1].name
    assert {"body.pos_embed", "body.cls_token"} <= found[first]
    assert {"body.norm.weight", "body.norm.bias"} <= found[last]


class Pooling(nn.Module):
    """Two blocks and a weight behind them that is no block: a norm of the pooled vector, as BEiT has."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
        )
        self.fc_norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.fc_norm(self.blocks(x + self.shift).flatten(2).mean(2)))


def test_a_norm_behind_the_blocks_learns_with_the_last_of_them() -> None:
    """It is next to the top: it must not learn at the slow rate of the first block."""
    module = nn.Module()
    for name, child in Pooling().named_children():
        if name != "fc":
            module.add_module(name, child)
    module.register_parameter("shift", nn.Parameter(torch.zeros(1)))
    known = (TrainableBlock("blocks.0", ("blocks.0",)), TrainableBlock("blocks.1", ("blocks.1",)))
    body = TrainablePart(module, "input", known, 1)
    network = Tunable(body, [(3, 8, 8)], backbone("resnet18").preprocess, dense([4, 2]))
    found = {g.name: set(g.parameters) for g in groups(network, known, 0.5, 0.0)}
    assert {"body.fc_norm.weight", "body.fc_norm.bias"} <= found["blocks.1"]
    assert "body.shift" in found["blocks.0"]


def test_a_body_ends_where_it_is_told_to() -> None:
    """Between two layers it is what the network has there; from a layer to itself it is nothing but the layer."""
    made = backbone("resnet18")
    x = normalised(pixels(48), 48, made.preprocess)
    with torch.no_grad():
        for layer, end in (("layer1.1", "layer3.0"), (None, "layer2.0"), ("layer2.0.conv1", "last_conv")):
            body = made.trainable_part(layer, end)
            given = pixels(48) if layer is None else made.features(body.source)(x)
            torch.testing.assert_close(tunable(made, body, 48, end).features(given), made.features(end)(x))
        body = made.trainable_part("last_conv", "last_conv")
        assert list(body.module.parameters()) == []
        rows = made.features("last_conv")(x)
        assert torch.equal(tunable(made, body, 48, "last_conv").features(rows), rows)


def test_a_cut_within_a_block_leaves_the_rest_of_that_block_in_the_body() -> None:
    """The blocks of the part are the one that was cut through and those behind it; behind the last map are none."""
    made = backbone("resnet18")
    names = [u.name for u in made.trainable_blocks()]
    inside = made.trainable_part("layer3.0.conv2", "pooled")
    assert [u.name for u in inside.blocks] == names[names.index("layer3.0") :]
    assert inside.source == "cut:layer3.0.conv2"
    assert made.trainable_part("last_conv", "pooled").blocks == ()


@pytest.mark.parametrize(("layer", "end"), [("fc", "pooled"), ("layer4.1", "layer2.0"), ("pooled", "last_conv")])
def test_a_cut_behind_the_features_is_refused(layer: str, end: str) -> None:
    """In one sentence with both names: there is nothing between them to train."""
    with pytest.raises(UserError, match=end) as caught:
        backbone("resnet18").trainable_part(layer, end)
    assert layer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_layer_is_refused_with_those_that_exist() -> None:
    """Both for the cut and for the end."""
    for layer, end in (("layer9", "pooled"), ("layer2.0", "poled"), (None, "poled")):
        with pytest.raises(UnknownName, match="layer4"):
            backbone("resnet18").trainable_part(layer, end)


# Training a body


def learnt(made: Backbone, layer: str | None, batchnorm: BatchNorm, size: int = 32) -> Tunable:
    """A body and a top after three steps on random pictures."""
    body = made.trainable_part(layer, "pooled")
    network = tunable(made, body, size, batchnorm=batchnorm)
    rows = pixels(size, 6)
    if layer is not None:
        with torch.no_grad():
            rows = made.features(body.source)(normalised(rows, size, made.preprocess))
    labels = np.array([0, 1, 2, 0, 1, 2])
    members = groups(network, body.blocks, 0.9, 0.0)
    plan = Plan(epochs=3, batch_size=6, learning_rate=0.01)
    train(Task(network, RowBatches(StoredRows(rows.numpy()), labels, 6, 0), plan, members))
    return network


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv2_100"])
@pytest.mark.parametrize("cut", [None, -3])
def test_frozen_statistics_stay_and_trained_ones_move(name: str, cut: int | None) -> None:
    """With `frozen` the running means and variances are bit-equal after a training, with `trained` all of them move."""
    made = backbone(name)
    layer = None if cut is None else made.trainable_blocks()[cut - 1].end
    own = made.network().state_dict()
    for kind in ("frozen", "trained"):
        after = learnt(made, layer, kind).body_state()
        statistics = [n for n in after if n.endswith(("running_mean", "running_var", "num_batches_tracked"))]
        same = {torch.equal(after[n], own[n]) for n in statistics}
        assert len(statistics) > 3
        assert same == {kind == "frozen"}
        changed = [n for n in after if n.endswith("weight") and not torch.equal(after[n], own[n])]
        assert len(changed) == sum(n.endswith("weight") for n in after)


def test_a_training_leaves_the_backbone_as_it_is() -> None:
    """Weights, statistics and mode of `network()` are bit-equal after a body was trained, and so is a second body."""
    made = backbone("resnet18")
    before = snapshot(made.network())
    learnt(made, None, "trained")
    learnt(made, "layer3.1", "trained")
    assert all(torch.equal(v, before[n]) for n, v in made.network().state_dict().items())
    assert not any(m.training for m in made.network().modules())
    body = made.trainable_part("layer3.1", "pooled").module
    assert all(torch.equal(v, before[n]) for n, v in body.state_dict().items())


def test_frozen_normalisations_do_not_depend_on_the_batch_in_training() -> None:
    """In train mode the features of a picture with `frozen` are those of eval mode; with `trained` they are not."""
    made = backbone("resnet18")
    rows = pixels(48, 4)
    for kind, same in (("frozen", True), ("trained", False)):
        network = tunable(made, made.trainable_part(None, "pooled"), 48, batchnorm=kind)
        with torch.no_grad():
            calm = network.eval().features(rows)
            busy = network.train().features(rows)
        assert torch.equal(calm, busy) is same


def test_mixed_pixels_are_taken_as_float() -> None:
    """Blended pictures (float pixels) give what their uint8 originals give where the share is 1."""
    made = backbone("squeezenet1_0")
    network = tunable(made, made.trainable_part(None, "pooled"), 48)
    with torch.no_grad():
        assert torch.equal(network.features(pixels(48).float()), network.features(pixels(48)))


class Masked(nn.Module):
    """Reads a constant that its file does not hold, as Swin does, and one that tracing finds in the code."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3)
        self.b = nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4, 2)
        self.register_buffer("mask", torch.tensor([1.0, 0.5, 1.0, 2.0]).view(1, 4, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.b(self.a(x) * self.mask) + torch.tensor(0.25)
        return self.fc(x.mean((2, 3)))


def test_constants_are_no_weights() -> None:
    """What the network's file does not hold is not in a body's state, so that the state fits the network again."""
    made = replace(resolve("resnet18", "none"), built=Masked().eval())
    x = normalised(pixels(32), 32, made.preprocess)
    for layer in (None, "a"):
        network = learnt(made, layer, "frozen")
        assert network.body_state().keys() <= made.network().state_dict().keys()
        changed = tuned(made, network.body_state())
        rows = pixels(32) if layer is None else made.features("a")(x)
        with torch.no_grad():
            torch.testing.assert_close(changed.features("pooled")(x), network.features(rows))


# A tuned network is a backbone


@pytest.mark.parametrize("name", ["test_resnet", "squeezenet1_0"])
def test_a_tuned_network_is_a_backbone_of_its_own(name: str, tmp_path: Path) -> None:
    """It has another fingerprint and the new weights; what `save` writes resolves to equal features and fingerprint."""
    made = backbone(name)
    network = learnt(made, made.trainable_blocks()[-3].end, "trained", 48)
    state = network.body_state()
    changed = tuned(made, state)
    assert changed.fingerprint != made.fingerprint
    assert changed.fingerprint == tuned(made, state).fingerprint
    own, old = changed.network().state_dict(), made.network().state_dict()
    assert all(torch.equal(own[n], state.get(n, old[n])) for n in old)
    assert any(not torch.equal(own[n], old[n]) for n in old)
    x = normalised(pixels(48), 48, made.preprocess)
    with torch.no_grad():
        features = changed.features("pooled")(x)
        trunk = changed.features(made.trainable_part(made.trainable_blocks()[-3].end, "pooled").source)(x)
        torch.testing.assert_close(network.eval().features(trunk), features)
        again = resolve(name, changed.save(tmp_path))
        assert torch.equal(again.features("pooled")(x), features)
        assert torch.equal(again.network()(x), changed.network()(x))
    assert again.fingerprint == changed.fingerprint
    assert again.preprocess == changed.preprocess


def test_nothing_new_is_the_same_network_under_its_content() -> None:
    """With no weights replaced, the features are bit-equal and the state is a copy."""
    made = backbone("squeezenet1_0")
    changed = tuned(made, {})
    x = torch.zeros(1, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(changed.features("pooled")(x), made.features("pooled")(x))
        next(changed.network().parameters()).zero_()
        assert float(next(made.network().parameters()).abs().max()) > 0


def test_a_weight_that_the_network_has_not_is_a_key_error() -> None:
    """Names are not guessed."""
    with pytest.raises(KeyError, match="nowhere"):
        tuned(backbone("resnet18"), {"nowhere": torch.zeros(1)})


# Networks that cannot be traced


class Untraceable(nn.Module):
    """Branches on a value, as no graph can; otherwise in timm's shape."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return x if float(x.detach().sum()) > 0 else -x

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> Any:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> Any:
        return self.forward_head(self.forward_features(x))


def untraceable() -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return replace(resolve("resnet18", "none"), built=Untraceable().eval())


def test_an_untraceable_network_is_not_cut() -> None:
    """A cut is refused in one sentence that says what can be done; it has no blocks to count."""
    made = untraceable()
    with pytest.raises(UserError, match="unfreeze=all") as caught:
        made.trainable_part("conv", "pooled")
    assert "\n" not in str(caught.value)
    assert made.trainable_blocks() == ()


def test_an_untraceable_network_is_trained_whole() -> None:
    """Its body gives its features, learns, and its weights go back into a backbone under the network's names."""
    made = untraceable()
    rows = pixels(12)
    x = normalised(rows, 12, made.preprocess)
    network = tunable(made, made.trainable_part(None, "pooled"), 12)
    with torch.no_grad():
        torch.testing.assert_close(network.features(rows), made.features("pooled")(x))
    network = learnt(made, None, "trained", 12)
    state, own = network.body_state(), made.network().state_dict()
    assert state.keys() <= own.keys()
    assert not torch.equal(state["conv.weight"], own["conv.weight"])
    changed = tuned(made, state)
    with torch.no_grad():
        torch.testing.assert_close(changed.features("pooled")(x), network.features(rows))
