"""A small multi-layer perceptron on features: Dense 512 + ReLU + dropout + softmax, trained by AdamW.

PyTorch trains; prediction needs only NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from headstart.errors import BundleError, NotConverged
from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, class_weights
from headstart.heads.scaler import Scaler, standardised

if TYPE_CHECKING:
    import torch

    from headstart.heads.optimiser import CosineAdamW

Row = dict[str, float]


@dataclass
class Training:
    """What one training run holds: network, optimiser, tensors and class weights."""

    network: torch.nn.Sequential
    optimiser: CosineAdamW
    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor] | None
    weights: torch.Tensor
    generator: torch.Generator


class MLPHead(Head):
    """Hidden layers with ReLU and dropout, then softmax; standardised input, the scaler folded into layer 1.

    Mini-batches, AdamW (Loshchilov and Hutter 2019), cosine decay of the learning rate per step.  With validation
    data training stops after `patience` epochs without a lower validation log loss and the best epoch is kept;
    without them it runs all `epochs`.  The same seed gives the same weights on the same machine.  `on_epoch(row)`
    is called with each row of `history_`.  Raises `NotConverged` when the loss is no longer finite.
    """

    def __init__(
        self,
        hidden: Sequence[int] | int = (512,),
        dropout: float = 0.5,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        patience: int = 8,
        class_weight: ClassWeight = None,
        seed: int = 0,
        on_epoch: Callable[[Row], None] | None = None,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.class_weight = class_weight
        self.seed = seed
        self.on_epoch = on_epoch

    layers_: list[tuple[NDArray[np.float64], NDArray[np.float64]]]

    def _fit(self, train: Examples, validation: Examples | None) -> None:
        self._check_settings()
        scaler = Scaler.measure(train.X)
        with _one_thread():
            run = self._prepare(scaler, train, validation)
            best = self._train(run)
        self.layers_ = self._folded(best, scaler)
        self.n_iter_ = len(self.history_) - 1

    def _check_settings(self) -> None:
        self._widths()
        if not 0 <= self.dropout < 1:
            raise HeadSettingError(f"dropout is {self.dropout}: it must be at least 0 and below 1.")
        for name in ("epochs", "batch_size", "patience", "learning_rate"):
            if not getattr(self, name) > 0:
                raise HeadSettingError(f"{name} is {getattr(self, name)}: it must be above 0.")

    def _widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers; one number is one layer."""
        widths = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        if not all(isinstance(width, int | np.integer) and width > 0 for width in widths):
            raise HeadSettingError(f"hidden is {self.hidden!r}: it must be a whole number above 0, or a list of them.")
        return widths

    def _prepare(self, scaler: Scaler, train: Examples, validation: Examples | None) -> Training:
        import torch

        from headstart.heads.optimiser import CosineAdamW

        def tensors(part: Examples) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.from_numpy(standardised([part.X], scaler, np.float32)), torch.from_numpy(part.y)

        generator = torch.Generator().manual_seed(self.seed)
        network = self._network(train.X.shape[1], generator)
        steps = self.epochs * -(-len(train.X) // self.batch_size)
        optimiser = CosineAdamW(network.parameters(), self.learning_rate, self.weight_decay, steps)
        weights = class_weights(train.y, self.classes_, self.class_weight)
        held_out = None if validation is None else tensors(validation)
        return Training(
            network,
            optimiser,
            tensors(train),
            held_out,
            torch.tensor(weights, dtype=torch.float32),
            generator,
        )

    def _network(self, width: int, generator: torch.Generator) -> torch.nn.Sequential:
        """He initialisation (He et al. 2015) for hidden layers, zero biases, a small last layer."""
        import torch

        sizes = [width, *self._widths(), len(self.classes_)]
        modules: list[torch.nn.Module] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            last = index == len(sizes) - 2
            linear = torch.nn.utils.skip_init(  # type: ignore[no-untyped-call]
                torch.nn.Linear, fan_in, fan_out
            )
            with torch.no_grad():
                linear.weight.normal_(0.0, (1.0 if last else 2.0) ** 0.5 / fan_in**0.5, generator=generator)
                linear.bias.zero_()
            modules += [linear] if last else [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*modules)

    def _train(self, run: Training) -> list[torch.Tensor]:
        """Parameters of the best epoch (of the last one without validation); fills the history."""
        self._report_epoch(run, {"epoch": 0.0, **self._evaluated(run), "images_per_s": 0.0})
        best_loss, best_epoch, best = np.inf, 0, _parameters(run.network)
        for epoch in range(1, self.epochs + 1):
            started = time.perf_counter()
            self._one_epoch(run)
            speed = len(run.train[1]) / (time.perf_counter() - started)
            row = {"epoch": float(epoch), **self._evaluated(run), "images_per_s": speed}
            self._report_epoch(run, row)
            loss = row.get("val_loss", -np.inf)
            if loss < best_loss or run.validation is None:
                best_loss, best_epoch, best = loss, epoch, _parameters(run.network)
            elif epoch - best_epoch >= self.patience:
                break
        self._describe(best_epoch, epoch, run)
        return best

    def _one_epoch(self, run: Training) -> None:
        import torch

        X, y = run.train
        order = torch.randperm(len(y), generator=run.generator)
        for batch in torch.split(order, self.batch_size):
            hidden = X[batch]
            for module in run.network[:-1]:
                hidden = module(hidden)
                if isinstance(module, torch.nn.ReLU) and self.dropout > 0:
                    kept = torch.rand(hidden.shape, generator=run.generator) >= self.dropout
                    hidden = hidden * kept / (1.0 - self.dropout)
            losses = torch.nn.functional.cross_entropy(run.network[-1](hidden), y[batch], reduction="none")
            loss = (losses * run.weights[y[batch]]).mean()
            if not torch.isfinite(loss):
                raise NotConverged(
                    f"The MLP's loss became {loss.item()} in epoch {len(self.history_)}: lower learning_rate "
                    f"(now {self.learning_rate:g})."
                )
            loss.backward()  # type: ignore[no-untyped-call]
            run.optimiser.step()

    def _evaluated(self, run: Training) -> Row:
        row: Row = {}
        row["train_loss"], row["train_accuracy"] = _evaluate(run.network, *run.train, run.weights)
        if run.validation is not None:
            row["val_loss"], row["val_accuracy"] = _evaluate(run.network, *run.validation, run.weights)
        return row | {"learning_rate": run.optimiser.learning_rate}

    def _report_epoch(self, run: Training, row: Row) -> None:
        self.history_.append(row)
        if self.on_epoch is not None:
            self.on_epoch(row)

    def _describe(self, best: int, last: int, run: Training) -> None:
        self.report_ |= {
            "epochs": last,
            "best_epoch": best,
            "parameters": int(sum(p.numel() for p in run.network.parameters())),
            "class_weight": self.class_weight,
            "seed": self.seed,
        }
        if run.validation is None:
            self.notes_.append(f"No validation data: all {last} epochs were run and the last one kept.")
        elif last < self.epochs:
            self.notes_.append(f"Stopped after epoch {last}; epoch {best} had the lowest validation log loss.")
        elif best == last:
            self.notes_.append(f"The last epoch, {last}, was the best: more epochs may do better.")

    def _folded(self, parameters: list[torch.Tensor], scaler: Scaler) -> list[tuple[Any, Any]]:
        arrays = [p.numpy().astype(np.float64) for p in parameters]
        pairs = [(W.T, b) for W, b in zip(arrays[::2], arrays[1::2], strict=True)]
        pairs[0] = scaler.fold(*pairs[0])
        return pairs

    def _logits(self, X: Features) -> NDArray[np.float64]:
        hidden = X.astype(np.float64, copy=False)
        for weights, bias in self.layers_[:-1]:
            hidden = np.maximum(hidden @ weights + bias, 0.0)
        weights, bias = self.layers_[-1]
        logits: NDArray[np.float64] = hidden @ weights + bias
        return logits

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """`weight_0` (d, h) and `bias_0` (h,) of the first layer, and so on; float64, for raw features."""
        arrays = super().to_arrays()
        for index, (weights, bias) in enumerate(self.layers_):
            arrays |= {f"weight_{index}": np.ascontiguousarray(weights), f"bias_{index}": bias}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], config: dict[str, Any]) -> Self:
        """The fitted head back from `to_arrays()` and `config()`."""
        head = super().from_arrays(arrays, config)
        names = [(f"weight_{i}", f"bias_{i}") for i in range(len(head._widths()) + 1)]
        missing = [name for pair in names for name in pair if name not in arrays]
        if missing:
            raise BundleError(f"An MLPHead cannot be restored: {', '.join(missing)} missing.")
        head.layers_ = [(np.asarray(arrays[w]), np.asarray(arrays[b])) for w, b in names]
        return head


def _parameters(network: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def _evaluate(network: torch.nn.Module, X: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> tuple[float, float]:
    """Weighted log loss and plain accuracy without dropout."""
    import torch

    loss, right = 0.0, 0
    with torch.no_grad():
        for rows, labels in zip(torch.split(X, 4096), torch.split(y, 4096), strict=True):
            logits = network(rows)
            losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            loss += float((losses * weights[labels]).sum(dtype=torch.float64))
            right += int((logits.argmax(dim=1) == labels).sum())
    return loss / len(y), right / len(y)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One intra-op thread while the block runs: faster on small matrices, and the same sums on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
