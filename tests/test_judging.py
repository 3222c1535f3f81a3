"""How a run is judged: few pictures by cross-validation over all of them, many or a network on a part kept apart."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import Recipe, Run, execute
from headstart.division import FEW, prepare
from headstart.errors import UserError
from headstart.features.copies import numbered
from headstart.features.extract import Settings, extract
from headstart.fitting import fit_frozen, train_network
from headstart.images import digest
from headstart.learner import FOLDS, Learner
from headstart.network_folds import cross_validated
from headstart.pictures import Pictures
from headstart.run import with_split_beside
from headstart.statistics import wilson
from reading import table


def recipe(source: str | Path = "digits", method: str = "pixels", head: str = "ridge", **data: Any) -> Recipe:
    data = {"source": str(source), **data}
    backbone = {"name": "small_cnn" if method == "scratch" else "sprout"}
    return Recipe.from_dict({"method": method, "data": data, "head": {"name": head}, "backbone": backbone})


def features_of(run: Run) -> np.ndarray:
    """What the head was given of the run's pictures: (n, d)."""
    return extract(run.images, run.classifier.source, Settings()).features


def draw(folder: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    """Noisy pictures of one colour for each class, `part/class` or `class`."""
    rng, colours = np.random.default_rng(seed), {"blue": (60, 60, 150), "red": (150, 60, 60), "lime": (90, 160, 60)}
    for place, n in sizes.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = np.clip(rng.normal(colours[Path(place).name], 60, size=(16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Digits of three classes, judged by cross-validation."""
    return execute(recipe(classes=["3", "8", "9"], limit=150), tmp_path_factory.mktemp("runs") / "run")


def test_few_pictures_without_a_test_part_are_all_answered_out_of_fold(crossed: Run) -> None:
    """predictions.csv has each picture once, and the accuracy in the scores is theirs."""
    told, cv = table(crossed.folder / "predictions.csv"), crossed.scores["after"]["cv"]
    assert len(told) == len({row["name"] for row in told}) == 150 and {row["split"] for row in told} == {"cv"}
    assert np.mean([row["label"] == row["predicted"] for row in told]) == cv["accuracy"]
    assert (cv["n"], cv["folds"]) == (150, FOLDS) and "test" not in crossed.scores["after"]
    assert 0.85 < cv["accuracy"] < 1


def test_the_interval_of_cross_validation_is_wider_than_that_of_as_many_test_pictures(crossed: Run) -> None:
    """Answers of classifiers that share their pictures depend on each other, so both ends lie further out."""
    cv = crossed.scores["after"]["cv"]
    low, high = wilson(cv["correct"], cv["n"])
    assert cv["accuracy_low"] < low < cv["accuracy"] < high < cv["accuracy_high"]


def test_the_classifier_that_is_kept_was_fitted_on_all_pictures(crossed: Run) -> None:
    """The head counts every picture, and no fold's head is the one that was kept."""
    assert crossed.scores["fitted_on"] == ["train"] and crossed.scores["counts"]["train"] == 150
    assert len(crossed.images) == 150 and set(crossed.images.parts) == {"train"}
    features = features_of(crossed)
    marks = [digest(crossed.images.raw(i)) for i in range(150)]  # which draw the same folds
    own = Learner("ridge").fit(Pictures(features, crossed.images.labels, marks=marks)).head
    np.testing.assert_allclose(crossed.classifier.head.logits(features), own.logits(features), rtol=1e-3, atol=1e-3)


def test_out_of_fold_scores_are_not_those_of_the_refit(crossed: Run) -> None:
    """The kept classifier knows the pictures it was fitted on; what is told of others comes from elsewhere."""
    after = crossed.scores["after"]
    assert after["train"]["n"] == after["cv"]["n"] and after["train"]["log_loss"] < after["cv"]["log_loss"]
    probabilities, _ = crossed.classifier.predict_proba(crossed.images)
    told = table(crossed.folder / "predictions.csv")
    refit = [crossed.classifier.classes[k] for k in probabilities.argmax(axis=1)]
    assert [row["predicted"] for row in told] != refit


def test_the_split_of_a_cross_validated_run_repeats_it(crossed: Run, tmp_path: Path) -> None:
    """`headstart run recipe.toml` beside split.csv: the same folds, answers and scores."""
    written = crossed.folder / "recipe.toml"
    again = execute(with_split_beside(Recipe.load(written), written), tmp_path / "again")
    assert (again.folder / "predictions.csv").read_bytes() == (crossed.folder / "predictions.csv").read_bytes()
    assert again.scores["after"] == crossed.scores["after"]


def test_a_holdout_keeps_a_fifth_that_nothing_is_fitted_on(tmp_path: Path) -> None:
    """`--evaluate holdout`: 30 of 150 are the test, and the head counts the 120 others."""
    done = execute(recipe(classes=["3", "8", "9"], limit=150, evaluate="holdout"), tmp_path / "run")
    assert {part: s["n"] for part, s in done.scores["after"].items()} == {"train": 120, "test": 30}
    assert [row["split"] for row in table(done.folder / "split.csv")].count("test") == 30


def test_from_two_thousand_pictures_on_a_fifth_is_kept_apart_unless_asked_otherwise() -> None:
    """The bound is exact, and counts what can be learnt from."""
    pixels = np.zeros((FEW, 8, 8), np.uint8)
    for n, evaluate, tested in ((FEW - 1, "auto", 0), (FEW, "auto", 400), (FEW, "cv", 0), (FEW - 1, "holdout", 400)):
        images = prepare_of(pixels[:n], evaluate)
        assert int((images.parts == "test").sum()) == tested, (n, evaluate)


def prepare_of(pixels: np.ndarray, evaluate: str) -> Any:
    """The divided pictures of a recipe on an .npz of two classes without a test part."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few.npz"
        np.savez(path, x_train=pixels, y_train=np.arange(len(pixels)) % 2)
        return prepare(recipe(path, evaluate=evaluate))


def small_network(method: str, **data: Any) -> Recipe:
    """A network that trains in a blink, on two digits."""
    parts = recipe(method=method, head="linear", classes=["1", "7"], limit=60, **data).model_dump(exclude_none=True)
    parts["backbone"] |= {"name": "small_cnn" if method == "scratch" else "sprout", "image_size": 32}
    parts["training"] |= {"epochs": 2}
    return Recipe.from_dict(parts)


def test_without_being_asked_a_network_keeps_a_part_apart() -> None:
    assert (prepare(recipe(method="finetune", limit=60)).parts == "test").sum() == 12


@pytest.mark.slow
@pytest.mark.parametrize("method", ["scratch", "finetune"])
def test_a_network_can_be_judged_by_cross_validation_and_ships_having_seen_every_picture(
    method: str, tmp_path: Path
) -> None:
    done = execute(small_network(method, evaluate="cv"), tmp_path / "run")
    cv, told = done.scores["after"]["cv"], table(done.folder / "predictions.csv")
    assert (cv["n"], cv["folds"], done.scores["counts"]["train"]) == (60, 10, 60)
    assert {row["split"] for row in told} == {"cv"} and not (done.folder / "training").exists()
    assert done.scores["calibration"]["fitted_on"] == "folds"
    frozen = done.scores["training"].get("frozen", {})
    assert ("cv" in frozen) == (method == "finetune")
    assert cv["accuracy"] > 0.9 or method == "scratch"  # two epochs teach a network that knows nothing too little


@pytest.mark.slow
def test_a_fold_of_a_network_is_answered_by_one_trained_on_the_other_folds_alone(tmp_path: Path) -> None:
    asked = small_network("scratch", evaluate="cv")
    images = prepare(asked)
    trained = train_network(asked, tmp_path / "run", Settings(None), given=images)
    found = cross_validated(trained, tmp_path / "run", Settings(None)).folds
    assert found is not None
    judged = found.fold == 3
    alone = train_network(asked, tmp_path / "alone", Settings(None), given=images.take(~judged))
    classifier = alone.classifier
    features = extract(images.take(judged), classifier.source, Settings(None)).features
    assert np.abs(classifier.logits(features) - found.plain[judged]).max() < 1e-3


@pytest.mark.slow
def test_a_run_stopped_among_the_folds_of_a_network_goes_on_to_the_same_scores(tmp_path: Path) -> None:
    asked = small_network("scratch", evaluate="cv")

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("fold 4 of 10|") and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(asked, tmp_path / "stopped", stop)
    resumed = execute(asked, tmp_path / "stopped", resume=True)
    whole = execute(asked, tmp_path / "whole")
    assert resumed.scores["after"] == whole.scores["after"]


@pytest.mark.parametrize("method", ["pixels", "scratch"])
def test_pictures_that_are_given_stay_divided_as_they_are(method: str, tmp_path: Path) -> None:
    """A study judges every arm on the same test pictures: none changes sides, though its copy is on the other."""
    drawn = prepare(small_network("scratch", evaluate="holdout"))
    assert drawn.test_drawn
    twin = np.flatnonzero(drawn.parts == "train")[[0]]
    given = replace(
        drawn,
        items=np.concatenate([np.asarray(drawn.items), np.asarray(drawn.items)[twin]]),
        names=(*drawn.names, "copy"),
        labels=np.append(drawn.labels, drawn.labels[twin]),
        parts=np.append(drawn.parts, "test"),
    )
    asked = small_network(method) if method == "scratch" else recipe(method=method)
    if method == "scratch":
        fitted = train_network(asked, tmp_path / "run", Settings(None), given=given)
    else:
        fitted = fit_frozen(asked, Settings(None), given=given)
    assert np.array_equal(fitted.images.parts, given.parts) and fitted.images.names == given.names


@pytest.mark.parametrize("by", ["the data", "split.csv"])
def test_cross_validation_beside_a_test_part_is_refused_in_a_sentence(by: str, tmp_path: Path) -> None:
    """Whoever brought the part, it judges."""
    data = draw(tmp_path / "data", {"train/blue": 8, "train/red": 8, "test/blue": 4, "test/red": 4})
    asked = recipe(data, evaluate="cv")
    if by == "split.csv":
        draw(tmp_path / "whole", {"blue": 10, "red": 10})
        done = execute(recipe(tmp_path / "whole", evaluate="holdout"), tmp_path / "first")
        asked = recipe(tmp_path / "whole", evaluate="cv", split=str(done.folder / "split.csv"))
    with pytest.raises(UserError, match=r"has a test part, which is used instead; leave `evaluate` out\.$"):
        execute(asked, tmp_path / "run")


def test_so_many_of_each_class_can_be_judged_by_cross_validation(tmp_path: Path) -> None:
    """Then no test part is drawn before them."""
    done = execute(recipe(train_per_class=5, evaluate="cv", classes=["1", "7"]), tmp_path / "run")
    assert done.scores["after"]["cv"]["n"] == done.scores["counts"]["train"] == 10
    assert done.scores["counts"]["test"] == 0


def test_copies_are_never_on_both_sides(tmp_path: Path) -> None:
    """A class of copies alone is unlearnable out of fold: each is judged without the others. A note counts them."""
    data = draw(tmp_path / "data", {"blue": 20, "red": 20})
    for i in range(6):
        shutil.copy(data / "red" / "00.png", data / "red" / f"copy {i}.png")
    done = execute(recipe(data), tmp_path / "run")
    note = "Copies and near copies (7 pictures) were always judged together, in one fold."
    assert note in done.scores["notes"]
    X = np.stack([done.images.read(i).reshape(-1) for i in range(46)]).astype(np.float32)
    found = numbered(np.stack([np.frombuffer(digest(done.images.raw(i)), np.uint8) for i in range(46)]))
    judged = Learner("knn", {"k": 1}).cross_validate(Pictures(X, done.images.labels, groups=found), 2)
    copies = [i for i, name in enumerate(done.images.names) if "copy" in name or name == "red/00.png"]
    assert len(copies) == 7 and len(set(judged.fold[copies])) == 1 and judged.copies == 7
    apart = Learner("knn", {"k": 1}).cross_validate(Pictures(X, done.images.labels), 2)
    assert len(set(apart.fold[copies])) > 1 and apart.copies == 0


def test_a_run_without_copies_says_nothing_of_them(crossed: Run) -> None:
    """Different pictures of one class are no copies."""
    assert "copies" not in " ".join(crossed.scores["notes"])


def test_a_class_with_one_picture_is_judged_wrong_and_still_learnt(tmp_path: Path) -> None:
    """Out of fold it is unknown, so it gets no chance; the kept classifier knows it."""
    data = draw(tmp_path / "data", {"blue": 12, "red": 12, "lime": 1})
    done = execute(recipe(data, head="logistic"), tmp_path / "run")
    told = {row["name"]: row for row in table(done.folder / "predictions.csv")}
    assert told["lime/00.png"]["predicted"] != "lime" and len(told) == 25
    cv = done.scores["after"]["cv"]
    assert cv["per_class"][1] == {**cv["per_class"][1], "class": "lime", "n": 1, "recall": 0.0}
    assert np.isfinite(cv["log_loss"]) and done.classifier.predict([data / "lime" / "00.png"]) == ["lime"]


def test_validation_pictures_choose_and_are_then_learnt_from(tmp_path: Path) -> None:
    """Those that the data bring are counted as fitted on, and judged out of fold like all others."""
    data = draw(tmp_path / "data", {"train/blue": 15, "train/red": 15, "val/blue": 6, "val/red": 6})
    done = execute(recipe(data), tmp_path / "run")
    head = done.scores["head"]
    assert head["choice"]["by"] == "the 12 validation pictures" and head["choice"]["tried"] > 1
    assert done.scores["fitted_on"] == ["train", "val"] and done.scores["after"]["cv"]["n"] == 42
    assert done.scores["after"]["val"]["n"] == 12
    kept, labels = done.classifier.head, done.images.labels
    X = features_of(done)
    options = {"alpha": head["alpha"]}
    both, alone = (Learner("ridge", options).fit(Pictures(X[:n], labels[:n])).head for n in (42, 30))
    known, other, told = (head.coef_ / np.linalg.norm(head.coef_) for head in (both, alone, kept))  # but for the scale
    assert np.abs(told - known).max() < 0.01 * np.abs(told - other).max()


def test_a_calibration_part_stands_beside_cross_validation(tmp_path: Path) -> None:
    """It sets the temperature; it is neither learnt from nor judged out of fold, and keeps its name."""
    sizes = {f"{part}/{name}": n for part, n in (("train", 15), ("calibration", 12)) for name in ("blue", "red")}
    done = execute(recipe(draw(tmp_path / "data", sizes)), tmp_path / "run")
    assert done.scores["calibration"]["fitted_on"] == "calibration" and done.scores["calibration"]["n"] == 24
    parts = [row["split"] for row in table(done.folder / "predictions.csv")]
    assert (parts.count("cv"), parts.count("calibration"), len(parts)) == (30, 24, 54)
    assert done.scores["after"]["cv"]["n"] == 30 and done.scores["fitted_on"] == ["train"]
