"""Where a training's examples come from. Imports torch.

Everything is random access: the same (epoch, step) gives the same batch in every process. That is what lets a killed
training go on exactly, and a thread prepare the next batch while the present one is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Indices = NDArray[np.int64]
AHEAD = 2


class Batch(NamedTuple):
    """`inputs` go to the model; `targets` are (b,) int64 class codes or (b, k) float32 shares that sum to 1."""

    inputs: tuple[torch.Tensor, ...]
    targets: torch.Tensor


class Batches(Protocol):
    """The batches of a training; epochs count from 1, and epoch 0 is for trying things out."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def batch(self, epoch: int, step: int) -> Batch:
        """A pure function of its arguments; called from another thread."""
        ...


class Rows(Protocol):
    """Rows of numbers, in memory or computed when they are asked for."""

    def __len__(self) -> int: ...

    def take(self, indices: Indices, epoch: int) -> NDArray[np.generic]:
        """(b, d) rows; `epoch` matters where every epoch sees its own view of a picture."""
        ...


class StoredRows:
    """Rows that lie in memory or in a mapped file: (n, d)."""

    def __init__(self, X: NDArray[np.generic]) -> None:
        self.X = X

    def __len__(self) -> int:
        return len(self.X)

    def take(self, indices: Indices, epoch: int) -> NDArray[np.generic]:
        """See `Rows`; the epoch does not matter."""
        return self.X[indices]


class RowBatches:
    """Mini-batches of rows in an order drawn anew for each epoch.

    `sampler` `shuffle` takes each row once an epoch; `balanced` draws as many rows with replacement, each class with
    the same chance. A last batch of a single row is left out: batch normalisation cannot be trained on it.
    """

    def __init__(
        self,
        rows: Rows,
        labels: NDArray[np.int64],
        batch_size: int,
        seed: int,
        sampler: Literal["shuffle", "balanced"] = "shuffle",
    ) -> None:
        self.rows, self.labels, self.batch_size, self.seed = rows, labels, batch_size, seed
        self._shares: NDArray[np.float64] | None = None
        if sampler == "balanced":
            counts = np.bincount(labels)
            self._shares = 1.0 / counts[labels] / np.count_nonzero(counts)
        self._order: tuple[int, Indices] = (-1, np.empty(0, dtype=np.int64))
        n = len(labels)
        lonely = n % batch_size == 1 and n > 1 and batch_size > 1
        self._steps = -(-n // batch_size) - int(lonely)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._steps

    def order(self, epoch: int) -> Indices:
        """The rows of an epoch in the order they are taken."""
        if self._order[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            n = len(self.labels)
            drawn = generator.permutation(n) if self._shares is None else generator.choice(n, n, p=self._shares)
            self._order = (epoch, drawn.astype(np.int64))
        return self._order[1]

    def batch(self, epoch: int, step: int) -> Batch:
        """See `Batches.batch`."""
        taken = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        return Batch(
            (torch.from_numpy(np.ascontiguousarray(self.rows.take(taken, epoch))),),
            torch.from_numpy(self.labels[taken]),
        )


def prefetched(batches: Batches, epoch: int, first: int, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """The batches of an epoch from step `first` on, prepared by the pool's thread a little ahead."""
    waiting: list[Future[Batch]] = []
    steps = iter(range(first, batches.steps))
    try:
        while True:
            while len(waiting) < AHEAD and (step := next(steps, None)) is not None:
                waiting.append(pool.submit(batches.batch, epoch, step))
            if not waiting:
                return
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()
