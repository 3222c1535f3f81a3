"""AdamW and SGD over groups of parameters, by PyTorch's functional forms. Imports torch.

`torch.optim`'s classes do the same steps, but their constructors import PyTorch's compiler, which takes 2 s: longer
than training a head on a few thousand stored features. The state here is plain named tensors, as a checkpoint wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from headstart.training.plan import Plan

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass
class Group:
    """Parameters that learn alike: at `rate` times the learning rate, from `first_epoch` on.

    With `pull` > 0 they are drawn back to where they began, (pull / 2) ||w - w0||^2 (L2-SP, Li et al. 2018), in place
    of weight decay.
    """

    name: str
    parameters: dict[str, nn.Parameter]
    rate: float = 1.0
    pull: float = 0.0
    first_epoch: int = 1
    anchors: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pull > 0 and not self.anchors:
            self.anchors = {name: p.detach().clone() for name, p in self.parameters.items()}


def decays(parameter: torch.Tensor) -> bool:
    """Weight decay is for matrices and kernels: not for biases nor the scales and shifts of normalisation layers."""
    return parameter.ndim > 1


class Optimiser:
    """AdamW (Loshchilov and Hutter 2019) or SGD with Nesterov momentum over groups.

    Weight decay and the pull of L2-SP are decoupled from the gradient in AdamW and part of it in SGD.
    """

    def __init__(self, groups: Iterable[Group], plan: Plan) -> None:
        self.groups, self.plan = list(groups), plan
        self._memory: dict[str, dict[str, torch.Tensor]] = {}

    def parameters(self, epoch: int) -> Iterator[nn.Parameter]:
        """Of the groups that learn in `epoch`."""
        for group in self.groups:
            if epoch >= group.first_epoch:
                yield from group.parameters.values()

    def step(self, rate: float, epoch: int) -> None:
        """One update at learning rate `rate` with the gradients there are, which are cleared."""
        for group in self.groups:
            if epoch >= group.first_epoch:
                with torch.no_grad():
                    self._update(group, rate * group.rate)
            for p in group.parameters.values():
                p.grad = None

    def _update(self, group: Group, rate: float) -> None:
        for decayed in (True, False):
            found = {n: p for n, p in group.parameters.items() if p.grad is not None and decays(p) is decayed}
            if not found:
                continue
            self._pull(group, found, rate)
            decay = self.plan.weight_decay if decayed and group.pull == 0 else 0.0
            self._adamw(found, rate, decay) if self.plan.optimiser == "adamw" else self._sgd(found, rate, decay)

    def _pull(self, group: Group, found: dict[str, nn.Parameter], rate: float) -> None:
        if group.pull == 0:
            return
        for name, p in found.items():
            group.anchors[name] = group.anchors[name].to(p.device)
            away = p - group.anchors[name]
            if self.plan.optimiser == "adamw":
                p.sub_(away, alpha=rate * group.pull)
            elif p.grad is not None:
                p.grad.add_(away, alpha=group.pull)

    def _adamw(self, found: dict[str, nn.Parameter], rate: float, decay: float) -> None:
        memory = [self._remembered(name, p, ("mean", "square")) for name, p in found.items()]
        fused = all(p.device.type in ("cpu", "cuda") for p in found.values())
        adamw(
            list(found.values()), _gradients(found), [m["mean"] for m in memory], [m["square"] for m in memory], [],
            [m["count"] for m in memory], foreach=False, fused=fused, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
            lr=rate, weight_decay=decay, eps=EPSILON, maximize=False,
        )  # fmt: skip

    def _sgd(self, found: dict[str, nn.Parameter], rate: float, decay: float) -> None:
        memory = [self._remembered(name, p, ("momentum",)) for name, p in found.items()]
        sgd(
            list(found.values()), _gradients(found), [m["momentum"] for m in memory], foreach=False,
            weight_decay=decay, momentum=self.plan.momentum, lr=rate, dampening=0.0,
            nesterov=self.plan.momentum > 0, maximize=False,
        )  # fmt: skip

    def _remembered(self, name: str, p: torch.Tensor, kinds: tuple[str, ...]) -> dict[str, torch.Tensor]:
        if name not in self._memory:
            fresh = {kind: torch.zeros_like(p, memory_format=torch.preserve_format) for kind in kinds}
            self._memory[name] = fresh | {"count": torch.zeros((), device=p.device)}
        return self._memory[name]

    def state(self) -> dict[str, torch.Tensor]:
        """All it remembers, by `parameter/kind`."""
        return {f"{name}/{kind}": value for name, kinds in self._memory.items() for kind, value in kinds.items()}

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Take up a `state`, on the devices of the parameters."""
        known = {name: p for group in self.groups for name, p in group.parameters.items()}
        self._memory = {}
        for key, value in state.items():
            name, _, kind = key.rpartition("/")
            p = known[name]  # the layout in memory is the parameter's own
            self._memory.setdefault(name, {})[kind] = (
                value.to(p.device) if kind == "count" else torch.empty_like(p).copy_(value).detach()
            )


def _gradients(found: dict[str, nn.Parameter]) -> list[torch.Tensor]:
    return [p.grad for p in found.values() if p.grad is not None]
