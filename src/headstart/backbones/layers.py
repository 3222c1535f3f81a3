"""Names of layers: `pooled`, `last_conv`, `cls`, `mean`, the path of any module, and `A+B`.

`last_conv` is the last map of a convolutional network, (c, h, w): what timm's `forward_features` gives; elsewhere the
last 4-D tensor before the classifier. `pooled` is its mean over the h x w cells. Of a transformer, `last_conv` is the
last grid of tokens (c, h, w), without the class token, and `pooled` the vector that enters the classifier, timm's
`forward_head(pre_logits=True)`. A network of our own names its `pooled_layer` itself: sprout's keeps the quarters of
the map apart. `cls` is a transformer's class token as `forward_features` gives it, `mean` the mean over the cells of
`last_conv`, and `A+B` are two layers or more side by side, each flattened.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import torch
from torch import fx, nn

from headstart.backbones.blocks import blocks_of
from headstart.backbones.facts import Layer
from headstart.backbones.grid import JOIN, SPECIAL, as_map, class_token, grid_of, has_class_token, joined_rows
from headstart.backbones.split import Split, carried_features, cut, trunk_features
from headstart.backbones.trace import Traced
from headstart.errors import UnknownName, UserError

HEADS = {"classifier", "fc", "head", "heads", "avgpool", "global_pool", "last_linear", "head_drop"}
LACKS = {
    "pooled": "has no vector before its classifier",
    "last_conv": "has neither a map nor a grid of tokens at its end",
    "cls": "has no class token at its end",
    "mean": "has neither a map nor a grid of tokens at its end",
}
CUT = "cut:"
"""Before a layer's name: everything that a cut behind it carries, not the layer's output alone."""


class TracedLayers:
    """All layers of a traced network. Looking up `pooled` or `last_conv` may add to the graph, once."""

    def __init__(self, traced: Traced, name: str) -> None:
        self.traced = traced
        self.name = name
        self._joined: dict[str, fx.Node] = {}

    @cached_property
    def last_conv(self) -> fx.Node | None:
        """The node of the last map or grid of tokens (b, c, h, w), None for networks without either."""
        t, tokens = self.traced, self._tokens
        if self._map is not None or tokens is None:
            return self._map
        batch, *_, channels = t.shapes[tokens]
        if (grid := grid_of(t.network, t.shapes[tokens])) is None:
            return None
        with t.graph.inserting_after(tokens):
            node = t.graph.call_function(as_map, (tokens, grid.prefix, grid.height, grid.width))
        t.shapes[node] = (batch, channels, grid.height, grid.width)
        return node

    @cached_property
    def cls(self) -> fx.Node | None:
        """The node of the class token (b, c), None for networks without one."""
        t, tokens = self.traced, self._tokens
        if self._map is not None or tokens is None or not has_class_token(t.network, t.shapes[tokens]):
            return None
        with t.graph.inserting_after(tokens):
            node = t.graph.call_function(class_token, (tokens,))
        t.shapes[node] = (t.shapes[tokens][0], t.shapes[tokens][2])
        return node

    @cached_property
    def mean(self) -> fx.Node | None:
        """The node of the mean over the cells of `last_conv` (b, c), None for networks without it."""
        t, cells = self.traced, self.last_conv
        if cells is None:
            return None
        with t.graph.inserting_after(cells):
            node = t.graph.call_function(torch.mean, (cells,), {"dim": (2, 3)})
        t.shapes[node] = t.shapes[cells][:2]
        return node

    def _join(self, name: str) -> fx.Node:
        """The node of several layers side by side (b, d)."""
        t, parts = self.traced, [self.node(part) for part in name.split(JOIN)]
        order = {node: i for i, node in enumerate(t.graph.nodes)}
        with t.graph.inserting_after(max(parts, key=order.__getitem__)):
            joined = t.graph.call_function(joined_rows, tuple(parts))
        t.shapes[joined] = (t.shapes[parts[0]][0], sum(prod(t.shapes[part][1:]) for part in parts))
        return joined

    @cached_property
    def _tokens(self) -> fx.Node | None:
        """The node of a transformer's last tokens: (b, n, c), or (b, h, w, c)."""
        t = self.traced
        if t.features is not None and t.features in t.shapes:
            return t.features
        live = t.live()
        found = [n for n in t.graph.nodes if n in live and len(t.shapes.get(n, ())) == 3]
        return found[-1] if found else None

    @cached_property
    def _map(self) -> fx.Node | None:
        """The node of a convolutional network's last map (b, c, h, w), None for networks without one."""
        t = self.traced
        if t.features is not None and t.features in t.shapes:
            return t.features if _channels_first(t, t.shapes[t.features]) else None
        live = t.live()
        last = None
        for node in t.graph.nodes:
            shape = t.shapes.get(node, ()) if node in live else ()
            if len(shape) == 3:
                last = None  # tokens after a map: a transformer
            elif len(shape) == 4 and shape[2] * shape[3] > 1 and t.path(node).split(".")[0] not in HEADS:
                last = node if node.op != "placeholder" else None
        return last

    @cached_property
    def pooled(self) -> fx.Node | None:
        """The node of the pooled vector (b, c)."""
        t = self.traced
        if named := getattr(t.network, "pooled_layer", None):  # the network says itself: sprout
            return t.outputs[named]
        if (conv := self._map) is not None:
            with t.graph.inserting_after(conv):
                node = t.graph.call_function(torch.mean, (conv,), {"dim": (2, 3)})
            t.shapes[node] = t.shapes[conv][:2]
            return node
        if t.pre_logits is not None and t.pre_logits in t.shapes:
            return t.pre_logits
        linear = [n for n in t.graph.nodes if _is_linear(t.network, n)]
        return linear[-1].all_input_nodes[0] if linear else None

    def node(self, name: str) -> fx.Node:
        """The node of a layer. Raises UnknownName with what exists and its shapes."""
        if name in SPECIAL:
            return self._special(name)
        node = self.traced.outputs.get(name)
        if node is None and JOIN in name:
            if name not in self._joined:
                self._joined[name] = self._join(name)
            return self._joined[name]
        if node is None:
            raise UnknownName(f"layer of {self.name}", name, [*SPECIAL, *self.traced.outputs], hint=self.listing())
        return node

    def _special(self, name: str) -> fx.Node:
        node: fx.Node | None = getattr(self, name)
        if node is None:
            raise UserError(f"{self.name} {LACKS[name]}, so no {name}. {self.listing()}")
        return node

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape for one picture, without the batch."""
        return self.traced.shapes[self.node(name)][1:]

    def listing(self) -> str:
        """One sentence with the layers and their shapes."""
        return f"Its layers are {', '.join(map(str, self.layers()))}, and any module within them."

    def layers(self) -> tuple[Layer, ...]:
        """`pooled`, `last_conv`, `cls` and `mean` where there are any, and the blocks from input to output."""
        own = SPECIAL if self._map is None else SPECIAL[:2]  # of a map, `mean` would be `pooled` again
        special = [name for name in own if getattr(self, name) is not None]
        return tuple(Layer(name, self.shape(name)) for name in [*special, *self._blocks])

    def modules(self) -> tuple[Layer, ...]:
        """Every module whose output is a layer, in the order they are computed."""
        order = {node: i for i, node in enumerate(self.traced.graph.nodes)}
        outputs = sorted(self.traced.outputs.items(), key=lambda item: order[item[1]])
        return tuple(Layer(path, self.traced.shapes[node][1:]) for path, node in outputs)

    def split(self, layer: str) -> Split:
        """See `Backbone.split`."""
        return cut(self.traced, self.node(layer))

    def features(self, layer: str) -> nn.Module:
        """See `Backbone.features`."""
        if layer.startswith(CUT):
            return carried_features(self.traced, self.node(layer.removeprefix(CUT)))
        return trunk_features(self.traced, self.node(layer))

    @cached_property
    def _blocks(self) -> list[str]:
        return blocks_of(self.traced, self._map if self._map is not None else self.pooled)


def _channels_first(t: Traced, shape: tuple[int, ...]) -> bool:
    if len(shape) != 4:
        return False
    fmt = getattr(t.network, "output_fmt", None)
    if fmt is not None:
        return "NHWC" not in str(fmt)
    channels = getattr(t.network, "num_features", shape[1])
    return not (shape[3] == channels != shape[1])


def _is_linear(network: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), nn.Linear)
