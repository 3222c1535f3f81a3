"""One contract for every head in HEADS, and the truths of each simple head."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from headstart.errors import BundleError, NotConverged, UnknownName, UserError
from headstart.heads import HEADS, Head, make_head
from headstart.heads.dense import DenseHead
from headstart.heads.folds import NONE
from headstart.heads.mlp import MLPHead
from headstart.heads.prototype import PrototypeHead
from headstart.heads.ridge import RidgeHead
from headstart.heads.solver.scale import fit_scale
from headstart.heads.solver.scaler import Scaler
from headstart.heads.trials import log_losses

QUICK: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 12},
    "mlp": {"hidden": (64,), "epochs": 12, "learning_rate": 5e-3},
}
every_head = pytest.mark.parametrize("name", list(HEADS))


def quick(name: str, **params: Any) -> Head:
    return make_head(name, **QUICK.get(name, {}), **params)


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), np.array([f"digit {i}" for i in y])


@every_head
def test_a_head_learns_digits_and_gives_probabilities(name: str, digits: Any) -> None:
    X, y = digits
    head = quick(name).fit(X[:1000], y[:1000], validation=(X[1000:1200], y[1000:1200]))
    proba = head.predict_proba(X[1200:])
    assert head.score(X[1200:], y[1200:]) > 0.8
    assert proba.shape == (597, 10)
    assert proba.dtype == np.float64
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    assert head.classes_.tolist() == sorted(set(y.tolist()))
    logits = head.logits(X[1200:])
    assert np.array_equal(logits.argmax(axis=1), proba.argmax(axis=1))
    assert np.array_equal(head.predict(X[1200:]), head.classes_[proba.argmax(axis=1)])


@every_head
def test_the_answer_to_a_row_is_the_same_to_the_last_bit_whatever_rows_are_beside_it(name: str, digits: Any) -> None:
    X, y = digits
    head = quick(name).fit(X[:400], y[:400], validation=(X[400:500], y[400:500]))
    together = head.logits(X[500:800])
    for start, stop in ((0, 1), (7, 8), (0, 31), (5, 38), (30, 95), (1, 300), (299, 300)):
        assert np.array_equal(head.logits(X[500 + start : 500 + stop]), together[start:stop])


@every_head
def test_a_head_read_back_from_its_file_is_equal(name: str, digits: Any, tmp_path: Path) -> None:
    X, y = digits
    head = quick(name, class_weight={"digit 3": 2.0}).fit(X[:400], y[:400], validation=(X[400:500], y[400:500]))
    save_file(head.to_arrays(), tmp_path / "head.safetensors")
    config = json.loads(json.dumps(head.config(), allow_nan=False))
    again = HEADS[name].from_arrays(load_file(tmp_path / "head.safetensors"), config)
    assert np.array_equal(again.predict_proba(X), head.predict_proba(X))
    assert again.predict(X).tolist() == head.predict(X).tolist()
    assert again.get_params() == head.get_params()
    assert (again.history_, again.notes_, again.config()) == (config["history"], head.notes_, head.config())


@every_head
def test_a_missing_array_is_refused(name: str, digits: Any) -> None:
    X, y = digits
    head = quick(name).fit(X[:100], y[:100])
    arrays = head.to_arrays()
    arrays.pop(sorted(arrays)[0])
    with pytest.raises(BundleError, match="missing"):
        HEADS[name].from_arrays(arrays, head.config())


@every_head
def test_fitting_again_gives_the_same_numbers(name: str, digits: Any) -> None:
    X, y = digits
    head = quick(name)
    first = head.fit(X[:150], y[:150]).logits(X)
    assert np.array_equal(head.fit(X[:150], y[:150]).logits(X), first)


@every_head
def test_history_is_numbers_and_begins_before_training(name: str, digits: Any) -> None:
    X, y = digits
    head = quick(name).fit(X[:300], y[:300], validation=(X[300:400], y[300:400]))
    assert all(isinstance(value, float) for row in head.history_ for value in row.values())
    assert next(iter(head.history_[0].values())) == 0.0
    assert len(head.history_) >= 2
    assert json.dumps(head.report_, allow_nan=False)


@every_head
def test_balanced_weights_favour_the_rare_class(name: str) -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 10 == 0).astype(int)
    X = rng.normal(size=(400, 6)) + y[:, None] * 0.6
    plain, balanced = (quick(name, class_weight=w).fit(X, y).predict_proba(X)[:, 1] for w in (None, "balanced"))
    assert balanced.mean() > plain.mean() + 0.05


@every_head
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_single_feature_is_enough(name: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    X = (rng.normal(size=(200, 1)) + 4 * y[:, None]).astype(dtype)
    assert quick(name).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("name", ["logistic", "ridge", "prototype", "knn"])
def test_row_order_does_not_matter_to_heads_without_chance(name: str, digits: Any) -> None:
    X, y = digits
    order = np.random.default_rng(0).permutation(200)
    a = quick(name).fit(X[:200], y[:200]).predict_proba(X[400:600])
    b = quick(name).fit(X[order], y[order]).predict_proba(X[400:600])
    assert np.abs(a - b).max() < 1e-5


@every_head
def test_validation_with_an_unseen_class_or_wrong_length_is_refused(name: str, digits: Any) -> None:
    X, y = digits
    with pytest.raises(UserError, match="'digit x', which training never saw"):
        quick(name).fit(X[:100], y[:100], validation=(X[:2], np.array(["digit 1", "digit x"])))
    with pytest.raises(UserError, match="3 rows of features and 2 labels"):
        quick(name).fit(X[:100], y[:100], validation=(X[:3], y[:2]))


@every_head
def test_empty_validation_counts_as_none(name: str, digits: Any) -> None:
    X, y = digits
    a = quick(name).fit(X[:100], y[:100], validation=(X[:0], y[:0])).logits(X)
    assert np.array_equal(a, quick(name).fit(X[:100], y[:100]).logits(X))


def test_an_unknown_head_or_parameter_shows_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean logistic"):
        make_head("logistc")
    with pytest.raises(UserError, match="no parameter 'droput': did you mean dropout"):
        make_head("mlp", droput=0.1)
    with pytest.raises(UserError, match="no parameter 'dropout': it takes: "):
        make_head("logistic", dropout=0.5)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("logistic", {"C": -1.0}),
        ("logistic", {"class_weight": "balance"}),
        ("mlp", {"dropout": 1.0}),
        ("ridge", {"alpha": 0.0}),
        ("knn", {"metric": "manhattan"}),
        ("knn", {"k": 0}),
        ("prototype", {"temperature": -2.0}),
        ("prototype", {"normalise": "max"}),
    ],
)
def test_a_setting_that_means_nothing_is_refused_when_fitting(name: str, params: dict[str, Any], digits: Any) -> None:
    X, y = digits
    with pytest.raises(UserError, match=next(iter(params))):
        make_head(name, **params).fit(X[:100], y[:100])


def test_importing_the_table_imports_no_heavy_library() -> None:
    code = (
        "import sys, headstart.heads as h; list(h.HEADS); "
        "print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_the_mlp_predicts_without_torch(digits: Any, tmp_path: Path) -> None:
    X, y = digits
    head = quick("mlp").fit(X[:300], y[:300])
    save_file(head.to_arrays(), tmp_path / "head.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(head.config()))
    np.save(tmp_path / "X.npy", X[:5])
    code = (
        "import sys, json, numpy as np; from safetensors.numpy import load_file; from headstart.heads import HEADS\n"
        f"head = HEADS['mlp'].from_arrays(load_file(r'{tmp_path}/head.safetensors'), "
        f"json.load(open(r'{tmp_path}/config.json')))\n"
        f"print(json.dumps([head.predict_proba(np.load(r'{tmp_path}/X.npy')).tolist(), 'torch' in sys.modules]))"
    )
    proba, torch_loaded = json.loads(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    )
    assert np.allclose(proba, head.predict_proba(X[:5]), rtol=0, atol=1e-12)
    assert not torch_loaded


def test_the_mlp_takes_the_epoch_with_the_least_validation_loss_and_trains_so_long_on_all_rows(digits: Any) -> None:
    X, y = digits[0][:600], digits[1][:600]
    options = {"hidden": (64,), "patience": 3, "learning_rate": 1e-2}
    head = MLPHead(epochs=80, **options).fit(X[:150], y[:150], (X[150:], y[150:]))
    losses = [row["val_loss"] for row in head.history_]
    best = int(np.argmin(losses))
    assert head.n_iter_ == head.report_["best_epoch"] == best
    assert len(losses) - 1 == best + 3
    seen, own = head.out_of_fold_, np.searchsorted(head.classes_, y[150:])
    assert seen is not None
    assert seen.rows.tolist() == list(range(150, 600))
    assert log_losses(seen.logits, own).mean() == pytest.approx(min(losses), rel=1e-4)
    alone = MLPHead(epochs=best, **options).fit(X, y, folds=NONE)
    assert np.array_equal(head.logits(X), alone.logits(X))


@pytest.mark.parametrize(
    ("name", "options", "chosen"),
    [("mlp", QUICK["mlp"], ["epochs"]), ("linear", {"epochs": 9}, ["epochs"]), ("logistic", {}, ["C", "normalise"])],
)
def test_a_head_for_a_network_keeps_what_was_chosen_and_forgets_the_validation_rows(
    name: str, options: dict[str, Any], chosen: list[str], digits: Any
) -> None:
    X, y = digits
    head = make_head(name, **options).fit(X[:300], y[:300], validation=(X[300:400], y[300:400]))
    assert isinstance(head, DenseHead)
    never_seen = make_head(name, **{**options, **{each: head.report_[each] for each in chosen}})
    never_seen.fit(X[:300], y[:300], folds=NONE)
    assert np.array_equal(head.fitted_on_training(X[:300], y[:300]).logits(X), never_seen.logits(X))
    assert np.abs(head.logits(X) - never_seen.logits(X)).max() > 1e-3


def test_the_mlp_reports_each_epoch_of_both_trainings_as_it_ends(digits: Any) -> None:
    X, y = digits
    rows: list[dict[str, float]] = []
    head = MLPHead(hidden=(16,), epochs=3, on_epoch=rows.append).fit(X[:200], y[:200])
    first, second = rows[: len(head.history_)], rows[len(head.history_) :]
    assert first == head.history_
    assert [row["epoch"] for row in first] == [0, 1, 2, 3]
    assert [row["epoch"] for row in second] == list(range(head.n_iter_ + 1))
    assert all(each[-1]["train_loss"] < each[0]["train_loss"] for each in (first, second))


def test_the_seed_decides_the_mlp_and_torch_settings_are_left_alone(digits: Any) -> None:
    import torch

    X, y = digits
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    one, two = (MLPHead(hidden=(16,), epochs=2, seed=s).fit(X[:200], y[:200]).logits(X) for s in (1, 2))
    assert np.abs(one - two).max() > 1e-3
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_that_is_not_finite_stops_the_mlp(digits: Any) -> None:
    X, y = digits
    with pytest.raises(NotConverged, match="lower learning_rate"):
        MLPHead(hidden=(16,), epochs=5, learning_rate=1e30).fit(X[:200], y[:200])


@pytest.mark.parametrize(("n", "d"), [(300, 64), (40, 64)])
def test_ridge_equals_scikit_learn_on_one_hot_labels(n: int, d: int, digits: Any) -> None:
    """Both closed forms: more rows than features and the reverse."""
    X, y = digits[0][:n, :d].astype(np.float64), digits[1][:n]
    head = RidgeHead(alpha=0.3).fit(X, y)
    scaler = Scaler.measure(X)
    Z, scale = scaler.apply(X), scaler.scale
    T = (y[:, None] == head.classes_).astype(float)
    fit = Ridge(alpha=0.3 * n).fit(Z, T)
    factor = head.report_["scale"]
    assert np.abs(head.coef_ * scale[:, None] / factor - fit.coef_.T).max() < 1e-9
    assert np.abs(head.logits(X) / factor - fit.predict(Z)).max() < 1e-9


def test_ridge_chooses_the_alpha_with_the_least_validation_error(digits: Any) -> None:
    X, y = digits
    head = RidgeHead().fit(X[:200], y[:200], (X[200:500], y[200:500]))
    best = min(head.history_[1:], key=lambda row: row["val_squared_error"])
    assert head.report_["alpha"] == best["alpha"]


def test_knn_votes_are_those_of_scikit_learn(digits: Any) -> None:
    X, y = digits
    head = make_head("knn", k=7, metric="euclidean").fit(X[:500], y[:500])
    Z = Scaler.measure(X[:500]).apply(X).astype(np.float32)
    theirs = KNeighborsClassifier(7).fit(Z[:500], y[:500]).predict_proba(Z[500:800])
    prior = np.array([(y[:500] == c).mean() for c in head.classes_])
    assert np.abs(head.predict_proba(X[500:800]) - (7 * theirs + prior) / 8).max() < 1e-9


def test_a_prototype_is_the_mean_of_its_class(digits: Any) -> None:
    X, y = digits
    head = PrototypeHead(temperature=5.0).fit(X[:500], y[:500])
    Z = Scaler.measure(X[:500]).apply(X)
    means = np.stack([Z[:500][y[:500] == c].mean(axis=0) for c in head.classes_])
    assert np.abs(head.prototypes_ - means).max() < 1e-9
    share = np.log([(y[:500] == c).mean() for c in head.classes_])
    expected = share - ((Z[500:, None] - means) ** 2).sum(axis=2) / 5.0
    assert np.abs(head.logits(X[500:]) - expected).max() < 1e-8


def test_the_fitted_scale_is_a_minimum_and_finite_for_separable_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3000, 4))
    codes = (2.5 * scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    assert fit_scale(scores, codes) == pytest.approx(2.5, rel=0.1)
    assert fit_scale(np.eye(3), np.arange(3)) < 10


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_head_by_mini_batches_learns_from_twenty_thousand_features_too(name: str) -> None:
    """A step of Adam moves the logits by its rate times the number of features, which the default allows for."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 4
    hidden = rng.normal(size=(4, 30))[y] + 1.5 * rng.normal(size=(240, 30))
    X = np.maximum(hidden @ rng.normal(size=(30, 20_000)), 0).astype(np.float32)  # features that go together
    options = {"hidden": 16} if name == "mlp" else {}
    head = make_head(name, epochs=5, **options).fit(X[:160], y[:160], validation=(X[160:200], y[160:200]))
    assert head.score(X[200:], y[200:]) > 0.6


def test_a_head_names_the_parameters_that_it_was_given() -> None:
    assert repr(make_head("knn", k=3)) == "KNNHead(k=3)"
    with pytest.raises(ValueError, match="KNNHead has no parameter 'neighbours'"):
        make_head("knn").set_params(neighbours=3)


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("logistic", {"C": "abc"}, "takes a number for C, not 'abc'"),
        ("logistic", {"root": "maybe"}, "takes true or false for root, not 'maybe'"),
        ("ridge", {"alpha": "high"}, "takes a number for alpha, not 'high'"),
        ("knn", {"k": "many"}, "takes a number for k, not 'many'"),
    ],
)
def test_text_for_a_number_is_refused_in_one_sentence(name: str, params: dict[str, str], told: str) -> None:
    with pytest.raises(UserError, match=rf"^The head {name} {told}\.$"):
        make_head(name, **params)


def test_names_of_columns_are_compared_where_there_are_some(digits: Any) -> None:
    X, y = digits
    frame = pd.DataFrame(X[:100], columns=[f"p{i}" for i in range(X.shape[1])])
    head = make_head("prototype").fit(frame, y[:100])
    with pytest.raises(ValueError, match="feature names"):
        head.predict(frame.rename(columns={"p0": "q0"}))
    with pytest.warns(UserWarning, match="valid feature names"):
        head.predict(X[:5])
    with pytest.raises(ValueError, match="features"):
        head.fit(X[:100], y[:100]).predict(X[:5, 1:])
    assert not hasattr(head, "feature_names_in_")


def test_a_layer_too_wide_for_any_memory_and_the_name_of_a_head_are_no_parameters() -> None:
    with pytest.raises(UserError, match="give at most 100,000"):
        make_head("mlp", hidden=10**9).fit(np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1]))
    with pytest.raises(UserError, match="has no parameter 'name'"):
        make_head("ridge", **{"name": "x"})
