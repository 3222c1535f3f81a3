"""A network as a graph, with the node that each module returns and the shape of every node.

Symbolic tracing (torch.fx; Reed et al. 2022) with timm's no-trace modules and functions as leaves. The graph holds for
any batch and, where the network allows it, any picture size.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

if TYPE_CHECKING:
    from torch.fx.node import Argument

Size = tuple[int, int]
BATCH = 2
SMALL = 2_000_000
"""Weights of a network up to which a run takes some hundredths of a second."""
SHAPE_KEEPING = (nn.BatchNorm2d, nn.LayerNorm, nn.ReLU, nn.SiLU, nn.GELU, nn.Dropout, nn.Identity)


@dataclass(frozen=True)
class Traced:
    """`outputs`: module path -> the node it returns last, one row for each picture (not, say, for each window of one).
    `shapes`: of the nodes that are tensors made from the pictures, for a batch of BATCH.

    `features` and `pre_logits` are what timm's `forward_features` and `forward_head(pre_logits=True)` return.
    """

    network: nn.Module
    graph: fx.Graph
    outputs: dict[str, fx.Node]
    shapes: dict[fx.Node, tuple[int, ...]]
    features: fx.Node | None = None
    pre_logits: fx.Node | None = None

    def path(self, node: fx.Node) -> str:
        """The module path in which a node was made, '' at the top."""
        stack = node.meta.get("nn_module_stack") or {}
        return str(next(reversed(stack.values()))[0]) if stack else ""

    def live(self) -> set[fx.Node]:
        """The nodes that the network's result depends on, or that change a tensor in place."""
        changing = [n for n in self.graph.nodes if n.op == "call_method" and str(n.target).endswith("_")]
        return ancestors([_result(self.graph), *changing])


def trace_network(network: nn.Module, size: Size) -> Traced | None:
    """The graph of `network` for pictures (b, 3, *size), or None when it cannot be traced symbolically."""
    tracer = _Tracer()
    marks: dict[str, Any] = {}
    try:
        with _marking(network, marks):
            graph = tracer.trace(network)
        shapes = _shapes(network, graph, size)
    except Exception:  # control flow that depends on values fails in as many ways as there are networks
        return None
    nodes = {path: value.node for path, value in tracer.returned.items() if isinstance(value, fx.Proxy)}
    found = {name: value.node for name, value in marks.items() if isinstance(value, fx.Proxy)}
    rows = {path: node for path, node in nodes.items() if shapes.get(node, (0,))[:1] == (BATCH,)}
    return Traced(network, graph, rows, shapes, **found)


def ancestors(nodes: list[fx.Node]) -> set[fx.Node]:
    """The nodes themselves and all that they are computed from."""
    found: set[fx.Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.all_input_nodes)
    return found


def _result(graph: fx.Graph) -> fx.Node:
    result: fx.Node = next(iter(reversed(graph.nodes)))
    return result


class _Tracer(fx.Tracer):
    """Remembers what each module returned; timm's no-trace modules and functions stay whole."""

    def __init__(self) -> None:
        functions, modules = _kept_whole()
        super().__init__(autowrap_functions=functions)
        self.returned: dict[str, Any] = {}
        self._whole = modules
        self._thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._whole) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self._thread:  # torch.fx watches the modules of all threads
            return forward(*args, **kwargs)
        value = super().call_module(m, forward, args, kwargs)
        self.returned[self.path_of_module(m)] = value
        return value


def _kept_whole() -> tuple[tuple[Callable[..., Any], ...], tuple[type[nn.Module], ...]]:
    """timm's functions and modules that are not traced through; none before it is imported, which takes seconds."""
    layers = sys.modules.get("timm.layers")
    if layers is None:
        return (), ()
    return tuple(layers.get_notrace_functions()), tuple(layers.get_notrace_modules())


@contextmanager
def _marking(network: nn.Module, marks: dict[str, Any]) -> Iterator[None]:
    """While tracing, note what `forward_features` returns, and what `forward_head` has before its classifier."""
    features, head = getattr(network, "forward_features", None), getattr(network, "forward_head", None)

    def marked_features(*args: Any, **kwargs: Any) -> Any:
        marks["features"] = value = features(*args, **kwargs)  # type: ignore[misc]
        return value

    def marked_head(x: Any, *args: Any, **kwargs: Any) -> Any:
        marks["pre_logits"] = head(x, pre_logits=True)  # type: ignore[misc]
        return head(x, *args, **kwargs)  # type: ignore[misc]

    # Set on the object, not the class; `forward` finds these first.
    if features is not None and head is not None:
        network.__dict__["forward_features"] = marked_features
        network.__dict__["forward_head"] = marked_head
    try:
        yield
    finally:
        network.__dict__.pop("forward_features", None)
        network.__dict__.pop("forward_head", None)


class _Shapes(fx.Interpreter):
    """Runs the graph, where it can on tensors without content, and notes the shapes."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.found: dict[fx.Node, tuple[int, ...]] = {}

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(self.fetch_attr(str(target)), SHAPE_KEEPING):
            return args[0].clone()  # the decomposed batch norm would take most of the time
        return super().call_module(target, args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.found[n] = tuple(value.shape)
        return value


class _OnMeta(nn.Module):
    """A network whose graph is run on PyTorch's device without memory; its weights are put there for the call."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__()
        self.network, self.shapes = network, _ShapesOnMeta(network, graph)

    def forward(self, pictures: torch.Tensor) -> None:
        self.shapes.run(pictures)


class _ShapesOnMeta(_Shapes):
    """Also brings there the constants that tracing found in the code."""

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return value.to("meta") if isinstance(value, torch.Tensor) else value


@contextmanager
def _restoring(network: nn.Module) -> Iterator[None]:
    """Put back every module's attributes and buffers: some keep tensors of their last run, here without content."""
    saved = [(m, {k: _copied(v) for k, v in m.__dict__.items()}) for m in network.modules()]
    try:
        yield
    finally:
        for module, attributes in saved:
            module.__dict__.clear()
            module.__dict__.update(attributes)


def _copied(value: Any) -> Any:
    """Dictionaries and lists as they are now, for the caches and the buffers that modules keep in them."""
    return copy.copy(value) if type(value) in (dict, list) else value


def _shapes(network: nn.Module, graph: fx.Graph, size: Size) -> dict[fx.Node, tuple[int, ...]]:
    """Shapes for a batch of BATCH pictures, of the tensors that depend on it."""
    picture = next(n for n in graph.nodes if n.op == "placeholder")
    small = sum(p.numel() for p in network.parameters()) <= SMALL
    found = (None if small else _on_meta(network, graph, size)) or _with_content(network, graph, size)
    depends: set[fx.Node] = {picture}
    for node in graph.nodes:
        if any(n in depends for n in node.all_input_nodes):
            depends.add(node)
    return {node: shape for node, shape in found.items() if node in depends}


def _on_meta(network: nn.Module, graph: fx.Graph, size: Size) -> dict[fx.Node, tuple[int, ...]] | None:
    """Shapes by tensors without content; None where the code makes tensors with some, or looks into one.

    PyTorch takes seconds to load what it takes, where timm has not done so already.
    """
    running = _OnMeta(network, graph)
    weights = {name: value.to("meta") for name, value in [*running.named_parameters(), *running.named_buffers()]}
    with torch.no_grad(), _restoring(network):
        try:
            torch.func.functional_call(running, weights, (torch.empty(BATCH, 3, *size, device="meta"),))
        except Exception:  # which error it is depends on the operation
            return None
    return running.shapes.found


def _with_content(network: nn.Module, graph: fx.Graph, size: Size) -> dict[fx.Node, tuple[int, ...]]:
    """Shapes by a run on an empty picture, which takes a second where a large network on `_on_meta` takes a tenth."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    running = _Shapes(network, graph)
    with torch.no_grad(), _restoring(network):
        running.run(torch.zeros(BATCH, 3, *size, device=device))
    return running.found


def copy_nodes(source: list[fx.Node], into: fx.Graph, known: dict[fx.Node, fx.Node]) -> None:
    """Copy nodes, in their order, into another graph; `known` maps old to new and grows."""

    def new(node: fx.Node) -> fx.Node:
        return known[node]

    for node in source:
        if node not in known:
            known[node] = into.node_copy(node, new)


def finish(network: nn.Module, graph: fx.Graph, result: Argument, name: str) -> fx.GraphModule:
    """The module of a graph; it shares the layers of `network`, under the same names, and is in eval mode."""
    graph.output(result)
    graph.lint()
    module = fx.GraphModule(network, graph, class_name=name)
    module.eval()
    return module
