"""The training loop: mini-batches, metrics each epoch, the best epoch kept, exact resume. Imports torch.

Every random draw of a step comes from (seed, epoch, step) and nothing else, so the state of a training is its weights,
the optimiser's memory and a few numbers: what was killed and resumed ends in the weights of what was not, bit for bit
on one device with one number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from headstart.errors import NotConverged, UserError
from headstart.training.batches import Batch, Batches, prefetched
from headstart.training.checkpoint import Keeper
from headstart.training.crew import Crew
from headstart.training.devices import autocast, place, threads_set
from headstart.training.optimiser import Group, Optimiser
from headstart.training.plan import Plan
from headstart.training.steps import mixed, seed_step
from headstart.training.weights import Average, finite, restore, snapshot

Row = dict[str, float]
Evaluate = Callable[[nn.Module, int], Row]
"""(model in eval mode, epoch) -> numbers for the history; `val_loss` among them chooses the best epoch."""


def nothing(model: nn.Module, epoch: int) -> Row:
    """An Evaluate that measures nothing."""
    return {}


@dataclass
class Task:
    """What is trained, on what, and how it is judged. `class_weights` (k,) multiply the losses of their classes."""

    model: nn.Module
    batches: Batches
    plan: Plan
    groups: list[Group] | None = None
    evaluate: Evaluate = nothing
    class_weights: torch.Tensor | None = None


@dataclass
class Trained:
    """What a training came to; the model holds the weights of `best_epoch`."""

    history: list[Row]
    best_epoch: int
    stopped_early: bool
    resumed_at: tuple[int, int] | None = None
    """(epoch, step) from which a saved state was taken up."""


@dataclass
class _Progress:
    """The numbers of the state; the tensors are in model, optimiser, average and best."""

    epoch: int = 1
    step: int = 0
    done: int = 0
    loss: float = 0.0
    right: float = 0.0
    seen: int = 0
    data_s: float = 0.0
    compute_s: float = 0.0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[Row] = field(default_factory=list)


def train(
    task: Task,
    keeper: Keeper | None = None,
    on_epoch: Callable[[Row], None] | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train `task.model` in place and leave it in eval mode with the weights of its best epoch.

    Best is the least `val_loss` that `task.evaluate` gives, the first row being the state before any update; without
    one the last epoch. `on_step(steps done, steps in all, loss)` follows it live. With a `keeper` the state is saved
    as it goes, and taken up where there is one.

    Raises NotConverged when the loss is not finite; the last saved state stays.
    """
    return _Loop(task, keeper, on_epoch, on_step).run()


class _Loop:
    def __init__(
        self,
        task: Task,
        keeper: Keeper | None,
        on_epoch: Callable[[Row], None] | None,
        on_step: Callable[[int, int, float], None] | None,
    ) -> None:
        self.task, self.plan, self.keeper = task, task.plan, keeper
        self.on_epoch, self.on_step = on_epoch, on_step
        self.crew = Crew.here()
        self.model = place(task.model, task.plan.device)
        named = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimiser = Optimiser(task.groups or [Group("all", named)], task.plan)
        self.average = Average(self.model, task.plan.ema) if task.plan.ema > 0 else None
        self.best: dict[str, torch.Tensor] = {}
        self.at = _Progress()
        self.joined = self.crew.joined(self.model)
        self.steps = task.batches.steps * task.plan.epochs
        weights = task.class_weights
        self.weights = None if weights is None else weights.to(task.plan.device, torch.float32)

    def run(self) -> Trained:
        resumed = None
        with (
            threads_set(self.plan.threads),
            torch.random.fork_rng(devices=[]),
            ThreadPoolExecutor(1, "batches") as pool,
        ):
            taken_up = self._take_up()
            self._check_together()
            if taken_up:
                resumed = (self.at.epoch, self.at.step)
                for row in self.at.history:
                    self._tell(row)
            else:
                self._end_of_epoch(0)
            stopped = self._ended()
            while self.at.epoch <= self.plan.epochs and not stopped:
                self._epoch(pool)
                self._end_of_epoch(self.at.epoch)
                self.at.epoch, self.at.step = self.at.epoch + 1, 0
                self.at.loss = self.at.right = self.at.data_s = self.at.compute_s = 0.0
                self.at.seen = 0
                stopped = self._ended()
                last = stopped or self.at.epoch > self.plan.epochs
                if self.keeper is not None and (last or self.keeper.due(epoch_ended=True)):
                    self._save(self.keeper)
        restore(self.model, self.best)
        self.model.eval()
        return Trained(self.at.history, self.at.best_epoch, stopped, resumed)

    def _epoch(self, pool: ThreadPoolExecutor) -> None:
        self.model.train()
        clock = time.perf_counter()
        for batch in prefetched(self.task.batches, self.at.epoch, self.at.step, pool):
            ready = time.perf_counter()
            self.at.data_s += ready - clock
            loss = self._learn(batch)
            self.at.step += 1
            self.at.done += 1
            clock = time.perf_counter()
            self.at.compute_s += clock - ready
            if self.on_step is not None:
                self.on_step(self.at.done, self.steps, loss)
            if self.keeper is not None and self.keeper.due():
                self._save(self.keeper)
                clock = time.perf_counter()
        if not finite(self.model):  # by the last step, which no loss has followed
            raise NotConverged(
                self._why_it_stopped("A weight became infinite or NaN", self.at.step - 1, self.at.done - 1)
            )

    def _learn(self, batch: Batch) -> float:
        """One update; the loss before it."""
        at, plan = self.at, self.plan
        seed_step(plan.seed, at.epoch, at.step, plan.device)
        inputs, targets, others, share = mixed(batch, plan)
        own = self.crew.share(len(targets))
        with autocast(plan):
            logits = self.joined(*(x[own] for x in inputs))
        losses = self._losses(logits, targets[own])
        if share < 1:
            losses = share * losses + (1 - share) * self._losses(logits, others[own])
        loss = self.crew.mean(losses, len(targets))
        right = self._right(logits, targets)
        mean, right = self.crew.over_all([float(loss.detach()), right], plan.device)
        if not np.isfinite(mean):
            raise NotConverged(self._why_it_stopped(f"The loss became {mean}", at.step, at.done))
        loss.backward()  # type: ignore[no-untyped-call]
        if plan.clip > 0:
            nn.utils.clip_grad_norm_(self.optimiser.parameters(at.epoch), plan.clip)
        self.optimiser.step(plan.learning_rate * plan.rate(at.done, self.steps), at.epoch)
        if self.average is not None:
            self.average.follow(self.model)
        at.loss += mean * len(targets)
        at.right += right
        at.seen += len(targets)
        return mean

    def _right(self, logits: torch.Tensor, targets: torch.Tensor) -> float:
        """The right answers of this process's share of a batch, times the number of processes."""
        own = targets[self.crew.share(len(targets))]
        codes = own if own.ndim == 1 else own.argmax(dim=1)
        return float((logits.argmax(dim=1) == codes).sum()) * self.crew.size * (self.crew.rank < len(targets))

    def _losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        smoothing = self.plan.label_smoothing
        losses = nn.functional.cross_entropy(logits.float(), targets, reduction="none", label_smoothing=smoothing)
        if self.weights is None:
            return losses
        return losses * (self.weights[targets] if targets.ndim == 1 else targets @ self.weights)

    def _why_it_stopped(self, what: str, step: int, done: int) -> str:
        rate = self.plan.learning_rate * self.plan.rate(done, self.steps)
        bound = "" if self.plan.clip > 0 else ", or bound the gradient with clip = 1"
        file = self.keeper.file if self.keeper is not None and self.keeper.file.exists() else None
        kept = f"; the last good state is in {file}, so name another `out` then" if file else ""
        return (
            f"{what} in epoch {self.at.epoch}, step {step + 1} (learning rate {rate:.3g}): lower "
            f"learning_rate (now {self.plan.learning_rate:g}){bound}{kept}."
        )

    def _end_of_epoch(self, epoch: int) -> None:
        """Measure, write the row, and keep the weights if they are the best so far."""
        at = self.at
        row: Row = {"epoch": float(epoch)}
        if at.seen:
            row |= {"train_loss": at.loss / at.seen, "train_accuracy": at.right / at.seen}
        with self._evaluated():
            begun = time.perf_counter()
            row |= self.crew.of_first(lambda: self.task.evaluate(self.model, epoch))
            evaluate_s = time.perf_counter() - begun
            loss = row.get("val_loss")
            if loss is None:  # the last epoch is the one to keep; in between there is nothing to go back to
                at.best_epoch, self.best = epoch, snapshot(self.model) if epoch >= self.plan.epochs else {}
            elif not self.best or loss < at.best_loss:  # the first, also where its loss is not finite
                at.best_loss = loss if loss < at.best_loss else at.best_loss
                at.best_epoch, self.best = epoch, snapshot(self.model)
        rate = self.plan.learning_rate * self.plan.rate(min(at.done, self.steps - 1), self.steps)
        row |= {f"learning_rate_{g.name}": rate * g.rate for g in self._rated(epoch)} | {"learning_rate": rate}
        busy = at.data_s + at.compute_s
        row |= {"images_per_s": at.seen / busy if busy else 0.0, "data_s": at.data_s, "compute_s": at.compute_s}
        row["evaluate_s"] = evaluate_s
        at.history.append(row)
        self._tell(row)

    def _rated(self, epoch: int) -> list[Group]:
        """The groups whose rate is a column of its own."""
        groups = self.optimiser.groups
        return [g for g in groups if len(groups) > 1 and epoch >= g.first_epoch]

    @contextmanager
    def _evaluated(self) -> Iterator[None]:
        """Eval mode, with the average in place of the weights where there is one."""
        self.model.eval()
        own = None
        if self.average is not None and self.at.done:
            own = snapshot(self.model)
            restore(self.model, self.average.weights)
        try:
            with torch.no_grad():
                yield
        finally:
            if own is not None:
                restore(self.model, own)

    def _ended(self) -> bool:
        """Whether the patience is at its end."""
        last = len(self.at.history) - 1
        return 0 < self.plan.patience <= last - self.at.best_epoch

    def _tell(self, row: Row) -> None:
        if self.on_epoch is not None:
            self.on_epoch(row)

    def _save(self, keeper: Keeper) -> None:
        if self.crew.rank > 0 or not finite(self.model):
            return  # the first process saves; the next loss will say so; the state before stays the last good one
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"optimiser/{k}": v for k, v in self.optimiser.state().items()}
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        tensors |= {f"average/{k}": v for k, v in (self.average.weights if self.average else {}).items()}
        numbers = {k: v for k, v in vars(self.at).items() if k != "best_loss"}
        keeper.save(tensors, numbers | {"best_loss": repr(self.at.best_loss)})

    def _take_up(self) -> bool:
        found = self.keeper.load() if self.keeper is not None else None
        if found is None:
            return False
        tensors, numbers = found
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimiser": {}, "best": {}, "average": {}}
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = value
        restore(self.model, parts["model"])
        self.optimiser.load(parts["optimiser"])
        self.best = parts["best"]
        if self.average is not None:
            for name, mean in self.average.weights.items():  # in place: on their device
                mean.copy_(parts["average"][name])
        self.at = _Progress(**{**numbers, "best_loss": float(numbers["best_loss"])})
        return True

    def _check_together(self) -> None:
        """Raise UserError where processes took up different states, as without a disk that all of them see."""
        here = (self.at.epoch, self.at.step)
        if self.crew.of_first(lambda: here) != here:
            raise UserError(
                "Not all workers can see the state of the training: `out` must be on a disk that they share."
            )
