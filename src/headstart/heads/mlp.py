"""Dense layers on features, trained by mini-batches: `mlp` (Dense 512 + ReLU + dropout + softmax) and `linear`.

The training loop is `headstart.training.loop`, in PyTorch; prediction needs only NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, HeadSettingError, class_weights
from headstart.heads.dense import DenseHead
from headstart.heads.folds import NONE, Folds
from headstart.heads.solver import blocks
from headstart.heads.solver.blocks import Taken, taken
from headstart.heads.solver.scaler import Scaler, standardised
from headstart.heads.state import State
from headstart.heads.trials import Trials, note_choice

if TYPE_CHECKING:
    import torch

    from headstart.training.loop import Trained
    from headstart.training.network import Layers
    from headstart.training.plan import Plan

Row = dict[str, float]
BLOCK = 4096
STRIDE = 4.0  # how far the first step may move a logit, in standardised features that all agree
MANY_ROWS = 10_000
WIDEST = 100_000  # of a hidden layer; wider ones fit in no memory with the features before them


class MLPHead(DenseHead):
    """Hidden layers with ReLU and dropout, then softmax; standardised input, the scaler folded into layer 1.

    Mini-batches, AdamW (Loshchilov and Hutter 2019), cosine decay of the learning rate per step.  A first training, on
    all rows but a part that is held out, stops after `patience` epochs without a lower log loss on that part; a second
    one on all rows has as many epochs as were best.  Where nothing can be held out there are `epochs`.  The same seed
    gives the same weights on the same machine.  `on_epoch(row)` is called with each row of `history_`, whose training
    figures after row 0 are means over the epoch's batches, and then with those of the second training.
    `batch_size` None is `training.rules`' (32, 64 or 128 by the number of rows), `learning_rate` None 1e-3, or 3e-4
    from 10,000 rows on, whose epochs have many steps, and never more than 4 / d for d features: a step of Adam moves
    every weight by its rate, and so the logits by d times that.  Raises `NotConverged` when the loss is not finite.
    """

    def __init__(
        self,
        hidden: Sequence[int] | int = (512,),
        dropout: float = 0.5,
        epochs: int = 50,
        batch_size: int | None = None,
        learning_rate: float | None = None,
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

    DEAR = True

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        """Train on a part to choose the epoch, where there is a trial, and then so long on all rows."""
        self._check_settings()
        scaler = Scaler.measure(rows.X)
        large = rows.X.size >= blocks.VERY_LARGE
        scaled = Scaled(rows.X, scaler) if large else standardised([rows.X], scaler, np.float32)
        Z = Examples(cast(Features, scaled), rows.y)
        epochs, trials = self.epochs, None
        if folds is not None:
            epochs, trials = self._try(Z, folds.first())
        layers, trained = self._train(Z, None, epochs)
        self.history_ = self.history_ or trained.history
        self.layers_ = [scaler.fold(*layers[0]), *layers[1:]]
        self.n_iter_ = epochs
        self._describe(epochs, trials)

    def _try(self, Z: Examples, folds: Folds) -> tuple[int, Trials]:
        """The epoch of least loss on the rows judged, 1 at the least, and what was answered to them then."""
        ((fitted, judged),) = folds
        layers, trained = self._train(
            Examples(taken(Z.X, fitted), Z.y[fitted]), Examples(Z.X[judged], Z.y[judged]), self.epochs
        )
        self.history_ = trained.history
        trials = Trials(Z.y, folds, class_weights(Z.y, self.classes_, self.class_weight))
        trials.add({"epochs": float(trained.best_epoch)}, [_through(layers, Z.X[judged])])
        self.out_of_fold_ = trials.out_of_fold(trials.best)
        return max(1, trained.best_epoch), trials

    def _train(self, train: Examples, judged: Examples | None, epochs: int) -> tuple[Layers, Trained]:
        """The layers for standardised rows, of the best epoch where rows are judged."""
        from headstart.training.batches import RowBatches, StoredRows
        from headstart.training.loop import Task
        from headstart.training.loop import train as run
        from headstart.training.network import dense, draw, read

        network = dense([train.X.shape[1], *self.widths(), len(self.classes_)], self.dropout)
        draw(network, self.seed)
        judge = _Judge(self, train, judged)
        n, d = train.X.shape
        plan = self._plan(n, d, epochs)
        batches = RowBatches(StoredRows(train.X), train.y, plan.batch_size, self.seed)
        task = Task(network, batches, plan, evaluate=judge, class_weights=judge.weights)
        trained = run(task, on_epoch=self.on_epoch)
        return read(network), trained

    def _plan(self, n: int, d: int, epochs: int) -> Plan:
        from headstart.training import rules
        from headstart.training.plan import Plan

        return Plan(
            epochs=epochs, batch_size=self.batch_size or int(rules.batch_size(n).value),
            learning_rate=self.learning_rate or min(self._usual_rate(n), STRIDE / d),
            weight_decay=self.weight_decay, patience=self.patience, seed=self.seed,
        )  # fmt: skip

    def _usual_rate(self, n: int) -> float:
        return 1e-3 if n < MANY_ROWS else 3e-4

    def _check_settings(self) -> None:
        self.widths()
        if not 0 <= self.dropout < 1:
            raise HeadSettingError(f"dropout is {self.dropout}: it must be at least 0 and below 1.")
        for name in ("epochs", "batch_size", "patience", "learning_rate"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise HeadSettingError(f"{name} is {getattr(self, name)}: it must be above 0.")

    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers; one number is one layer."""
        widths = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        if not all(isinstance(width, int | np.integer) and width > 0 for width in widths):
            raise HeadSettingError(
                f"hidden is {self.hidden!r:.60}: it must be a whole number above 0, or a list of them such as "
                "hidden=[512,256]."
            )
        if max(widths, default=0) > WIDEST:
            raise HeadSettingError(f"hidden is {max(widths):,}: give at most {WIDEST:,}.")
        return widths

    def _describe(self, epochs: int, trials: Trials | None) -> None:
        self.report_ |= {
            "epochs": epochs,
            "best_epoch": epochs,
            "parameters": int(sum(w.size + b.size for w, b in self.layers_)),
            "class_weight": self.class_weight,
            "seed": self.seed,
        }
        by = "as many as asked for, as nothing was held out"
        if trials is not None:
            by = f"the epoch of least log loss on {trials.folds.words}, of {len(self.history_) - 1}; then fitted on all"
        note_choice(self, {"epochs": float(epochs)}, None, by)

    def describe_layers(self) -> str:
        """The layers behind the features, with how many parameters they have."""
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        hidden = [f"Dense {width:,} (ReLU{dropout})" for width in self.widths()]
        told = ", ".join([*hidden, f"Dense {len(self.classes_):,} + softmax"])
        return f"{told}: {self.report_['parameters']:,} parameters"

    def _logits(self, X: Features) -> NDArray[np.float64]:
        return _through(self.layers_, X)

    def dense_layers(self) -> Layers:
        """The layers, float64."""
        return self.layers_

    def fitted_on_training(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """With as many epochs as were chosen, on X and y alone."""
        return type(self)(**self.get_params() | {"epochs": int(self.report_["epochs"])}).fit(X, y, folds=NONE)

    def _set_layers(self, layers: Layers) -> None:
        self.layers_ = list(layers)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """`weight_0` (d, h) and `bias_0` (h,) of the first layer, and so on; float64, for raw features."""
        arrays = super().to_arrays()
        for index, (weights, bias) in enumerate(self.layers_):
            arrays |= {f"weight_{index}": np.ascontiguousarray(weights), f"bias_{index}": bias}
        return arrays

    def _states(self) -> dict[str, State]:
        sizes: list[str | int] = ["d", *self.widths(), "k"]
        found: dict[str, State] = {}
        for index, (before, after) in enumerate(itertools.pairwise(sizes)):
            found |= {f"weight_{index}": State((before, after)), f"bias_{index}": State((after,))}
        return found

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        layers = range(len(self.widths()) + 1)
        self.layers_ = [(np.asarray(arrays[f"weight_{i}"]), np.asarray(arrays[f"bias_{i}"])) for i in layers]


class Scaled(Taken):
    """Rows (n, d) standardised as float32 when they are asked for: the same numbers as `standardised` keeps."""

    def __init__(self, X: Features, scaler: Scaler) -> None:
        super().__init__(X, np.arange(len(X)))
        self.scaler = scaler

    def __getitem__(self, key: Any) -> Features:
        return self.scaler.apply(super().__getitem__(key)).astype(np.float32)


def _through(layers: Layers, X: Features) -> NDArray[np.float64]:
    """What layers with ReLU between them give for rows (n, d), in float64."""
    hidden = X.astype(np.float64, copy=False)
    for weights, bias in layers[:-1]:
        hidden = np.maximum(hidden @ weights + bias, 0.0)
    weights, bias = layers[-1]
    logits: NDArray[np.float64] = hidden @ weights + bias
    return logits


class LinearHead(MLPHead):
    """One dense layer with softmax, trained by mini-batches: `mlp` without a hidden layer; its usual rate is 1e-2."""

    def __init__(
        self,
        epochs: int = 100,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 1e-2,
        patience: int = 8,
        class_weight: ClassWeight = None,
        seed: int = 0,
        on_epoch: Callable[[Row], None] | None = None,
    ) -> None:
        super().__init__(
            (), 0.0, epochs, batch_size, learning_rate, weight_decay, patience, class_weight, seed, on_epoch
        )

    def _usual_rate(self, n: int) -> float:
        return 1e-2


class _Judge:
    """The numbers of an epoch: validation always, training only before the first update, when there are no others."""

    def __init__(self, head: MLPHead, train: Examples, validation: Examples | None) -> None:
        import torch

        self.weights = torch.tensor(class_weights(train.y, head.classes_, head.class_weight), dtype=torch.float32)
        self._train = train
        self._val = validation

    def __call__(self, network: torch.nn.Module, epoch: int) -> Row:
        parts = {"train": self._train} if epoch == 0 else {}
        if self._val is not None:
            parts["val"] = self._val
        row: Row = {}
        for part, (X, y) in parts.items():
            row[f"{part}_loss"], row[f"{part}_accuracy"] = self._measured(network, X, y)
        return row

    def _measured(self, network: torch.nn.Module, X: Features, y: NDArray[np.int64]) -> tuple[float, float]:
        """Weighted log loss and plain accuracy."""
        import torch

        loss, right = 0.0, 0
        for start in range(0, len(y), BLOCK):
            labels = torch.from_numpy(y[start : start + BLOCK])
            logits = network(torch.from_numpy(X[start : start + BLOCK]))
            losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            loss += float((losses * self.weights[labels]).sum(dtype=torch.float64))
            right += int((logits.argmax(dim=1) == labels).sum())
        return loss / len(y), right / len(y)
