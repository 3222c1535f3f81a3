"""The training loop: what an update does, where examples come from, and that a killed training goes on exactly."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from headstart.errors import BundleError, HeadstartError, NotConverged, UnknownName, UserError
from headstart.training import rules
from headstart.training.batches import Batch, RowBatches, StoredRows
from headstart.training.checkpoint import NAME, Keeper
from headstart.training.devices import fastest_threads
from headstart.training.finder import HIGHEST, LOWEST, find_rate, steepest_fall
from headstart.training.loop import Row, Task, Trained, nothing, train
from headstart.training.network import blended, dense, draw, fill, read
from headstart.training.optimiser import Group
from headstart.training.plan import Plan
from headstart.training.steps import mixed
from headstart.training.weights import snapshot

State = dict[str, torch.Tensor]
ROWS, WIDTH, CLASSES = 45, 6, 3


pytestmark = pytest.mark.usefixtures("one_thread")


def data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping clouds, one a class."""
    generator = np.random.default_rng(7)
    y = generator.integers(0, CLASSES, ROWS)
    X = generator.normal(size=(ROWS, WIDTH)) + np.eye(CLASSES, WIDTH)[y]
    return X.astype(np.float32), y


def small(seed: int = 0, dropout: float = 0.3) -> nn.Sequential:
    """A network with batch normalisation and dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, CLASSES)
        )


def plain(seed: int = 0) -> nn.Sequential:
    """Two layers in double precision, so that sums agree with a reference to the last digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(WIDTH, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, CLASSES)).double()


def rows(batch_size: int = 10, seed: int = 0, dtype: Any = np.float32, **more: Any) -> RowBatches:
    X, y = data()
    return RowBatches(StoredRows(X.astype(dtype)), y, batch_size, seed, **more)


def validation(model: nn.Module, epoch: int) -> Row:
    """The loss on all rows."""
    X, y = data()
    logits = model(torch.from_numpy(X).to(next(model.parameters()).dtype))
    return {"val_loss": float(nn.functional.cross_entropy(logits, torch.from_numpy(y)))}


FULL = Plan(
    epochs=5, batch_size=10, learning_rate=0.02, warmup=0.1, clip=1.0, label_smoothing=0.1, mixup=0.2, ema=0.9, seed=3
)


def full(seed: int = 3) -> Task:
    """A training with everything that draws or remembers: dropout, mixup, batch norm, average, clipping."""
    from dataclasses import replace

    weights = torch.tensor([0.5, 1.0, 2.0])
    return Task(small(), rows(seed=seed), replace(FULL, seed=seed), evaluate=validation, class_weights=weights)


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def timeless(history: list[Row]) -> list[Row]:
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in history]


# Optimisers


def factors(steps: int, warm: int) -> NDArray[np.float64]:
    """A straight warm-up to 1, then half a cosine."""
    rest = steps - warm
    return np.r_[np.arange(1, warm + 1) / max(1, warm), (1 + np.cos(np.pi * np.arange(rest) / rest)) / 2]


def reference(
    model: nn.Module,
    plan: Plan,
    optimiser: torch.optim.Optimizer,
    penalty: Callable[[], torch.Tensor] | None = None,
    before: Callable[[float], None] | None = None,
) -> None:
    """The same training by PyTorch's own optimiser on the same batches."""
    batches = rows(plan.batch_size, plan.seed, np.float64)
    steps = plan.epochs * batches.steps
    schedule = iter(factors(steps, int(plan.warmup * steps)))
    for epoch in range(1, plan.epochs + 1):
        for step in range(batches.steps):
            batch, factor = batches.batch(epoch, step), float(next(schedule))
            for group in optimiser.param_groups:
                group["lr"] = factor * plan.learning_rate * group.get("share", 1.0)
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(*batch.inputs).float(), batch.targets)
            (loss if penalty is None else loss + penalty()).backward()
            if before is not None:
                before(factor * plan.learning_rate)
            optimiser.step()


def assert_near(ours: nn.Module, theirs: nn.Module, start: nn.Module) -> None:
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10, msg=name)
        assert not torch.equal(p, start.get_parameter(name))


def matrices(model: nn.Module) -> list[nn.Parameter]:
    return [p for n, p in model.named_parameters() if n in ("0.weight", "3.weight")]


def others(model: nn.Module) -> list[nn.Parameter]:
    return [p for n, p in model.named_parameters() if n not in ("0.weight", "3.weight")]


def test_adamw_is_that_of_torch_with_weights_alone_decayed() -> None:
    """The weights after a training with warm-up and cosine are those of torch.optim.AdamW; biases do not decay."""
    plan = Plan(epochs=4, batch_size=10, learning_rate=0.03, weight_decay=0.2, warmup=0.25, seed=1)
    ours, theirs = plain(), plain()
    train(Task(ours, rows(seed=1, dtype=np.float64), plan))
    groups = [{"params": matrices(theirs), "weight_decay": 0.2}, {"params": others(theirs), "weight_decay": 0.0}]
    reference(theirs, plan, torch.optim.AdamW(groups, eps=1e-8))
    assert_near(ours, theirs, plain())


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_is_that_of_torch(momentum: float) -> None:
    """The weights after a training are those of torch.optim.SGD with Nesterov momentum, and without momentum."""
    plan = Plan(
        epochs=4, batch_size=10, optimiser="sgd", learning_rate=0.1, momentum=momentum, weight_decay=0.05, warmup=0.1
    )
    ours, theirs = plain(), plain()
    train(Task(ours, rows(dtype=np.float64), plan))
    groups = [{"params": matrices(theirs), "weight_decay": 0.05}, {"params": others(theirs), "weight_decay": 0.0}]
    reference(theirs, plan, torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=momentum > 0))
    assert_near(ours, theirs, plain())


def body_and_head(model: nn.Module, rate: float = 1.0, pull: float = 0.0, first_epoch: int = 1) -> list[Group]:
    named = dict(model.named_parameters())
    body = {n: p for n, p in named.items() if not n.startswith("3.")}
    head = {n: p for n, p in named.items() if n.startswith("3.")}
    return [Group("head", head), Group("body", body, rate, pull, first_epoch)]


def test_the_pull_with_sgd_is_a_penalty_on_the_distance_from_the_start() -> None:
    """L2-SP equals adding (a / 2) ||w - w0||^2 of the body to the loss, and there is no weight decay beside it."""
    a = 0.3
    plan = Plan(epochs=4, batch_size=10, optimiser="sgd", learning_rate=0.1, weight_decay=0.05)
    ours, theirs, start = plain(), plain(), plain()
    train(Task(ours, rows(dtype=np.float64), plan, body_and_head(ours, 0.5, a)))
    body = [(theirs.get_parameter(n), start.get_parameter(n).detach()) for n in body_and_head(start)[1].parameters]

    def penalty() -> torch.Tensor:
        return a / 2 * torch.stack([((p - q) ** 2).sum() for p, q in body]).sum()

    groups = [
        {"params": [theirs[3].weight], "weight_decay": 0.05, "share": 1.0},
        {"params": [theirs[3].bias], "weight_decay": 0.0, "share": 1.0},
        {"params": [p for p, _ in body], "weight_decay": 0.0, "share": 0.5},
    ]
    reference(theirs, plan, torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True), penalty)
    assert_near(ours, theirs, start)


def test_the_pull_with_adamw_is_decoupled_as_weight_decay_is() -> None:
    """Before AdamW's own step each weight goes back towards its start by learning rate times pull."""
    a = 0.7
    plan = Plan(epochs=3, batch_size=10, learning_rate=0.03, weight_decay=0.2)
    ours, theirs, start = plain(), plain(), plain()
    train(Task(ours, rows(dtype=np.float64), plan, [Group("all", dict(ours.named_parameters()), pull=a)]))

    def back(rate: float) -> None:
        with torch.no_grad():
            for p, q in zip(theirs.parameters(), start.parameters(), strict=True):
                p.sub_(rate * a * (p - q))

    reference(theirs, plan, torch.optim.AdamW(theirs.parameters(), weight_decay=0.0), before=back)
    assert_near(ours, theirs, start)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_group_does_not_change_before_its_first_epoch(optimiser: str) -> None:
    """With gradual unfreezing a group is bit-equal until its first epoch, and learns from there on."""
    model = plain()
    start, seen = snapshot(model), dict[int, bool]()

    def look(model: nn.Module, epoch: int) -> Row:
        now = snapshot(model)
        seen[epoch] = all(torch.equal(now[n], start[n]) for n in start if not n.startswith("3."))
        return {}

    plan = Plan(epochs=4, batch_size=10, optimiser=optimiser)
    done = train(Task(model, rows(dtype=np.float64), plan, body_and_head(model, first_epoch=3), look))
    assert seen == {0: True, 1: True, 2: True, 3: False, 4: False}
    assert not torch.equal(model[3].weight, start["3.weight"])
    assert ["learning_rate_body" in row for row in done.history] == [False, False, False, True, True]


def test_a_group_that_waits_has_no_part_in_the_bound_of_the_gradient() -> None:
    """While the body waits, `clip` bounds the head's gradient alone: the head learns as if the body were frozen."""
    heads = []
    for waits in (True, False):
        model = plain()
        groups = body_and_head(model, first_epoch=9) if waits else body_and_head(model)[:1]
        plan = Plan(epochs=2, batch_size=10, optimiser="sgd", learning_rate=0.1, clip=0.01)
        train(Task(model, rows(dtype=np.float64), plan, groups))
        heads.append(model[3].weight)
    torch.testing.assert_close(heads[0], heads[1], rtol=1e-12, atol=0)


def test_what_is_frozen_stays_bit_equal() -> None:
    """Parameters that want no gradient, and those in no group, are as before, decay or not."""
    model = plain()
    model[0].requires_grad_(False)
    start = snapshot(model)
    plan = Plan(epochs=2, batch_size=10, weight_decay=0.5)
    train(Task(model, rows(dtype=np.float64), plan, [Group("some", {"3.weight": model[3].weight})]))
    changed = {n for n, v in snapshot(model).items() if not torch.equal(v, start[n])}
    assert changed == {"3.weight"}


def test_clip_bounds_the_step() -> None:
    """Without momentum a step is at most learning rate times `clip` long."""
    model = plain()
    plan = Plan(epochs=1, batch_size=10, optimiser="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.0, clip=0.01)
    places = [torch.cat([p.detach().flatten() for p in model.parameters()])]

    def note(done: int, steps: int, loss: float) -> None:
        places.append(torch.cat([p.detach().flatten() for p in model.parameters()]))

    train(Task(model, rows(dtype=np.float64), plan), on_step=note)
    lengths = [float((b - a).norm()) for a, b in itertools.pairwise(places)]
    assert len(lengths) == 5
    assert max(lengths) <= 0.5 * 0.01 * (1 + 1e-9)
    assert min(lengths) > 0


@settings(deadline=None)
@given(steps=st.integers(1, 400), warmup=st.floats(0, 0.9))
def test_the_rate_climbs_to_one_and_falls_towards_zero(steps: int, warmup: float) -> None:
    """It is in (0, 1], climbs while it warms up, reaches 1, and never climbs again."""
    rate = [Plan(warmup=warmup).rate(i, steps) for i in range(steps)]
    np.testing.assert_allclose(rate, factors(steps, int(warmup * steps)), rtol=1e-12)
    top = int(np.argmax(rate))
    assert rate[top] == 1.0
    assert all(0 < r <= 1 for r in rate)
    assert rate[:top] == sorted(rate[:top])
    assert rate[top:] == sorted(rate[top:], reverse=True)


# Batches


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), size=st.integers(1, 20), epoch=st.integers(0, 5), seed=st.integers(0, 2**40))
def test_each_row_comes_once_an_epoch(n: int, size: int, epoch: int, seed: int) -> None:
    """All rows, each once with its label, but for a last one that would be alone in its batch; and never an empty one.

    The batches are those of (epoch, step), in whatever order they are asked for.
    """
    X = np.arange(n, dtype=np.float32)[:, None]
    y = np.arange(n, dtype=np.int64) % 5
    batches = RowBatches(StoredRows(X), y, size, seed)
    drawn = {s: batches.batch(epoch, s) for s in range(batches.steps)}
    taken = np.concatenate([b.inputs[0].numpy()[:, 0] for b in drawn.values()]).astype(int)
    lonely = n % size == 1 and size > 1 and n > 1
    assert len(set(taken.tolist())) == len(taken) == n - lonely
    assert all(len(b.targets) > (1 if size > 1 and n > 1 else 0) for b in drawn.values())
    again = RowBatches(StoredRows(X), y, size, seed)
    for s in reversed(range(batches.steps)):
        again.batch(epoch + 1, 0)
        assert torch.equal(again.batch(epoch, s).inputs[0], drawn[s].inputs[0])
        assert torch.equal(again.batch(epoch, s).targets, torch.from_numpy(y[drawn[s].inputs[0][:, 0].long().numpy()]))


def test_another_epoch_and_another_seed_have_another_order() -> None:
    """The order of the rows differs between epochs and between seeds."""
    orders = [rows(seed=seed).order(epoch).tolist() for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6


def test_balanced_sampling_gives_each_class_the_same_share() -> None:
    """Of 2,000 draws from classes of 1,800, 180 and 20 rows each class has a third, within 5 standard deviations."""
    y = np.repeat(np.arange(3), [1800, 180, 20]).astype(np.int64)
    batches = RowBatches(StoredRows(np.zeros((2000, 1), np.float32)), y, 50, 0, "balanced")
    targets = torch.cat([batches.batch(1, s).targets for s in range(batches.steps)])
    counts = torch.bincount(targets, minlength=3)
    assert len(targets) == 2000
    assert float((counts - 2000 / 3).abs().max()) < 5 * math.sqrt(2000 * 2 / 9)


def test_balanced_sampling_leaves_classes_without_rows_out() -> None:
    """A class that has no row (here 1) does not upset the shares of the others."""
    y = np.repeat([0, 2], [300, 100]).astype(np.int64)
    order = RowBatches(StoredRows(np.zeros((400, 1), np.float32)), y, 50, 0, "balanced").order(1)
    assert abs(int((y[order] == 0).sum()) - 200) < 5 * 10


def test_an_error_in_the_batches_ends_the_training_with_it() -> None:
    """What the other thread raises reaches the caller."""

    class Broken(RowBatches):
        def batch(self, epoch: int, step: int) -> Batch:
            if (epoch, step) == (2, 1):
                raise OSError("picture gone")
            return super().batch(epoch, step)

    X, y = data()
    with pytest.raises(OSError, match="picture gone"):
        train(Task(small(), Broken(StoredRows(X), y, 10, 0), Plan(epochs=3, batch_size=10)))


# Resume


class Killed(Exception):
    """Stands for the end of a process in the middle of a training."""


def stopping(at: int) -> Callable[[int, int, float], None]:
    def on_step(done: int, steps: int, loss: float) -> None:
        if done == at:
            raise Killed

    return on_step


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[Trained, State]:
    task = full()
    done = train(task)
    return done, snapshot(task.model)


STEPS = FULL.epochs * 5


@settings(max_examples=12, deadline=None)
@given(
    moments=st.lists(st.integers(1, STEPS), min_size=1, max_size=3, unique=True).map(sorted),
    every_s=st.sampled_from([0.0, 1e9]),
)
def test_a_training_killed_and_resumed_is_the_uninterrupted_one(
    uninterrupted: Any, tmp_path_factory: pytest.TempPathFactory, moments: list[int], every_s: float
) -> None:
    """Stopped at any steps and taken up each time from its file, it ends with the same bits, history and best epoch.

    Whether the state is saved after each step or after each epoch.
    """
    folder = tmp_path_factory.mktemp("killed")
    for at in moments:
        with pytest.raises(Killed):
            train(full(), Keeper(folder, "x", every_s, spare_s=0.0), on_step=stopping(at))
    task, told = full(), list[Row]()
    done = train(task, Keeper(folder, "x", every_s, spare_s=0.0), on_epoch=told.append)
    whole, weights = uninterrupted
    assert equal(snapshot(task.model), weights)
    assert timeless(done.history) == timeless(whole.history) == timeless(told)
    assert (done.best_epoch, done.stopped_early) == (whole.best_epoch, whole.stopped_early)
    last = moments[-1] - 1
    reached = (last // 5 + 1, last % 5) if every_s == 0 else (last // 5 + 1, 0)
    begun = last >= 1 if every_s == 0 else last >= 5
    normal = done.resumed_at and (done.resumed_at[0] + done.resumed_at[1] // 5, done.resumed_at[1] % 5)
    assert normal == (reached if begun else None)


def test_a_training_that_came_to_its_end_is_not_repeated(tmp_path: Path, uninterrupted: Any) -> None:
    """Resumed from its last state it does no step and gives the same weights."""
    train(full(), Keeper(tmp_path, "x"))
    task = full()
    done = train(task, Keeper(tmp_path, "x"), on_step=lambda *_: pytest.fail("a step"))
    assert equal(snapshot(task.model), uninterrupted[1])
    assert timeless(done.history) == timeless(uninterrupted[0].history)


def test_patience_holds_over_a_resume(tmp_path: Path) -> None:
    """Killed in the last epoch before it stops, a training stops at the same epoch with the same weights."""

    def task() -> Task:
        plan = Plan(epochs=20, batch_size=10, patience=2)
        return Task(small(), rows(), plan, evaluate=lambda model, epoch: {"val_loss": abs(epoch - 3.0)})

    whole = task()
    wanted = train(whole)
    with pytest.raises(Killed):
        train(task(), Keeper(tmp_path, "x", 0.0), on_step=stopping(23))
    resumed = task()
    done = train(resumed, Keeper(tmp_path, "x", 0.0))
    assert (wanted.best_epoch, len(wanted.history), wanted.stopped_early) == (3, 6, True)
    assert (done.best_epoch, len(done.history), done.stopped_early) == (3, 6, True)
    assert equal(snapshot(resumed.model), snapshot(whole.model))


def pictures() -> Task:
    """A convolution with batch norm on 8x8 pictures; what the killed processes train."""
    generator = np.random.default_rng(1)
    y = generator.integers(0, CLASSES, 48)
    X = (generator.normal(size=(48, 64)) + y[:, None] * 0.2).astype(np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(216, CLASSES),
        )  # fmt: skip

    def loss(model: nn.Module, epoch: int) -> Row:
        return {"val_loss": float(nn.functional.cross_entropy(model(torch.from_numpy(X)), torch.from_numpy(y)))}

    plan = Plan(epochs=10, batch_size=8, learning_rate=0.01, mixup=0.2, ema=0.8, clip=1.0, label_smoothing=0.1)
    return Task(model, RowBatches(StoredRows(X), y, 8, 0), plan, evaluate=loss)


PROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from safetensors.torch import save_file
from test_training import Keeper, pictures, snapshot, train

def on_step(done, steps, loss):
    print(done, flush=True)
    time.sleep(0.004)

task, folder = pictures(), Path(sys.argv[2])
done = train(task, Keeper(folder, "x", 0.0), on_step=on_step)
save_file(snapshot(task.model), folder / "final.safetensors")
print("resumed at", done.resumed_at, flush=True)
"""


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_process_killed_three_times_writes_the_same_file(tmp_path: Path) -> None:
    """SIGKILL at three random moments; the resumed process writes the bytes of the training that nobody killed."""
    moments, draw_from = 0, random.Random(5)
    for at in sorted(draw_from.sample(range(2, 55), 3)):
        command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip().isdigit() and int(line) >= at:
                    time.sleep(draw_from.random() * 0.01)  # also in the middle of writing
                    process.kill()
                    break
            moments += process.wait() == -9
    assert moments == 3
    assert not (tmp_path / "final.safetensors").exists()
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "resumed at (" in output
    task = pictures()
    train(task)
    save_file(snapshot(task.model), tmp_path / "wanted.safetensors")
    assert (tmp_path / "final.safetensors").read_bytes() == (tmp_path / "wanted.safetensors").read_bytes()


def stopped(folder: Path, at: int = 7) -> Keeper:
    keeper = Keeper(folder, "this one", 0.0)
    with pytest.raises(Killed):
        train(full(), keeper, on_step=stopping(at))
    return keeper


def one_sentence(error: HeadstartError) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and len(text) < 600


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    """With another identity nothing is taken up, in one sentence, and the file stays."""
    keeper = stopped(tmp_path)
    before = keeper.file.read_bytes()
    with pytest.raises(UserError, match="another training") as caught:
        train(full(), Keeper(tmp_path, "that one"))
    assert one_sentence(caught.value)
    assert keeper.file.read_bytes() == before


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "foreign", "not ours"])
def test_a_damaged_state_is_refused(tmp_path: Path, kind: str) -> None:
    """A file cut short, empty, of another kind or without our words in it is refused in one sentence with its name."""
    keeper = stopped(tmp_path)
    whole = keeper.file.read_bytes()
    if kind == "foreign":
        save_file({"a": torch.zeros(2)}, keeper.file)
    elif kind == "not ours":
        save_file({"a": torch.zeros(2)}, keeper.file, {"headstart": "[1]"})
    else:
        keeper.file.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"weights\n" * 99}[kind])
    with pytest.raises(BundleError, match=NAME) as caught:
        train(full(), Keeper(tmp_path, "this one"))
    assert one_sentence(caught.value)


def test_a_file_left_half_written_is_harmless(tmp_path: Path, uninterrupted: Any) -> None:
    """What a killed process left of a write is not taken for a state, and is gone when the state is cleared."""
    left = tmp_path / f".{NAME}.12345.part"
    left.write_bytes(b"half")
    assert Keeper(tmp_path, "this one").load() is None
    keeper = stopped(tmp_path)
    task = full()
    train(task, Keeper(tmp_path, "this one"))
    assert equal(snapshot(task.model), uninterrupted[1])
    keeper.clear()
    assert not list(tmp_path.glob("*"))
    keeper.clear()


def test_a_state_that_cannot_be_written_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    """A folder that cannot be made ends the training with its name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        train(full(), Keeper(tmp_path / "file" / "run", "x", 0.0))
    assert one_sentence(caught.value)


# Not converging


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    """The error names epoch, step and learning rate; the saved state is finite and can be read."""
    plan = Plan(epochs=3, batch_size=10, optimiser="sgd", learning_rate=1e25)
    keeper = Keeper(tmp_path, "x", 0.0)
    with pytest.raises(NotConverged, match=r"epoch \d+, step \d+ \(learning rate .*e\+2\d\)") as caught:
        train(Task(dense_net(), rows(), plan), keeper)
    assert one_sentence(caught.value)
    if keeper.file.exists():
        assert str(keeper.file) in str(caught.value)
        assert finite_file(keeper.file)


def dense_net() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def finite_file(file: Path) -> bool:
    return all(bool(torch.isfinite(v).all()) for v in load_file(file).values())


def test_a_nan_in_the_data_is_found_at_its_step(tmp_path: Path) -> None:
    """With one row of NaN the error names the epoch and the step of that row; the state before it stays."""
    X, y = data()
    X[4] = np.nan
    batches = RowBatches(StoredRows(X), y, 10, 0)
    step = int(np.flatnonzero(batches.order(1) == 4)[0]) // 10
    keeper = Keeper(tmp_path, "x", 0.0)
    with pytest.raises(NotConverged, match=rf"epoch 1, step {step + 1} \(learning rate 0\.0\d+\)"):
        train(Task(dense_net(), batches, Plan(epochs=2, batch_size=10, learning_rate=0.01)), keeper)
    assert keeper.file.exists() == (step > 0)
    if step:
        assert finite_file(keeper.file)


def test_a_state_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    """Weights that became NaN after step 3 are not written: the file is that of step 2."""
    model = dense_net()

    def spoil(done: int, steps: int, loss: float) -> None:
        if done == 3:
            with torch.no_grad():
                model[0].weight[0, 0] = float("nan")

    keeper = Keeper(tmp_path, "x", 0.0)
    with pytest.raises(NotConverged, match="epoch 1, step 4"):
        train(Task(model, rows(), Plan(epochs=2, batch_size=10)), keeper, on_step=spoil)
    found = keeper.load()
    assert found is not None
    assert (found[1]["epoch"], found[1]["step"]) == (1, 2)
    assert finite_file(keeper.file)


def test_weights_that_the_last_step_spoiled_are_not_returned() -> None:
    """A training whose last update is not finite has not converged, though no loss after it was seen."""
    model = dense_net()

    def spoil(done: int, steps: int, loss: float) -> None:
        if done == steps:
            with torch.no_grad():
                model[0].weight[0, 0] = float("inf")

    with pytest.raises(NotConverged, match="epoch 2, step 5"):
        train(Task(model, rows(), Plan(epochs=2, batch_size=10)), on_step=spoil)


# Metrics and the best epoch


def test_row_0_is_the_untouched_model() -> None:
    """The first row is the evaluation before any update, without the figures of a training."""
    with torch.no_grad():
        wanted = validation(small().eval(), 0)
    row = train(full()).history[0]
    assert row["val_loss"] == wanted["val_loss"]
    assert row["epoch"] == 0
    assert "train_loss" not in row


def test_the_best_epoch_is_what_the_model_holds() -> None:
    """After a training the model, in eval mode, gives the least validation loss of the history."""
    task = full()
    done = train(task)
    losses = [row["val_loss"] for row in done.history]
    assert not task.model.training
    with torch.no_grad():
        held = validation(task.model, 0)["val_loss"]
    assert held == min(losses) == losses[done.best_epoch]


@pytest.mark.parametrize(("losses", "best"), [([3, 2, 1, 2, 3], 2), ([1, 2, 3, 4, 5], 0), ([1, 1, 1, 1, 1], 0)])
def test_the_weights_are_those_of_the_least_validation_loss(losses: list[float], best: int) -> None:
    """Also where that is the start; of equal ones it is the first."""
    seen: list[State] = []

    def evaluate(model: nn.Module, epoch: int) -> Row:
        seen.append(snapshot(model))
        return {"val_loss": float(losses[epoch])}

    model = small()
    done = train(Task(model, rows(), Plan(epochs=4, batch_size=10), evaluate=evaluate))
    assert done.best_epoch == best
    assert equal(snapshot(model), seen[best])
    assert not equal(seen[0], seen[1])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_without_a_finite_validation_loss_the_best_epoch_is_still_what_the_model_holds(bad: float) -> None:
    """A loss that is never finite is never better than the start; a finite one is."""
    for losses, best in (([bad] * 3, 0), ([bad, 2.0, 3.0], 1), ([5.0, bad, 2.0], 2)):
        seen: list[State] = []

        def evaluate(model: nn.Module, epoch: int, seen: list[State] = seen, losses: list[float] = losses) -> Row:
            seen.append(snapshot(model))
            return {"val_loss": losses[epoch]}

        model = small()
        done = train(Task(model, rows(), Plan(epochs=2, batch_size=10), evaluate=evaluate))
        assert done.best_epoch == best
        assert equal(snapshot(model), seen[best])


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_a_training(patience: int) -> None:
    """So many epochs after the best one it stops; with patience 0 it does not."""
    plan = Plan(epochs=12, batch_size=10, patience=patience)
    done = train(Task(small(), rows(), plan, evaluate=lambda m, e: {"val_loss": abs(e - 4.0)}))
    assert (done.best_epoch, len(done.history) - 1, done.stopped_early) == (4, 4 + patience, True)
    plan = Plan(epochs=12, batch_size=10)
    done = train(Task(small(), rows(), plan, evaluate=lambda m, e: {"val_loss": abs(e - 4.0)}))
    assert (done.best_epoch, len(done.history) - 1, done.stopped_early) == (4, 12, False)


def test_without_validation_the_last_epoch_is_kept() -> None:
    """Nothing measured: all epochs run, and the model holds the last weights."""
    model = small()
    last: list[State] = []
    plan = Plan(epochs=3, batch_size=10, patience=1)
    done = train(Task(model, rows(), plan, evaluate=nothing), on_step=lambda *_: last.append(snapshot(model)))
    assert (done.best_epoch, done.stopped_early, len(done.history)) == (3, False, 4)
    assert equal(snapshot(model), last[-1])


def test_training_figures_are_means_over_the_rows() -> None:
    """`train_loss` is the mean of the losses told at each step, weighted by the sizes of the batches."""
    told: list[float] = []
    plan = Plan(epochs=1, batch_size=10)
    done = train(Task(small(), rows(), plan), on_step=lambda done, steps, loss: told.append(loss))
    assert len(told) == 5  # 45 rows: four batches of ten and one of five
    assert done.history[1]["train_loss"] == pytest.approx(np.average(told, weights=[10, 10, 10, 10, 5]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_the_loss_is_cross_entropy(smoothing: float, weighted: bool, shares: bool) -> None:
    """The first loss is torch's cross entropy of each row times the weight of its class; one-hot shares are codes."""

    class Shares(RowBatches):
        def batch(self, epoch: int, step: int) -> Batch:
            found = super().batch(epoch, step)
            return Batch(found.inputs, nn.functional.one_hot(found.targets, CLASSES).float())

    X, y = data()
    batches = (Shares if shares else RowBatches)(StoredRows(X), y, 10, 0)
    weights = torch.tensor([0.2, 1.0, 3.0])
    taken = batches.order(1)[:10]
    model = small(dropout=0.0)
    logits = small(dropout=0.0)(torch.from_numpy(X[taken]))
    each = nn.functional.cross_entropy(logits, torch.from_numpy(y[taken]), reduction="none", label_smoothing=smoothing)
    wanted = float(((each * weights[y[taken]]).mean() if weighted else each.mean()).detach())
    told: list[float] = []
    plan = Plan(epochs=1, batch_size=10, label_smoothing=smoothing)
    task = Task(model, batches, plan, class_weights=weights if weighted else None)
    train(task, on_step=lambda done, steps, loss: told.append(loss))
    assert told[0] == pytest.approx(wanted, rel=1e-6)


def test_mixup_blends_rows_and_their_labels_alike() -> None:
    """Row i becomes share * row i + (1 - share) * row j, its other label is j's, and the share is in [0.5, 1]."""
    n = 12
    batch = Batch((torch.eye(n),), torch.arange(n))
    plan = Plan(mixup=0.4)
    shares = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(200):
            (x,), targets, partners, share = mixed(batch, plan)
            wanted = share * torch.eye(n) + (1 - share) * torch.eye(n)[partners]
            torch.testing.assert_close(x, wanted)
            assert torch.equal(targets, torch.arange(n))
            assert sorted(partners.tolist()) == list(range(n))
            shares.append(share)
    assert 0.5 <= min(shares) < 0.6
    assert 0.9 < max(shares) <= 1
    (x,), targets, partners, share = mixed(batch, Plan())
    assert share == 1.0
    assert torch.equal(x, torch.eye(n))


def test_evaluation_uses_the_average_of_the_weights() -> None:
    """With `ema` an evaluation sees the moving average, decay min(d, (1 + t) / (10 + t)); training goes on apart."""
    model = small(dropout=0.0)
    plain_one = small(dropout=0.0)
    plan = Plan(epochs=3, batch_size=10, ema=0.6)
    means = [{n: v.double() for n, v in snapshot(model).items()}]
    raw: list[State] = []
    seen: list[State] = []

    def follow(done: int, steps: int, loss: float) -> None:
        raw.append(snapshot(model))
        decay = min(0.6, (1 + done) / (10 + done))
        means.append({n: decay * means[-1][n] + (1 - decay) * v.double() for n, v in raw[-1].items()})

    def evaluate(model: nn.Module, epoch: int) -> Row:
        seen.append(snapshot(model))
        return {}

    steps = rows().steps
    train(Task(model, rows(), plan, evaluate=evaluate), on_step=follow)
    for epoch, state in enumerate(seen):
        for name, value in state.items():
            if value.is_floating_point():
                torch.testing.assert_close(value.double(), means[epoch * steps][name], rtol=1e-5, atol=1e-6)
    unaveraged: list[State] = []
    train(
        Task(plain_one, rows(), Plan(epochs=3, batch_size=10)),
        on_step=lambda *_: unaveraged.append(snapshot(plain_one)),
    )
    assert all(equal(a, b) for a, b in zip(raw, unaveraged, strict=True))
    assert equal(snapshot(model), seen[-1])


def test_an_evaluation_that_fails_leaves_the_models_own_weights() -> None:
    """The average is taken out again when an evaluation is interrupted."""
    model = small()
    last: list[State] = []

    def evaluate(model: nn.Module, epoch: int) -> Row:
        if epoch:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        task = Task(model, rows(), Plan(epochs=1, batch_size=10, ema=0.9), evaluate=evaluate)
        train(task, on_step=lambda *_: last.append(snapshot(model)))
    assert equal(snapshot(model), last[-1])


# The same again


def test_a_training_is_a_function_of_its_seed() -> None:
    """Two trainings with one seed are equal bit for bit; another seed of dropout and mixup alone gives others."""
    ours, again, other = full(), full(), full()
    other.plan = full(seed=4).plan
    results = [train(task) for task in (ours, again, other)]
    assert equal(snapshot(ours.model), snapshot(again.model))
    assert timeless(results[0].history) == timeless(results[1].history)
    assert not equal(snapshot(ours.model), snapshot(other.model))


def test_the_callers_random_state_and_threads_are_left() -> None:
    """After a training, and after one that failed, torch's and NumPy's generators and the threads are as before."""
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    legacy = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    task = full()
    task.plan = Plan(epochs=1, batch_size=10, threads=2, mixup=0.3)
    seen: list[int] = []
    train(task, on_step=lambda *_: seen.append(torch.get_num_threads()))
    assert set(seen) == {2}
    with pytest.raises(Killed):
        train(full(), on_step=stopping(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert np.array_equal(np.random.get_state()[1], legacy)  # type: ignore[index]


def test_the_callers_random_state_does_not_matter() -> None:
    """A training after other draws is the same."""
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        task = full()
        train(task)
        states.append(snapshot(task.model))
    assert equal(*states)


def test_fastest_threads_is_one_that_was_tried_and_leaves_the_setting() -> None:
    """The answer is 1, all cores or half of them, and the number of threads is as before."""
    before, used = torch.get_num_threads(), set[int]()
    found = fastest_threads(lambda: used.add(torch.get_num_threads()))
    assert found in (used or {1})
    assert torch.get_num_threads() == before


# The finder


def test_the_finder_leaves_no_trace() -> None:
    """Model, generator and threads are bit-equal after it, and a training after it is the one without it."""
    task, other = full(), full()
    start, state = snapshot(task.model), torch.get_rng_state()
    groups = body_and_head_of(task.model)
    task.groups, other.groups = groups, body_and_head_of(other.model)
    find_rate(task)
    assert equal(snapshot(task.model), start)
    assert all(p.grad is None for p in task.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    results = [train(task), train(other)]
    assert equal(snapshot(task.model), snapshot(other.model))
    assert timeless(results[0].history) == timeless(results[1].history)


def body_and_head_of(model: nn.Module) -> list[Group]:
    named = dict(model.named_parameters())
    return [
        Group("head", {n: p for n, p in named.items() if n.startswith("4.")}),
        Group("body", {n: p for n, p in named.items() if not n.startswith("4.")}, 0.4, 0.01, 3),
    ]


def test_the_finders_rate_is_one_that_it_tried() -> None:
    """Rates grow from 1e-6, end at 1 at most, have a finite loss each, and a suggestion is among them."""
    found = find_rate(full())
    assert found.rates == sorted(found.rates)
    assert found.rates[0] == pytest.approx(LOWEST)
    assert found.rates[-1] <= HIGHEST * (1 + 1e-12)
    assert len(found.rates) == len(found.losses)
    assert all(map(math.isfinite, found.losses))
    assert found.steepest in (None, *found.rates)
    assert find_rate(full()) == found


def test_the_finder_finds_no_rate_where_nothing_can_be_learnt() -> None:
    """Where no parameter is used the loss never falls, and it suggests none."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), CLASSES) + 0 * self.unused

    assert find_rate(Task(Constant(), rows(), Plan(batch_size=10))).steepest is None


def test_a_loss_that_only_wavers_has_no_steepest_fall() -> None:
    """A fall counts where it leaves what the loss varied by at the lowest rates."""
    rates = list(np.geomspace(LOWEST, HIGHEST, 60))
    noise = np.random.default_rng(0).normal(0.4, 0.03, 60)
    assert steepest_fall(rates, list(noise)) is None
    falling = noise - np.clip(np.arange(60) - 30, 0, 10) / 40
    assert steepest_fall(rates, list(falling)) is not None


def test_a_finder_that_fails_leaves_the_random_state() -> None:
    """An error in its batches leaves torch's generator as it was."""

    class Broken(RowBatches):
        def batch(self, epoch: int, step: int) -> Batch:
            if step == 2:
                raise OSError("picture gone")
            return super().batch(epoch, step)

    X, y = data()
    state = torch.get_rng_state()
    with pytest.raises(OSError, match="picture gone"):
        find_rate(Task(small(), Broken(StoredRows(X), y, 10, 0), Plan(batch_size=10)))
    assert torch.equal(torch.get_rng_state(), state)


# Plans and rules


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0}, {"batch_size": 0}, {"threads": 0}, {"learning_rate": 0.0}, {"learning_rate": math.nan},
        {"learning_rate": math.inf}, {"weight_decay": -1.0}, {"clip": math.nan}, {"patience": -1}, {"mixup": -0.1},
        {"momentum": 1.0}, {"warmup": 1.0}, {"label_smoothing": 1.0}, {"ema": 1.0}, {"ema": -0.1},
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_without_sense_is_refused(values: dict[str, Any]) -> None:
    """In one sentence that names the setting."""
    with pytest.raises(UserError, match=next(iter(values))) as caught:
        Plan(**values)
    assert one_sentence(caught.value)


def test_an_unknown_optimiser_is_refused_with_the_known_ones() -> None:
    """A near miss gets its suggestion."""
    with pytest.raises(UnknownName, match="adamw"):
        Plan(optimiser="adam")


@pytest.mark.parametrize(
    ("n", "batch", "steps", "mixup"),
    [
        (1, 32, 500, 0.0), (1_999, 32, 500, 0.0), (2_000, 64, 500, 0.0), (19_999, 64, 500, 0.0),
        (20_000, 128, 10_000, 0.1), (499_999, 128, 10_000, 0.1), (500_000, 128, 20_000, 0.1),
    ],
)  # fmt: skip
def test_the_rules_of_size_change_at_their_boundaries(n: int, batch: int, steps: int, mixup: float) -> None:
    """Batch size, steps and mixup by the number of pictures, from Masters and Luschi and the BiT HyperRule."""
    assert rules.batch_size(n).value == batch
    assert rules.steps("finetune", n, validated=True) == steps
    assert rules.mixup(n).value == mixup


@settings(deadline=None)
@given(n=st.integers(1, 3_000_000), method=st.sampled_from(["finetune", "scratch"]), validated=st.booleans())
def test_the_epochs_make_the_steps_of_the_rule(n: int, method: str, validated: bool) -> None:
    """At least 3, the fewest whose steps are at least the rule's; at most 200, or 20 without validation, for weights
    that know something."""
    batch = int(rules.network_batch(method, n).value)
    wanted = rules.steps(method, n, validated)
    epochs, steps = int(rules.epochs(method, n, batch, validated).value), math.ceil(n / batch)
    assert epochs >= 3
    assert epochs * steps >= wanted or (epochs == (200 if validated else 20) and method == "finetune")
    if epochs > 3:
        assert (epochs - 1) * steps < wanted


@given(n=st.integers(2, 150))
def test_a_batch_is_no_larger_than_the_data_and_none_is_far_smaller_than_the_others(n: int) -> None:
    """Batch normalisation learns from each batch alone: the last one of an epoch has half of the others or more."""
    for method in ("finetune", "scratch"):
        batch = int(rules.network_batch(method, n).value)
        assert 1 <= batch <= n
        assert (n % batch or batch) >= batch / 2


def test_without_validation_fine_tuning_is_shorter_and_nothing_ends_it_early() -> None:
    """Nobody can say when to stop, so the steps are those that were measured to do no harm."""
    assert rules.steps("finetune", 100, validated=False) < rules.steps("finetune", 100, validated=True)
    assert rules.patience("finetune", 100, validated=False).value == 0
    gentle, usual = (float(rules.learning_rate("finetune", "adamw", few).value) for few in (True, False))
    assert gentle < usual


def test_patience_is_for_weights_that_know_something() -> None:
    """A training from scratch is given all its epochs; fine-tuning stops after a quarter of them without a gain."""
    assert rules.patience("scratch", 100, validated=True).value == 0
    assert rules.patience("finetune", 100, validated=True).value == 25
    assert rules.patience("finetune", 3, validated=True).value == 3


def test_weights_that_know_something_learn_more_gently() -> None:
    """The learning rate of fine-tuning is below that of learning from scratch with either optimiser."""
    for optimiser in ("adamw", "sgd"):
        tuned, scratch = (rules.learning_rate(m, optimiser).value for m in ("finetune", "scratch"))
        assert 0 < float(tuned) < float(scratch)


# Tops


@pytest.mark.parametrize("widths", [[5, 3], [5, 8, 3], [5, 8, 4, 3]])
def test_a_new_top_gives_each_class_the_same_probability(widths: list[int]) -> None:
    """Also when its hidden layers are drawn; and it can learn from there."""
    top = dense(widths, 0.5)
    draw(top, 0)
    logits = top.eval()(torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * 100)
    assert torch.equal(logits.softmax(1), torch.full((4, 3), 1 / 3))
    drawn = [p.clone() for p in top.parameters()]
    again, other = dense(widths), dense(widths)
    draw(again, 0)
    draw(other, 1)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), drawn, strict=True))
    assert len(widths) == 2 or not torch.equal(other[0].weight, again[0].weight)


def test_what_is_filled_in_is_read_back() -> None:
    """`read` gives the arrays of `fill`, copies of their own, and the top computes with them."""
    generator = np.random.default_rng(0)
    layers = [
        (generator.normal(size=(a, b)).astype(np.float32).astype(np.float64), np.arange(float(b)))
        for a, b in ((5, 4), (4, 3))
    ]
    top = dense([5, 4, 3])
    fill(top, layers)
    found = read(top)
    for (w, b), (v, c) in zip(layers, found, strict=True):
        np.testing.assert_array_equal(w, v)
        np.testing.assert_array_equal(b, c)
    x = generator.normal(size=(2, 5))
    wanted = np.maximum(x @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1]
    np.testing.assert_allclose(top(torch.from_numpy(x).float()).detach().numpy(), wanted, rtol=1e-4)
    found[0][1][:] = 9.0
    assert read(top)[0][1].tolist() == [0, 1, 2, 3]


def test_the_ends_of_a_blend_are_the_two_states() -> None:
    """WiSE-FT at 0 and 1 is bit-equal to start and end, in between on the line; counters are the end's."""
    start = {"w": torch.tensor([1.0, 0.1, -3.0]), "count": torch.tensor(2)}
    end = {"w": torch.tensor([5.0, 0.7, 1e-3]), "count": torch.tensor(9)}
    assert torch.equal(blended(start, end, 0.0)["w"], start["w"])
    assert torch.equal(blended(start, end, 1.0)["w"], end["w"])
    torch.testing.assert_close(blended(start, end, 0.25)["w"], 0.75 * start["w"] + 0.25 * end["w"])
    assert int(blended(start, end, 0.5)["count"]) == 9


# Accelerators


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_training_on_cuda_can_be_resumed(tmp_path: Path) -> None:
    """The average and the optimiser's memory are taken up on the device."""
    from dataclasses import replace

    def task() -> Task:
        made = full()
        made.evaluate = nothing
        made.plan = replace(made.plan, device="cuda")
        return made

    whole, resumed = task(), task()
    train(whole)
    with pytest.raises(Killed):
        train(task(), Keeper(tmp_path, "x", 0.0), on_step=stopping(8))
    train(resumed, Keeper(tmp_path, "x", 0.0))
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
