"""What of a checkpoint is a network's, as training scripts write them; each step is told in a note.

    flat names -> the network's own, behind one common prefix (`module.`, `state_dict.model.`, ...) -> else the
    library's renamings of older names -> tensors that no feature needs are left out

Names decide, never their order. A file with names of its own for the same blocks is another architecture, and refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from headstart.phrases import plural

if TYPE_CHECKING:
    import torch
    from torch import nn

State: TypeAlias = "Mapping[str, torch.Tensor]"
Renaming: TypeAlias = "Callable[[nn.Module, State], State]"

WRAPPERS = re.compile(r"(?:(?:module|model|_orig_mod|backbone|encoder|net|network|state_dict|model_state_dict)\.)+")
AVERAGED = re.compile(r"ema|averag|teacher|momentum|target|encoder_k|swa")
"""In a prefix: a second set of weights, kept beside the trained one."""
COUNTERS = ("num_batches_tracked", "relative_position_index", "attn_mask", "total_ops", "total_params")
"""Ends of names of what is no weight: computed anew or not used."""
LONGEST = 12
"""Words that a prefix may have."""
TRIED = 12
"""Prefixes of usual words that are tried, the commonest."""
SHOWN = 3


@dataclass(frozen=True)
class Adopted:
    """Tensors under the network's names, with sentences on what was done to find them."""

    state: State
    notes: tuple[str, ...] = ()


def adopt_tensors(state: State, network: nn.Module, classifier: str, renamed: Renaming) -> Adopted:
    """The tensors of `state` that are this network's, under its own names.

    classifier: the path of the network's last layer, which may lack; renamed: the library's renamings. Where nothing
    fits, those that fit best, so that a message can say what is missing.
    """
    needed = {k for k in network.state_dict() if not k.startswith(f"{classifier}.") and not k.endswith(COUNTERS)}
    prefixes = _prefixes(state, needed)
    whole = sorted((p for p, count in prefixes.items() if count == len(needed)), key=_plain_first)
    if whole:
        return Adopted(_behind(state, whole[0]), _told(whole))
    for prefix in sorted(("", *_wrappers(state)), key=_plain_first):
        inner = _behind(state, prefix)
        found = renamed(network, inner)
        if found is not inner and needed <= found.keys():
            notes = ("Older weight names were converted, as the architecture's own library does.",)
            return Adopted(found, (*_told([prefix]), *notes))
    nearest = max(prefixes, key=lambda p: prefixes[p], default="")
    return Adopted(_behind(state, nearest), _told([nearest]))


def without_spares(state: State, network: nn.Module, classifier: str) -> Adopted:
    """Without the tensors that no feature needs: of blocks that the network has not, of the classifier, counters.

    What lies within the network's other blocks stays, since then the file is of another architecture.
    """
    own = network.state_dict()
    blocks = {_block(name) for name in own if not name.startswith(f"{classifier}.")}
    spare = [
        k
        for k in state
        if k not in own and (_block(k) not in blocks or k.startswith(f"{classifier}.") or k.endswith(COUNTERS))
    ]
    told = [k for k in spare if not k.endswith(COUNTERS)]
    left = set(spare)
    note = f"Not used, because no feature needs them: {grouped(told)}."
    return Adopted({k: v for k, v in state.items() if k not in left}, (note,) if told else ())


def grouped(names: list[str]) -> str:
    """`6 tensors (fc 2, head 4)`: how many there are in each block."""
    counts: dict[str, int] = {}
    for name in names:
        counts[_block(name)] = counts.get(_block(name), 0) + 1
    listed = [f"{block} {count}" for block, count in counts.items()]
    more = f" and {len(listed) - 2 * SHOWN} more" if len(listed) > 2 * SHOWN else ""
    return f"{plural(len(names), 'tensor')} ({', '.join(listed[: 2 * SHOWN])}{more})"


def _block(name: str) -> str:
    return name.partition(".")[0]


def _prefixes(state: State, needed: set[str]) -> dict[str, int]:
    """How many of the names that are needed stand behind each prefix of the file's names."""
    counts: dict[str, int] = {}
    for name in state:
        parts = name.split(".")
        for at in range(min(len(parts), LONGEST)):
            if ".".join(parts[at:]) in needed:
                prefix = "".join(f"{part}." for part in parts[:at])
                counts[prefix] = counts.get(prefix, 0) + 1
    return counts


def _wrappers(state: State) -> set[str]:
    """The prefixes of usual words that most names of the file begin with."""
    found: Counter[str] = Counter()
    for name in state:
        if wrapped := WRAPPERS.match(name):
            words = wrapped[0].split(".")[:-1][:LONGEST]
            found.update(".".join(words[: i + 1]) + "." for i in range(len(words)))
    return {prefix for prefix, _ in found.most_common(TRIED)}


def _plain_first(prefix: str) -> tuple[bool, int, str]:
    return bool(AVERAGED.search(prefix)), prefix.count("."), prefix


def _behind(state: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)} if prefix else state


def _told(prefixes: list[str]) -> tuple[str, ...]:
    """Which prefix was taken off, and which other sets of weights stay in the file."""
    taken, others = prefixes[0], [f"'{p.rstrip('.')}'" if p else "those without a prefix" for p in prefixes[1:]]
    notes = []
    if taken:
        notes.append(f"The prefix '{taken}' was removed from the names of the weights.")
    if others:
        notes.append(
            f"Of the {len(prefixes)} sets of weights in the file, {_set(taken)} was used, not {', '.join(others)}."
        )
    return tuple(notes)


def _set(prefix: str) -> str:
    return f"'{prefix.rstrip('.')}'" if prefix else "the one without a prefix"
