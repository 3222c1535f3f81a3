"""Heads that are dense layers: they can be the top of a network that is trained, and come back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from headstart.heads.base import Head

if TYPE_CHECKING:
    from headstart.training.network import Layers


class DenseHead(Head):
    """A head whose fitted state is `Layers`, from input to output, for raw features."""

    def dense_layers(self) -> Layers:
        """The fitted layers."""
        raise NotImplementedError

    def _set_layers(self, layers: Layers) -> None:
        raise NotImplementedError

    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return ()

    def fitted_on_training(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """This fitted head, or one fitted again on X (n, d) and y (n,) alone where validation rows went into it."""
        return self

    def take_layers(self, layers: Layers, classes: NDArray[Any]) -> Self:
        """Become a fitted head with these layers and `classes_`; history, notes and report are empty."""
        self.classes_ = classes
        self.n_features_in_ = int(layers[0][0].shape[0])
        self.history_, self.notes_ = [], []
        self.report_ = {"parameters": int(sum(w.size + b.size for w, b in layers))}
        self._set_layers(layers)
        return self
