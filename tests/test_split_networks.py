"""The one idea, on every family: cut behind any layer, trunk and tail together are the network."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch

from headstart.backbones import Backbone, Layer, resolve
from headstart.backbones.trace import trace_network
from headstart.errors import UnknownName, UserError

torch.set_num_threads(1)  # the pictures are small


class Family(NamedTuple):
    """A network, a small input, and what is known of it from its paper or library at its own size."""

    name: str
    size: int
    pooled: int
    last_conv: tuple[int, ...]
    block: str
    inside: str  # a layer within a block, where several tensors cross
    carried: int  # how many cross there


FAMILIES = [
    Family("MobileNetV2", 64, 1280, (1280, 7, 7), "blocks.3.1", "blocks.3.1.conv_dw", 2),
    Family(
        "DenseNet121", 64, 1024, (1024, 7, 7), "features.transition2", "features.denseblock3.denselayer12.norm1", 13
    ),
    Family("SqueezeNet", 64, 512, (512, 13, 13), "features.7", "features.9.expand1x1", 2),
    Family("vit_tiny_patch16_224", 224, 192, (192, 14, 14), "blocks.5", "blocks.8.norm1", 2),
    Family("sprout", 32, 2880, (320, 24, 24), "stages.1.0", "stages.1.1.conv", 1),
    Family("small_cnn", 8, 576, (64, 16, 16), "blocks.1", "blocks.2.conv", 1),
]
SLOW = [
    Family("ResNet50", 64, 2048, (2048, 7, 7), "layer2.3", "layer3.0.conv2", 2),
    Family("AlexNet", 80, 256, (256, 6, 6), "features.6", "classifier.1", 1),
    Family("InceptionV3", 96, 2048, (2048, 8, 8), "Mixed_6a", "Mixed_6c.branch7x7dbl_4", 4),
    Family("efficientnet_b0", 64, 1280, (1280, 7, 7), "blocks.4.0", "blocks.4.1.se.conv_reduce", 3),
    Family("ConvNeXtTiny", 64, 768, (768, 7, 7), "stages.2.blocks.1", "stages.2.blocks.3.mlp.fc1", 2),
    Family("swin_tiny_patch4_window7_224", 224, 768, (768, 7, 7), "layers.2.blocks.2", "layers.2.blocks.3.mlp.fc1", 3),
]
MORE = [  # chains, branches and transformers, larger ones
    Family("MobileNet", 64, 1024, (1024, 7, 7), "blocks.3.0", "blocks.3.1.bn1", 1),
    Family("VGG16", 48, 512, (512, 7, 7), "features.16", "features.11", 1),
    Family("InceptionResNetV2", 96, 1536, (1536, 8, 8), "repeat_1.6", "repeat.3.branch1.0", 3),
    Family("Xception", 96, 2048, (2048, 10, 10), "block7", "block7.rep.4.conv1", 2),
    Family("NASNetLarge", 96, 4032, (4032, 11, 11), "cell_8", "cell_7.comb_iter_4_left.bn_sep_2", 8),
    Family("torchvision:vit_b_32", 224, 768, (768, 7, 7), "encoder.layers.encoder_layer_5", "encoder.ln", 1),
]
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]
EVERY = pytest.mark.parametrize(
    "family",
    [
        *(pytest.param(f, id=f.name) for f in FAMILIES),
        *(pytest.param(f, id=f.name, marks=pytest.mark.slow) for f in SLOW),
        *(pytest.param(f, id=f.name, marks=EXHAUSTIVE) for f in MORE),
    ],
)


@cache
def backbone(name: str) -> Backbone:
    """A network with random weights, built once for this module."""
    return resolve(name, "none")


def pictures(family: Family, n: int) -> torch.Tensor:
    return torch.randn(n, 3, family.size, family.size, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
@EVERY
@torch.no_grad()
def test_trunk_and_tail_are_the_network(family: Family) -> None:
    """At a block, within one, and at `pooled`, `tail(*trunk(x))` equals `network(x)`, and the tail changes no input."""
    whole, x = backbone(family.name).network(), pictures(family, 2)
    wanted = whole(x)
    for layer in (family.block, family.inside, "pooled"):
        split = backbone(family.name).split(layer)
        between = split.trunk(x)
        before = [tensor.clone() for tensor in between]
        torch.testing.assert_close(split.tail(*between), wanted, rtol=1e-4, atol=0)
        assert all(torch.equal(a, b) for a, b in zip(before, between, strict=True)), layer


@EVERY
@torch.no_grad()
def test_a_block_boundary_carries_few_tensors_and_a_cut_within_a_block_what_it_must(family: Family) -> None:
    """The number of tensors that cross is that of the architecture: one or two at a block, more within one."""
    x = pictures(family, 1)
    assert len(backbone(family.name).split(family.block).trunk(x)) <= 2
    assert len(backbone(family.name).split(family.inside).trunk(x)) == family.carried


@EVERY
def test_layers_have_the_shapes_of_the_architecture(family: Family) -> None:
    """`pooled` and `last_conv` have the published sizes at the network's own input size, and the block is listed."""
    layers = {layer.name: layer.shape for layer in backbone(family.name).layers()}
    assert layers["pooled"] == (family.pooled,)
    assert layers.get("last_conv") == family.last_conv
    assert family.block in layers


@EVERY
@torch.no_grad()
def test_features_are_the_layer_and_do_not_depend_on_the_batch(family: Family) -> None:
    """A row of a batch of four equals the row of a batch of one within 1e-5, is float32 and as long as its layer."""
    x = pictures(family, 4)
    features = backbone(family.name).features("pooled")
    rows = features(x)
    assert rows.dtype == torch.float32
    assert rows.shape == (4, family.pooled)
    assert bool(torch.isfinite(rows).all())
    scale = float(rows.abs().max())
    torch.testing.assert_close(features(x[2:3])[0], rows[2], rtol=1e-5, atol=1e-5 * scale)


@EVERY
def test_the_network_is_in_eval_mode(family: Family) -> None:
    """No module of the network, of a trunk or of a tail is in training mode."""
    split = backbone(family.name).split(family.block)
    for module in (backbone(family.name).network(), split.trunk, split.tail, backbone(family.name).features("pooled")):
        assert not [name for name, part in module.named_modules() if part.training]


@pytest.mark.parametrize(
    "name",
    [
        "ResNet50",
        "DenseNet121",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("efficientnet_b0", "ConvNeXtTiny")),
    ],
)
@torch.no_grad()
def test_last_conv_is_what_timm_calls_features_and_pooled_its_mean(name: str) -> None:
    """`last_conv` is `forward_features` flattened in the order (c, h, w); `pooled` its mean over the cells."""
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    reference = backbone(name).network().forward_features(x)
    assert torch.equal(backbone(name).features("last_conv")(x), reference.reshape(2, -1))
    torch.testing.assert_close(backbone(name).features("pooled")(x), reference.mean(dim=(2, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
@torch.no_grad()
def test_a_transformer_is_pooled_as_timm_pools_it_and_its_last_conv_is_its_grid_of_tokens(name: str) -> None:
    """`pooled` is `forward_head(pre_logits=True)`; cell (i, j) of `last_conv` is the token of the patch (i, j)."""
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    network = backbone(name).network()
    tokens = network.forward_features(x)
    wanted = network.forward_head(tokens, pre_logits=True)
    torch.testing.assert_close(backbone(name).features("pooled")(x), wanted, rtol=1e-5, atol=1e-6)
    split = backbone(name).split("last_conv")
    between = split.trunk(x)
    token = tokens[:, 1 + 3 * 14 + 5] if tokens.ndim == 3 else tokens[:, 3, 5]
    assert torch.equal(between[0][:, :, 3, 5], token)
    assert torch.equal(backbone(name).features("last_conv")(x), between[0].flatten(1))
    torch.testing.assert_close(split.tail(*between), network(x), rtol=1e-4, atol=1e-6)


def test_tokens_that_lie_on_no_grid_are_no_last_conv() -> None:
    """PiT's features are its class token alone; `last_conv` is refused with the layers that exist."""
    with pytest.raises(UserError, match=r"no last_conv.*pooled \("):
        backbone("pit_ti_224").features("last_conv")


@pytest.mark.parametrize("name", [pytest.param("AlexNet", marks=pytest.mark.slow), "SqueezeNet"])
@torch.no_grad()
def test_last_conv_of_torchvision_networks_is_their_features(name: str) -> None:
    """The last map before the classifier, although SqueezeNet's classifier is a convolution itself."""
    x = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(2))
    assert torch.equal(backbone(name).features("last_conv")(x), backbone(name).network().features(x).flatten(1))


def test_a_layer_of_windows_is_no_layer() -> None:
    """This attention works on windows, several to a picture, so its rows are not one a picture: it is not offered."""
    with pytest.raises(UnknownName):
        backbone("test_maxvit").features("stages.0.blocks.0.attn_block.attn")


@pytest.mark.parametrize(
    ("name", "start", "count"),
    [
        ("ResNet50", "layer", 3 + 4 + 6 + 3),
        ("DenseNet121", "features.denseblock", 4),
        pytest.param("ConvNeXtTiny", "stages.2.blocks.", 9, marks=pytest.mark.slow),
        ("vit_tiny_patch16_224", "blocks.", 12),
        ("MobileNetV2", "blocks.", 17),
        pytest.param("InceptionV3", "Mixed_", 11, marks=pytest.mark.slow),
        ("torchvision:shufflenet_v2_x0_5", "stage3.", 8),
        ("torchvision:mnasnet0_5", "layers.8.", 3),
    ],
)
def test_blocks_are_those_of_the_paper(name: str, start: str, count: int) -> None:
    """Residual blocks, dense blocks, encoder layers and inception modules are listed one by one."""
    assert sum(layer.name.startswith(start) for layer in backbone(name).layers()) == count


def test_a_wrong_layer_lists_what_exists_with_shapes() -> None:
    """The nearest names come first, then every block with its shape."""
    with pytest.raises(
        UnknownName, match=r"'layer3\.1\.conv': did you mean layer3\.1\.conv\d.*layer2\.1 \(512x28x28\)"
    ):
        backbone("ResNet50").features("layer3.1.conv")


@torch.no_grad()
def test_any_module_is_a_layer() -> None:
    """The features of a module are what a hook on that module sees."""
    network = backbone("ResNet50").network()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    for path in ("layer2", "layer3.0.bn2", "layer1.2.conv1"):
        seen: list[torch.Tensor] = []
        handle = network.get_submodule(path).register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.clone()))
        network(x)
        handle.remove()
        assert torch.equal(backbone("ResNet50").features(path)(x), seen[0].flatten(1)), path


class Remembering(torch.nn.Module):
    """Keeps a tensor of its first run, as ConViT keeps its relative positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.kept: torch.Tensor | None = None
        self.cache: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kept is None:
            self.kept = self.cache["ones"] = torch.ones(4, 1, 1, device=x.device)
        return self.conv(x) * self.kept


@torch.no_grad()
def test_finding_shapes_leaves_no_trace_in_the_network() -> None:
    """Shapes are found with tensors that have no content; a module that keeps one of them must not have it after."""
    timm = pytest.importorskip("timm")
    timm.layers.register_notrace_module(Remembering)
    network = torch.nn.Sequential(Remembering(), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, 2)).eval()
    assert trace_network(network, (8, 8)) is not None
    assert network[0].kept is None
    assert not network[0].cache
    assert bool(torch.isfinite(network(torch.ones(1, 3, 8, 8))).all())


@torch.no_grad()
def test_a_network_is_traced_while_other_threads_run_theirs() -> None:
    """torch.fx watches the modules of all threads; those of another thread neither fail nor get into the graph."""
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    x, done, failed = torch.randn(4, 3, 2, 2), threading.Event(), []

    def run() -> None:
        while not done.is_set():
            try:
                other(x)
            except Exception as error:
                failed.append(error)
                return

    network = resolve("resnet18", "none").network()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        traced = [trace_network(network, (32, 32)) for _ in range(3)]
    finally:
        done.set()
        thread.join()
    assert not failed
    assert all(t is not None and len(t.graph.nodes) == len(traced[0].graph.nodes) for t in traced if traced[0])


class Untraceable(torch.nn.Module):
    """Branches on a value, as no graph can; otherwise in timm's shape."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.fc = torch.nn.Linear(4, 2)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x if float(x.sum()) > 0 else -x

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


@torch.no_grad()
def test_a_network_that_cannot_be_traced_still_has_pooled_and_last_conv() -> None:
    """It is cut at timm's own seam, exactly; a named layer is refused with the reason."""
    network = Untraceable().eval()
    made = replace(resolve("resnet18", "none"), built=network)
    x = torch.randn(2, 3, 8, 8)
    assert [layer.name for layer in made.layers()] == ["pooled", "last_conv"]
    assert made.layers()[0] == Layer("pooled", (4,))
    for layer in ("pooled", "last_conv"):
        split = made.split(layer)
        assert torch.equal(split.tail(*split.trunk(x)), network(x))
        assert torch.equal(split.trunk(x)[0].flatten(1), made.features(layer)(x))
    with pytest.raises(UnknownName, match="cannot be traced"):
        made.features("conv")
