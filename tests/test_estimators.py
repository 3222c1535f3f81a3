"""The estimators behave as scikit-learn's tools expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart import FeatureExtractor, TransferClassifier
from headstart.errors import DataError, UserError
from headstart.learner import Learner
from headstart.pictures import Pictures

SMALL = {"backbone": "test_resnet", "weights": "none", "image_size": 32}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits()
    return np.rint(bunch.images * 255 / 16).astype(np.uint8)[:300], bunch.target[:300]


def test_cross_validation_on_arrays_beats_chance_by_far(digits) -> None:
    X, y = digits
    assert cross_val_score(TransferClassifier(method="pixels"), X, y, cv=3).mean() > 0.8


def test_a_grid_search_sets_the_head_and_its_parameters(digits) -> None:
    X, y = digits
    grid = {"head": ["logistic", "knn"], "class_weight": [None]}
    search = GridSearchCV(TransferClassifier(method="pixels"), grid, cv=2).fit(X, y)
    assert search.best_params_["head"] in ("logistic", "knn")
    assert search.best_estimator_.score(X, y) > 0.8


def test_the_extractor_is_a_step_of_a_pipeline(digits) -> None:
    X, y = digits
    pipeline = make_pipeline(FeatureExtractor(**SMALL), StandardScaler(), LogisticRegression(max_iter=300))
    assert pipeline.fit(X, y).score(X, y) > 0.8


def test_a_clone_is_unfitted_and_has_the_same_parameters() -> None:
    one = TransferClassifier(head="mlp", head_options={"hidden": [8]}, seed=3)
    other = clone(one)
    assert other.get_params() == one.get_params() and not hasattr(other, "classes_")


def test_arrays_files_and_pil_pictures_give_the_same_features(digits, tmp_path: Path) -> None:
    X = digits[0][:5]
    pictures = [Image.fromarray(x) for x in X]
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    extractor = FeatureExtractor(**SMALL).fit(X)
    whole = extractor.transform(X)
    np.testing.assert_array_equal(extractor.transform(pictures), whole)
    np.testing.assert_array_equal(extractor.transform([str(p) for p in paths]), whole)


@pytest.mark.parametrize("labels", ["int", "str", "bool"])
def test_labels_come_back_as_they_were_given(digits, labels: str) -> None:
    X, y = digits
    given = {"int": y * 7 - 20, "str": np.array([f"digit {k}" for k in y]), "bool": y > 4}[labels]
    fitted = TransferClassifier(method="pixels").fit(X, given)
    answers = fitted.predict(X[:50])
    assert answers.dtype == given.dtype and set(answers) <= set(given)
    assert fitted.predict_proba(X[:50]).shape == (50, len(np.unique(given)))
    assert (answers == given[:50]).mean() > 0.9


def test_a_fitted_classifier_can_be_saved_and_loaded(digits, tmp_path: Path) -> None:
    from headstart import bundle, load_classifier

    X, y = digits
    fitted = TransferClassifier(method="pixels").fit(X, y)
    bundle.save(fitted.classifier_, tmp_path / "bundle")
    assert [int(name) for name in load_classifier(tmp_path / "bundle").predict(X[:20])] == fitted.predict(
        X[:20]
    ).tolist()


def test_a_broken_picture_and_a_single_class_are_errors(digits, tmp_path: Path) -> None:
    X = digits[0]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.png"):
        FeatureExtractor(**SMALL).fit(X).transform([str(tmp_path / "bad.png")])
    with pytest.raises(DataError, match="one class"):
        TransferClassifier(method="pixels").fit(X, np.zeros(len(X)))


def test_paths_may_come_as_an_array_of_strings_and_an_unfitted_model_says_so(digits, tmp_path: Path) -> None:
    from sklearn.exceptions import NotFittedError

    X, y = digits
    paths = [str(tmp_path / f"{i}.png") for i in range(60)]
    for pixels, path in zip(X, paths, strict=False):
        Image.fromarray(pixels).save(path)
    model = TransferClassifier(method="pixels")
    with pytest.raises(NotFittedError):
        model.predict(paths)
    assert model.fit(np.array(paths), y[:60]).predict(np.array(paths[:5])).shape == (5,)


def trained(method: str, **more: object) -> TransferClassifier:
    network = {"backbone": "small_cnn"} if method == "scratch" else {"backbone": "sprout", "weights": "none"}
    steps = {"epochs": 12 if method == "scratch" else 1, "threads": 1}
    return TransferClassifier(method=method, training=steps, engine="torch", cache=False, **network, **more)


def test_a_network_from_scratch_is_trained_and_a_clone_of_it_trains_to_the_same(digits) -> None:
    """A head on frozen random features would leave the weights as they were drawn."""
    from headstart.backbones import resolve

    X, y = digits
    fitted = trained("scratch").fit(X[:100], y[:100])
    drawn = resolve("small_cnn", "none").network().state_dict()
    learnt = fitted.classifier_.source.backbone.network().state_dict()
    moved = [name for name, value in learnt.items() if not np.array_equal(value.numpy(), drawn[name].numpy())]
    assert "blocks.0.conv.weight" in moved
    assert fitted.score(X[100:], y[100:]) > 0.5
    assert fitted.predict_proba(X[:5]).sum(axis=1) == pytest.approx(np.ones(5))
    again = clone(fitted).fit(X[:100], y[:100])
    np.testing.assert_allclose(again.predict_proba(X[100:120]), fitted.predict_proba(X[100:120]), atol=1e-5)


def test_fine_tuning_changes_the_last_blocks_and_leaves_the_first(digits) -> None:
    from headstart.backbones import resolve

    X, y = digits
    fitted = trained("finetune", image_size=32).fit(X[:60], np.array([f"digit {k}" for k in y[:60]]))
    before = resolve("sprout", "none").network().state_dict()
    after = fitted.classifier_.source.backbone.network().state_dict()
    assert np.array_equal(after["stem.conv.weight"].numpy(), before["stem.conv.weight"].numpy())
    assert not np.array_equal(after["stages.2.1.conv.weight"].numpy(), before["stages.2.1.conv.weight"].numpy())
    assert set(fitted.predict(X[:30])) <= {f"digit {k}" for k in range(10)}


def test_choices_that_do_not_fit_together_are_one_sentence(digits) -> None:
    X, y = digits
    with pytest.raises(UserError, match="training is for a network that is trained"):
        TransferClassifier(method="pixels", training={"epochs": 3}).fit(X, y)
    with pytest.raises(UserError, match="which head=knn does not support"):
        trained("scratch", head="knn").fit(X, y)
    with pytest.raises(UserError, match="method='scratsh' is not possible"):
        TransferClassifier(method="scratsh").fit(X, y)
    with pytest.raises(UserError, match="use TransferClassifier"):
        FeatureExtractor(method="finetune", **SMALL).fit(X)
    with pytest.raises(UserError, match="epoch"):
        TransferClassifier(method="scratch", backbone="small_cnn", training={"epoch": 3}).fit(X, y)


def test_a_list_of_labels_with_a_gap_is_refused_and_has_no_class_nan(digits) -> None:
    """As an array of text its NaN would be the text `nan`."""
    X, y = digits
    labels = [*map(str, y[:-1]), float("nan")]
    with pytest.raises(DataError, match=r"y lacks 1 of 300 labels .* row 299"):
        TransferClassifier(method="pixels", head="prototype").fit(X, labels)


def test_eight_or_twelve_bits_in_a_wider_type_are_warned_of_where_they_would_be_nearly_black(digits) -> None:
    X, y = digits
    fitted = TransferClassifier(method="pixels", head="prototype").fit(X, y)
    with pytest.warns(UserWarning, match="as uint8"):
        fitted.predict(X[:3].astype(np.uint16))
    with pytest.warns(UserWarning, match="as uint8"):
        TransferClassifier(method="pixels", head="prototype").fit(X.astype(np.uint16), y)
    for kind in (np.uint16, np.int32, np.float32):
        with pytest.warns(UserWarning, match="above 4,095 .* if they hold 12 bits, multiply them by 16"):
            fitted.predict(X[:3].astype(kind) * 16)
    assert (fitted.predict(X.astype(np.uint16) * 257) == fitted.predict(X)).all()


def test_pictures_of_a_group_stay_in_one_fold_where_settings_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `fit` learns from knows which belong together; a number, a name and nothing are all taken."""
    pixels, digits = load_digits(return_X_y=True)
    X, y = (pixels.reshape(-1, 8, 8)[:40] * 15).astype(np.uint8), digits[:40]
    known: list[Any] = []
    fit = Learner.fit

    def watched(self: Learner, pictures: Pictures, *args: Any, **options: Any) -> Any:
        known.append(pictures.groups)
        return fit(self, pictures, *args, **options)

    monkeypatch.setattr(Learner, "fit", watched)
    model = TransferClassifier(method="pixels", cache=False)
    model.fit(X, y, groups=[i // 4 for i in range(38)] + [None, np.nan])
    (found,) = known
    assert all(len(set(found[4 * k : 4 * k + 4])) == 1 for k in range(9))
    assert [found.tolist().count(found[i]) for i in (36, 38, 39)] == [2, 1, 1]
    with pytest.raises(DataError, match=r"shape \(2,\); give one for each of the 40 pictures"):
        model.fit(X, y, groups=[1, 2])
    with pytest.raises(DataError, match="40 of 40 pictures are in the group 'a'"):
        model.fit(X, y, groups=["a"] * 40)
