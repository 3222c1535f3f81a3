"""The split: a frozen trunk and a trainable tail, cut behind any layer.

Everything up to and including the layer is trunk; what the rest needs of it besides is carried along. Parameters that
a forward reads directly, and sizes, go to the part that uses them: only tensors made from the picture are carried.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from headstart.backbones.trace import Traced, ancestors, copy_nodes, finish

IN_PLACE = {"iadd", "isub", "imul", "itruediv"}


@dataclass(frozen=True)
class Split:
    """`trunk(x)` gives a tuple: the layer's output first, then what is carried; `tail(*trunk(x))` equals the network.

    Both share their layers, under the same names, with the network they were cut from: copy a tail before training it.
    A tail leaves its inputs as they are, also where the network works in place.
    """

    trunk: nn.Module
    tail: nn.Module


def cut(traced: Traced, node: fx.Node) -> Split:
    """Cut a traced network behind `node`. Exact: no operation changes."""
    above, below = _sides(traced, node)
    crossing = [n for n in _needed(traced, above, below) if n is not node]
    trunk_graph, known = fx.Graph(), dict[fx.Node, fx.Node]()
    copy_nodes(above, trunk_graph, known)
    trunk = finish(traced.network, trunk_graph, tuple(known[n] for n in (node, *crossing)), "Trunk")
    return Split(trunk, _tail(traced, [node, *crossing], below))


def trunk_features(traced: Traced, node: fx.Node) -> nn.Module:
    """The trunk alone, its layer flattened in C order: float (b, 3, h, w) -> (b, d) float32."""
    above, _ = _sides(traced, node)
    return _flat(traced, above, [node], "Features")


def carried(traced: Traced, node: fx.Node) -> list[fx.Node]:
    """The node, and what else a cut behind it carries to the tail."""
    above, below = _sides(traced, node)
    return [node, *(n for n in _needed(traced, above, below) if n is not node)]


def carried_features(traced: Traced, node: fx.Node) -> nn.Module:
    """The trunk alone with all that is carried, flattened and side by side: float (b, 3, h, w) -> (b, d) float32."""
    above, _ = _sides(traced, node)
    return _flat(traced, above, carried(traced, node), "Carried")


def tail_features(traced: Traced, node: fx.Node, end: fx.Node) -> nn.Module:
    """What lies between a cut behind `node` and `end`: the carried tensors -> (b, d) float32."""
    wanted, inputs = ancestors([end]), carried(traced, node)
    nodes = list(traced.graph.nodes)
    body = [n for n in nodes[nodes.index(node) + 1 :] if n in wanted and n not in inputs]
    graph, known = _tail_graph(traced, inputs, body)
    flat = graph.call_function(torch.flatten, (known[end], 1))
    return finish(traced.network, graph, graph.call_method("float", (flat,)), "TrainablePart")


def _flat(traced: Traced, above: list[fx.Node], results: list[fx.Node], name: str) -> fx.GraphModule:
    graph, known = fx.Graph(), dict[fx.Node, fx.Node]()
    copy_nodes(above, graph, known)
    flat = [graph.call_function(torch.flatten, (known[n], 1)) for n in results]
    whole = flat[0] if len(flat) == 1 else graph.call_function(torch.cat, (flat, 1))
    return finish(traced.network, graph, graph.call_method("float", (whole,)), name)


def _sides(traced: Traced, node: fx.Node) -> tuple[list[fx.Node], list[fx.Node]]:
    """The nodes up to `node`, and the rest without the result; what nothing depends on is left out."""
    nodes = list(traced.graph.nodes)
    place = nodes.index(node) + 1
    live = traced.live()
    own = live | ancestors([node])
    picture = [n for n in nodes if n.op == "placeholder"]
    above = picture + [n for n in nodes[:place] if n in own and n not in picture]
    return above, [n for n in nodes[place:] if n in live and n not in picture]


def _needed(traced: Traced, above: list[fx.Node], below: list[fx.Node]) -> list[fx.Node]:
    """The tensors of the trunk that the tail reads, directly or through sizes and parameters that it computes anew."""
    inside = set(above)
    found: dict[fx.Node, None] = {}
    stack = [i for n in reversed(below) for i in reversed(n.all_input_nodes) if i in inside]
    while stack:
        node = stack.pop()
        if node in traced.shapes:
            found[node] = None
        else:
            stack.extend(node.all_input_nodes)
    return [n for n in above if n in found]


def _tail(traced: Traced, inputs: list[fx.Node], below: list[fx.Node]) -> fx.GraphModule:
    *body, result = below
    graph, known = _tail_graph(traced, inputs, body)
    outputs = fx.map_arg(result.args[0], lambda n: known[n])
    return finish(traced.network, graph, outputs, "Tail")


def _tail_graph(traced: Traced, inputs: list[fx.Node], body: list[fx.Node]) -> tuple[fx.Graph, dict[fx.Node, fx.Node]]:
    """The graph of `body` on `inputs`, and its nodes by the whole network's; sizes and parameters are computed anew."""
    graph = fx.Graph()
    known = {node: graph.placeholder(node.name) for node in inputs}
    for node in [n for n in inputs if any(_overwrites(traced.network, u) for u in n.users)]:
        known[node] = graph.call_method("clone", (known[node],))
    anew: list[fx.Node] = []
    stack = [i for n in body for i in n.all_input_nodes]
    inside = set(body)
    while stack:
        node = stack.pop()
        if node not in known and node not in inside and node not in anew:
            anew.append(node)
            stack.extend(node.all_input_nodes)
    order = {n: i for i, n in enumerate(traced.graph.nodes)}
    copy_nodes(sorted(anew, key=order.__getitem__), graph, known)
    copy_nodes(body, graph, known)
    return graph, known


def _overwrites(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node changes the tensor it is given: an in-place ReLU, `x += y`, `x.mul_(y)`."""
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(str(node.target)), "inplace", False))
    name = str(getattr(node.target, "__name__", node.target))
    return bool(node.kwargs.get("inplace")) or name in IN_PLACE or (name.endswith("_") and not name.endswith("__"))
