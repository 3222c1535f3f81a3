"""Which modules of a network are its blocks: by structure, where a cut behind them carries few tensors."""

from __future__ import annotations

from torch import fx, nn

from headstart.backbones.trace import Traced

STAGES = ("blocks", "layers", "stages")
SEQUENCES = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
MOST_CARRIED = 2
"""A block boundary carries few tensors; NASNet's always two."""


def blocks_of(traced: Traced, end: fx.Node | None) -> list[str]:
    """The paths of a network's blocks up to the node `end`, from input to output."""
    order = {node: i for i, node in enumerate(traced.graph.nodes)}
    found = [path for path in _candidates(traced.network, "") if path in traced.outputs]
    narrow = _narrow(traced)
    wide = {_parent(path) for path in found if path not in narrow} - {""}
    kept = dict.fromkeys(_parent(path) if _parent(path) in wide else path for path in found)
    place = {path: order[traced.outputs[path]] for path in kept if path in narrow}
    last = order[end] if end is not None else len(order)
    return sorted((p for p in place if place[p] <= last), key=place.__getitem__)


def _narrow(t: Traced) -> set[str]:
    """The layers at which a cut carries at most MOST_CARRIED tensors."""
    live = t.live()
    order = {node: i for i, node in enumerate(t.graph.nodes)}
    change = [0] * (len(order) + 1)
    for node in t.shapes:
        users = [order[u] for u in node.users if u in live]
        if node in live and users:
            change[order[node]] += 1
            change[max(users)] -= 1
    carried, total = [], 0
    for step in change:
        total += step
        carried.append(total)
    return {path for path, node in t.outputs.items() if carried[order[node]] <= MOST_CARRIED}


def _candidates(module: nn.Module, path: str) -> list[str]:
    """Blocks by structure: the elements of sequences and stages, else the children."""
    found = []
    for name, child in module.named_children():
        if isinstance(child, nn.Identity | nn.Dropout):
            continue  # does nothing to a picture outside training
        below = f"{path}.{name}" if path else name
        found += _candidates(child, below) if _is_stage(child) else [below]
    return found


def _is_stage(module: nn.Module) -> bool:
    """A sequence, a module that holds one of like parts under a usual name, or one whose parts are all alike."""
    if type(module) in SEQUENCES:
        return any(True for _ in module.children())
    return _alike(module) or any(_alike(getattr(module, name, None)) for name in STAGES)


def _alike(module: nn.Module | None) -> bool:
    """Whether all parts are of one class of the library's own, which has parts itself."""
    parts = list(module.children()) if module is not None else []
    kinds = {type(part) for part in parts}
    own = len(kinds) == 1 and not kinds & set(SEQUENCES) and any(True for _ in parts[0].children())
    return own and (len(parts) > 1 or isinstance(module, SEQUENCES))


def _parent(path: str) -> str:
    return path.rpartition(".")[0]
