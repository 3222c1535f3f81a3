"""A run is complete, repeats to the same scores, and its bundle says the same thing elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from headstart import (
    Recipe,
    bundle,
    evaluate,
    execute,
    export,
    feature_files,
    fit,
    inference,
    load_classifier,
    load_run,
    outputs,
    predictions,
)
from headstart.classifier import match_classes
from headstart.cli import _main
from headstart.errors import BundleError, DataError, UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.images import digest, load
from headstart.report import write_report
from headstart.report.headline import headline
from headstart.run import with_split_beside
from reading import Page, table

FILES = {
    "recipe.toml",
    "split.csv",
    "fitted_on.csv",
    "history.csv",
    "scores.json",
    "predictions.csv",
    "refused.csv",
    "environment.json",
}


CV = {"evaluate": "cv"}


def recipe(source: str = "digits", **sections: dict) -> Recipe:
    """A run on raw pixels, judged by a fifth that is kept apart, because ten folds take ten times as long.

    With a head that is fitted at once, unless the test is about the head.
    """
    data = {"source": source, "limit": 300, "evaluate": "holdout", **sections.pop("data", {})}
    return Recipe.from_dict({"method": "pixels", "data": data, "head": {"name": "ridge"}, **sections})


def tiny(source: str = "digits", **backbone: object) -> Recipe:
    """A run on features of timm's smallest network, untrained."""
    network = {"name": "test_resnet", "weights": "none", "image_size": 32, **backbone}
    return Recipe.from_dict({"data": {"source": source, "limit": 200}, "backbone": network, "head": {"name": "ridge"}})


def lasting(scores: dict) -> dict:
    """What must be the same whenever a run is repeated."""
    return {part: scores[part] for part in ("before", "after", "calibration", "head")}


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory):
    return execute(recipe(data=CV), tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def network_run(tmp_path_factory: pytest.TempPathFactory):
    return execute(tiny(), tmp_path_factory.mktemp("runs") / "network")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes that differ in colour, larger than the size rule's bound."""
    rng = np.random.default_rng(0)
    for name, base in (("blue", (30, 30, 200)), ("red", (200, 30, 30))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(30):
            pixels = np.clip(rng.normal(base, 40, size=(100, 120, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i:02d}.jpg")
    return tmp_path / "photos"


def test_a_run_folder_holds_every_file_of_the_design(digits_run) -> None:
    assert {p.name for p in digits_run.folder.iterdir()} == FILES | {"bundle"}
    write_report(digits_run.folder, digits_run.thumbnail)
    assert (digits_run.folder / "report.html").stat().st_size > 5000


def test_the_accuracy_in_scores_is_the_one_counted_from_the_predictions(digits_run) -> None:
    told = table(digits_run.folder / "predictions.csv")
    for part, scores in digits_run.scores["after"].items():
        own = [r for r in told if r["split"] == part]
        if part == "cv":
            assert len(own) == scores["n"] == len(told)
            assert sum(r["label"] == r["predicted"] for r in own) == scores["correct"]
        else:  # answered out of fold; those of the classifier that had seen them are in no file
            assert own == [] and scores["n"] == len(told)
    assert digits_run.scores["after"]["cv"]["accuracy"] > 0.85 > digits_run.scores["before"]["cv"]["accuracy"]


def test_whoever_may_read_a_new_file_may_read_a_bundle(digits_run, tmp_path: Path) -> None:
    """A classifier is often fitted by one user and served by another."""
    (tmp_path / "new").touch()
    files = [path for path in (digits_run.folder / "bundle").rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {(tmp_path / "new").stat().st_mode} and len(files) > 5


def test_with_a_test_part_the_predictions_are_those_of_every_part(tmp_path: Path) -> None:
    done = execute(recipe(head={"name": "logistic"}), tmp_path / "run")
    told = table(done.folder / "predictions.csv")
    assert set(done.scores["after"]) == {"train", "test"}
    for part, scores in done.scores["after"].items():
        own = [r for r in told if r["split"] == part]
        assert len(own) == scores["n"] == {"train": 240, "test": 60}[part]
        assert sum(r["label"] == r["predicted"] for r in own) == scores["correct"]
    assert done.scores["after"]["test"]["accuracy"] > 0.85 > done.scores["before"]["test"]["accuracy"]


def test_the_parts_in_split_csv_are_those_of_the_counts(digits_run) -> None:
    parts = [r["split"] for r in table(digits_run.folder / "split.csv")]
    for part, n in (("train", 300), ("val", 0), ("calibration", 0), ("test", 0)):
        assert parts.count(part) == digits_run.scores["counts"][part] == n


@pytest.mark.slow
def test_the_recipe_in_the_folder_repeats_the_run_to_the_same_scores(network_run, tmp_path: Path) -> None:
    written = network_run.folder / "recipe.toml"
    again = execute(with_split_beside(Recipe.load(written), written), tmp_path / "again")
    assert lasting(again.scores) == lasting(network_run.scores)
    assert (again.folder / "predictions.csv").read_bytes() == (network_run.folder / "predictions.csv").read_bytes()


def test_another_seed_draws_another_split_unless_the_split_is_given(digits_run, tmp_path: Path) -> None:
    other = execute(recipe(seed=1), tmp_path / "other")
    assert (other.folder / "split.csv").read_text() != (digits_run.folder / "split.csv").read_text()  # other pictures
    drawn = [
        execute(recipe(seed=seed, data={"limit": None, "train_per_class": 3}), tmp_path / str(seed)) for seed in (0, 1)
    ]
    parts = [{r["name"]: r["split"] for r in table(run.folder / "split.csv")} for run in drawn]
    assert {n for n, p in parts[0].items() if p == "test"} != {n for n, p in parts[1].items() if p == "test"}
    assert with_split_beside(recipe(seed=1), tmp_path / "recipe.toml").data.split is None


def test_a_second_run_with_another_head_reuses_every_feature(network_run, tmp_path: Path) -> None:
    other = tiny().model_copy(update={"head": recipe(head={"name": "prototype"}).head})
    counts = execute(other, tmp_path / "prototype").scores["counts"]
    assert (counts["computed"], counts["decoded"]) == (0, 0)
    assert counts["reused"] + counts["repeated"] == counts["images"] == 200


@pytest.mark.parametrize("head", ["logistic", "mlp", "ridge", "knn", "prototype"])
def test_every_head_learns_digits_from_pixels(head: str, tmp_path: Path) -> None:
    options = {"epochs": 15} if head == "mlp" else {}
    done = execute(recipe(head={"name": head, "class_weight": "balanced", "options": options}), tmp_path / head)
    assert done.scores["after"]["test"]["accuracy"] > 0.7
    assert len(table(done.folder / "history.csv")) >= 1


def test_raw_pixels_of_small_equal_pictures_are_taken_at_their_own_size(digits_run) -> None:
    assert digits_run.scores["run"]["n_features"] == 64


def test_raw_pixels_of_photos_are_taken_at_64_by_64(photos: Path, tmp_path: Path) -> None:
    done = execute(recipe(str(photos)), tmp_path / "run")
    assert done.scores["run"]["n_features"] == 64 * 64 * 3
    assert done.scores["after"]["test"]["accuracy"] == 1.0


def test_small_pictures_get_an_input_of_128_and_the_user_s_size_goes_before(photos: Path) -> None:
    by_rule = Recipe.from_dict(
        {"data": {"source": "digits"}, "backbone": {"name": "mobilenetv2_035", "weights": "none"}}
    )
    assert feature_source(by_rule, load("digits")).preprocess.height == 128
    assert feature_source(by_rule, load(str(photos))).preprocess.height == 224
    asked = by_rule.model_copy(update={"backbone": by_rule.backbone.model_copy(update={"image_size": 96})})
    assert feature_source(asked, load("digits")).preprocess.height == 96
    assert feature_source(asked, load("digits")).preprocess.crop_pct == 1.0


def test_a_bad_picture_is_listed_and_the_run_goes_on(photos: Path, tmp_path: Path) -> None:
    (photos / "red" / "broken.jpg").write_bytes((photos / "red" / "01.jpg").read_bytes()[:700])
    done = execute(recipe(str(photos)), tmp_path / "run")
    assert [(r["name"], r["reason"]) for r in table(done.folder / "refused.csv")] == [("red/broken.jpg", "truncated")]
    assert done.scores["counts"]["refused"] == 1
    strict = recipe(str(photos), data={"strict": True})
    with pytest.raises(DataError, match=r"red/broken\.jpg"):
        execute(strict, tmp_path / "strict")


def test_a_file_that_a_table_names_and_that_is_not_there_stops_a_strict_run(digits_run, tmp_path: Path) -> None:
    """As a broken one does: whoever lets a machine check the exit code must not pass on half the pictures."""
    names = [f"{i}.png" for i in range(8)]
    for i, name in enumerate(names):
        Image.new("L", (8, 8), 25 * i).save(tmp_path / name)
    rows = [f"{name},{i % 2}" for i, name in enumerate([*names, "gone.png"])]
    (tmp_path / "table.csv").write_text("\n".join(["image,label", *rows]))
    for ask in (
        lambda: evaluate(digits_run.folder, tmp_path / "table.csv", strict=True),
        lambda: fit(tmp_path / "table.csv", method="pixels", strict=True, out=tmp_path / "run", store=False),
    ):
        with pytest.raises(DataError, match=r"gone\.png cannot be used \(missing-file"):
            ask()


def test_a_class_of_one_picture_is_said_to_be_beyond_cross_validation(photos: Path, tmp_path: Path) -> None:
    (photos / "fox").mkdir()
    Image.new("RGB", (100, 120), (30, 200, 30)).save(photos / "fox" / "1.png")
    notes = " ".join(execute(recipe(str(photos), data={**CV, "limit": None}), tmp_path / "run").scores["notes"])
    assert "Class fox has one labelled picture. Cross-validation always gets it wrong" in notes


@pytest.mark.parametrize("evaluate", ["cv", "holdout"])
def test_a_rare_class_that_is_never_named_correctly_is_said_beside_a_good_accuracy(
    evaluate: str, tmp_path: Path
) -> None:
    """Its two pictures, and two more in the test that the data may bring, look like those of a class of twenty."""
    rng = np.random.default_rng(0)
    for part, often in (("train", 20), ("test", 10)):
        for name, at, n in (("left", 0, often), ("right", 12, often), ("rare", 0, 2)):
            folder = tmp_path / "data" / (part if evaluate == "holdout" else "") / name
            folder.mkdir(parents=True, exist_ok=True)
            for k in range(n if evaluate == "holdout" or part == "train" else 0):
                drawn = rng.integers(0, 60, (24, 24), np.uint8)
                drawn[:, at : at + 12] += 150
                Image.fromarray(drawn).save(folder / f"{part}{k}.png")
    run = fit(tmp_path / "data", method="pixels", out=tmp_path / "run", store=False)
    assert run.scores["after"]["cv" if evaluate == "cv" else "test"]["accuracy"] > 0.85
    told = "No picture of rare (2) was named correctly, which the accuracy of all pictures does not show."
    assert told in run.scores["notes"]


def test_a_folder_with_other_files_is_never_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        execute(recipe(), tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["fit", ".", "--method", "pixels"],
        ["fit", "digits", "--test", ".", "--out", "red/deep"],
        ["compare", ".", "--arms", "pixels,sprout"],
        ["rank", ".", "--backbones", "sprout", "--out", "ranked"],
        ["audit", "."],
    ],
)
def test_results_never_go_into_the_folder_of_pictures_where_they_would_be_a_class(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(photos)
    assert _main(words) == 2
    assert "inside the picture folder" in capsys.readouterr().err
    assert sorted(p.name for p in photos.iterdir()) == ["blue", "red"]


def test_no_file_of_a_run_is_written_over(digits_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, picture = tmp_path / "run", tmp_path / "seven.png"
    shutil.copytree(digits_run.folder, run)
    Image.new("L", (8, 8), 200).save(picture)
    for name in ("predictions.csv", "scores.json"):
        before = (run / name).read_bytes()
        assert _main(["predict", str(run), str(picture), "--out", str(run / name)]) == 2
        assert "would change the contents of" in capsys.readouterr().err and (run / name).read_bytes() == before
    for _ in range(2):  # a file of the user's own there is one
        assert _main(["predict", str(run), str(picture), "--out", str(run / "answers.csv")]) == 0


def test_predictions_replace_older_ones_and_no_table_of_labels(
    digits_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, labels = tmp_path / "seven.png", tmp_path / "labels.csv"
    Image.new("L", (8, 8), 200).save(picture)
    labels.write_text("image,label\nseven.png,7\n", encoding="utf-8-sig")
    before = labels.read_bytes()
    assert _main(["predict", str(digits_run.folder), str(picture), "--out", str(labels)]) == 2
    assert "is a table without predictions" in capsys.readouterr().err and labels.read_bytes() == before
    labels.write_text("x" * 200_000)  # a cell longer than tables have
    assert _main(["predict", str(digits_run.folder), str(picture), "--out", str(labels)]) == 2
    assert "is a table without predictions" in capsys.readouterr().err
    labels.write_bytes(b"")
    for _ in range(2):
        assert _main(["predict", str(digits_run.folder), str(picture), "--out", str(labels)]) == 0


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("features {t}/p.npz --method pixels --out {t}/p.npz", "p.npz"),
        ("features {t}/p.npz --method pixels --out {t}/link.npz", "p.npz"),
        ("features {t}/red --method pixels --no-labels --out {t}/p.npz", ""),
        ("classify {t}/red/00.jpg --out {t}/red/00.jpg", "red/00.jpg"),
        ("classify {t}/red --out {t}/red/00.jpg", "red/00.jpg"),
        ("classify {t}/red --out {t}/red/sheet.png", "red"),
        ("features {t} --method pixels --out {t}/red/f.npz", "red"),
    ],
)
def test_no_command_writes_over_what_it_reads_nor_among_the_pictures(
    photos: Path, capsys: pytest.CaptureFixture[str], words: str, lost: str
) -> None:
    np.savez(photos / "p.npz", x_train=np.zeros((4, 8, 8), np.uint8), y_train=[0, 1, 0, 1])
    (photos / "link.npz").symlink_to(photos / "p.npz")
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    code, said = _main(words.format(t=photos).split()), capsys.readouterr().err
    if lost:
        assert code == 2 and ("is an input" in said or "inside the picture folder" in said)
        assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before
    else:
        assert code == 0


def test_a_run_is_not_written_over_the_weights_that_it_starts_from(network_run, tmp_path: Path) -> None:
    run = shutil.copytree(network_run.folder, tmp_path / "run")
    weights = run / "bundle" / "backbone.safetensors"
    weights.touch()
    with pytest.raises(UserError, match="is an input"):
        execute(tiny(weights=str(weights)), run)


@pytest.mark.parametrize(
    "words",
    [
        "predict {run} {picture} --out {run}/bundle/manifest.json",
        "predict {run} {picture} --out {run}/bundle/answers.csv",
        "evaluate {run} digits --out {run}/bundle/new/scores.json",
        "predict {run} {picture} --out {run}/fitted_on.csv",
        "pretrain digits --out {run}/bundle/head.safetensors",
        "pretrain digits --out {run}/scores.safetensors",
        "predict {run} {picture} --out {study}/study.csv",
        "predict {run} {picture} --out {study}/cells/a.csv",
        "explain {run} {picture} --out {run}/bundle/explained",
        "features digits --method pixels --out {study}/study.parquet",
    ],
)
def test_nothing_is_written_over_a_file_of_a_run_or_a_study_nor_into_a_bundle(
    digits_run, tmp_path: Path, words: str
) -> None:
    run, study, picture = tmp_path / "run", tmp_path / "study", tmp_path / "seven.png"
    shutil.copytree(digits_run.folder, run)
    study.mkdir()
    for name in ("study.toml", "verdicts.json", "study.csv", "study.parquet"):
        (study / name).write_text("mine")
    Image.new("L", (8, 8), 200).save(picture)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert _main(words.format(run=run, study=study, picture=picture).split()) == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_runs_that_start_at_the_same_time_without_a_name_have_a_folder_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: outputs.output_folder(None, tmp_path / "runs" / "digits"), range(24)))
    assert len(set(found)) == 24 and all(path.is_dir() for path in found)
    with pytest.raises(UserError), outputs.given_back(found[0]):
        raise UserError("no picture")
    assert not found[0].exists()


@pytest.mark.parametrize(
    "words", ["fit {t} --method pixels", "audit {t} --backbone none", "rank {t} --backbones sprout", "compare {t}"]
)
def test_what_fails_leaves_no_empty_folder_that_it_named_itself(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(photos / "red")
    assert _main(words.format(t=photos).split()) == 2
    assert list(tmp_path.glob("*/*")) == [photos / "blue"]


def test_empty_names_between_commas_are_no_classes(tmp_path: Path) -> None:
    _main(
        ["fit", "digits", "--method", "pixels", "--classes", "7,,8,", "--limit", "60", "--out", str(tmp_path / "run")]
    )
    assert list(load_run(tmp_path / "run").classifier.classes) == ["7", "8"]


# ---- the bundle


def test_a_bundle_predicts_what_the_run_wrote(tmp_path: Path) -> None:
    held = tiny().model_copy(update={"data": recipe(data={"limit": 200, "evaluate": "holdout"}).data})
    done = execute(held, tmp_path / "run")
    classifier = load_classifier(done.folder)
    probabilities, _ = classifier.predict_proba(done.images)
    written = table(done.folder / "predictions.csv")
    assert [classifier.classes[k] for k in probabilities.argmax(axis=1)] == [r["predicted"] for r in written]
    np.testing.assert_allclose(probabilities.max(axis=1), [float(r["confidence"]) for r in written], atol=1e-6)


def test_a_bundle_names_the_class_of_a_file_an_array_and_a_pil_picture_alike(network_run, tmp_path: Path) -> None:
    pixels = network_run.images.read(3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    classifier = load_classifier(network_run.folder / "bundle")
    answers = [classifier.predict(p) for p in ([tmp_path / "a.png"], pixels[None], [Image.fromarray(pixels)])]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("name", ["head.safetensors", "manifest.json"])
def test_a_bundle_that_lacks_a_file_or_was_changed_is_refused(digits_run, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(digits_run.folder / "bundle", tmp_path / "bundle")
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    if name == "head.safetensors":
        with pytest.raises(BundleError, match="was changed"):
            load_classifier(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=r"lacks|no manifest"):
        load_classifier(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bundle_with_values_that_are_not_finite_is_refused(digits_run, tmp_path: Path, value: float) -> None:
    from safetensors.numpy import load_file, save_file

    from headstart.tensors import sha256

    copy = shutil.copytree(digits_run.folder / "bundle", tmp_path / "bundle")
    arrays = load_file(copy / "head.safetensors")
    first = sorted(arrays)[0]
    arrays[first] = arrays[first].copy()
    arrays[first].flat[0] = value
    save_file(arrays, copy / "head.safetensors")
    manifest = json.loads((copy / "manifest.json").read_text())
    entry = manifest["files"]["head.safetensors"]
    entry["sha256"], entry["bytes"] = sha256(copy / "head.safetensors"), (copy / "head.safetensors").stat().st_size
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="not finite"):
        load_classifier(copy)


def test_no_file_of_a_run_is_a_pickle(network_run) -> None:
    endings = {p.suffix for p in network_run.folder.rglob("*") if p.is_file()}
    assert endings <= {".toml", ".csv", ".json", ".html", ".md", ".safetensors"}


# ---- a run on other pictures


def test_evaluating_on_the_run_s_own_data_gives_its_own_test_scores(photos: Path, tmp_path: Path) -> None:
    for i, file in enumerate(sorted(photos.rglob("*.jpg"))):
        place = photos.parent / "parted" / ("test" if i % 3 == 0 else "train") / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    done = execute(recipe(str(photos.parent / "parted"), data={"limit": None}), tmp_path / "run")
    again = inference.evaluate(done.folder, str(photos.parent / "parted"))
    told = {k: v for k, v in done.scores["after"]["test"].items() if not k.endswith("uncalibrated")}
    assert {k: again[k] for k in told} == told


def scored_by_hand(run, names: set[str]) -> float:
    """The accuracy on these pictures, counted from predictions.csv."""
    kept = [row for row in table(run.folder / "predictions.csv") if row["name"] in names]
    return sum(row["label"] == row["predicted"] for row in kept) / len(kept)


def test_pictures_that_were_seen_in_fitting_are_known_by_their_content_and_said(photos: Path, tmp_path: Path) -> None:
    """Everything but the test part has been seen, under whatever name; the others are scored by themselves too."""
    done = execute(recipe(str(photos), data={"limit": None, "evaluate": "holdout"}), tmp_path / "run")
    unseen = {row["name"] for row in table(done.folder / "split.csv") if row["split"] == "test"}
    moved = tmp_path / "moved"
    for file in sorted(photos.rglob("*.jpg")):
        (moved / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, moved / file.parent.name / f"again {file.name}")
    found = inference.evaluate(done.folder, str(moved))
    assert (found["n"], found["seen"], found["unseen"]["n"]) == (60, 48, 12) and len(unseen) == 12
    assert found["unseen"]["accuracy"] == scored_by_hand(done, unseen)
    assert found["notes"][0].startswith(
        "48 of 60 pictures were seen in fitting, so their share of this score says nothing about "
        "other pictures; without them: "
    )


def test_it_is_said_when_all_pictures_were_seen_and_nothing_when_none_was(photos: Path, tmp_path: Path) -> None:
    done = execute(recipe(str(photos), data={"limit": None, "evaluate": "holdout"}), tmp_path / "run")
    for row in table(done.folder / "split.csv"):
        place = tmp_path / ("new" if row["split"] == "test" else "old") / row["name"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / row["name"], place)
    old, new = (inference.evaluate(done.folder, str(tmp_path / which)) for which in ("old", "new"))
    assert old["seen"] == 48 and old["unseen"] is None
    assert old["notes"] == ["All 48 pictures were seen in fitting, so this score says nothing about other pictures."]
    assert new["seen"] == 0 and new["notes"] == [] and "unseen" not in new


def test_a_bundle_lists_what_was_seen_by_digests_alone_and_does_without(digits_run, tmp_path: Path) -> None:
    """16 bytes for each picture but those of a test part; an earlier bundle says that it is unknown."""
    fitted = [i for i, part in enumerate(digits_run.images.parts) if part != "test"]
    expected = sorted({digest(digits_run.images.raw(i)) for i in fitted})
    seen = bundle.load_seen(digits_run.folder)
    assert seen is not None and [row.tobytes() for row in seen] == expected
    assert (digits_run.folder / "bundle" / "seen.safetensors").stat().st_size < 16 * len(fitted) + 200
    bundle.save(digits_run.classifier, tmp_path / "bundle")
    assert bundle.load_seen(tmp_path / "bundle") is None
    assert inference.evaluate(tmp_path / "bundle", "digits")["seen"] is None


@pytest.mark.parametrize("array", [np.zeros((3, 8), np.uint8), np.zeros((3, 16), np.float32), None])
def test_a_list_of_digests_that_is_none_is_refused(digits_run, tmp_path: Path, array: np.ndarray | None) -> None:
    """The manifest's sha256 is right, so only a look at the array finds it."""
    copy = tmp_path / "bundle"
    shutil.copytree(digits_run.folder / "bundle", copy)
    save_file({"other": np.zeros(1)} if array is None else {"seen": array}, copy / "seen.safetensors")
    manifest = json.loads((copy / "manifest.json").read_text())
    content = (copy / "seen.safetensors").read_bytes()
    manifest["files"]["seen.safetensors"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="digests of 16 bytes"):
        bundle.load_seen(copy)


def test_a_class_that_a_gap_made_a_fraction_is_the_class_of_the_whole_number() -> None:
    """As runs of tables from before have them; where both are there, each is its own."""
    assert match_classes(["0", "1", "x.0"], ["1.0", "0.0", "x"]).tolist() == [1, 0, -1]
    assert match_classes(["1", "1.0"], ["1.0", "1"]).tolist() == [1, 0]


def test_classes_are_matched_by_name_and_unknown_ones_named(photos: Path, tmp_path: Path) -> None:
    done = execute(recipe(str(photos)), tmp_path / "run")
    only = tmp_path / "only"
    shutil.copytree(photos / "red", only / "red")  # alone, 'red' is class 0; in the run it is class 1
    assert inference.evaluate(done.folder, str(only))["accuracy"] == 1.0
    shutil.copytree(photos / "blue", only / "green")
    with pytest.raises(DataError, match=r"does not know: green; it knows blue, red"):
        inference.evaluate(done.folder, str(only))


def test_predict_answers_for_good_files_and_gives_a_reason_for_each_bad_one(photos: Path, tmp_path: Path) -> None:
    done = execute(recipe(str(photos)), tmp_path / "run")
    (photos / "blue" / "empty.jpg").write_bytes(b"")
    (photos / "blue" / "note.jpg").write_text("no picture")
    found = inference.predict(done.folder, [str(photos / "blue"), str(photos / "red" / "01.jpg"), "gone.jpg"])
    assert len(found.names) == 31
    assert {(Path(r.name).name, r.reason) for r in found.refused} == {
        ("empty.jpg", "empty-file"),
        ("note.jpg", "not-an-image"),
        ("gone.jpg", "missing-file"),
    }
    first = found.rows(2)[0]
    assert first["predicted"] == "blue" and first["predicted_2"] == "red"
    assert first["confidence"] + first["confidence_2"] == pytest.approx(1, abs=1e-5)


def test_predictions_are_written_with_a_probability_for_each_class_where_that_is_asked(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a competition or a metric asks for; in a notebook both they and the classifier are one line."""
    run = execute(recipe(str(photos)), tmp_path / "run")
    out, asked = tmp_path / "p.csv", ["predict", str(run.folder), str(photos / "blue")]
    assert _main([*asked, "--probabilities", "--out", str(out)]) == 0
    (row, *_) = table(out)
    assert list(row)[:5] == ["name", "predicted", "confidence", "p:blue", "p:red"]
    assert float(row["p:blue"]) + float(row["p:red"]) == pytest.approx(1, abs=1e-5)
    assert _main([*asked, "--probabilities"]) == 2 and "--probabilities is for --out FILE" in capsys.readouterr().err
    found = inference.predict(run.folder, [str(photos / "blue"), "gone.jpg"])
    assert re.fullmatch(r"Predictions\(\d+ pictures: blue \d+.*; 1 refused\)", repr(found)), repr(found)
    assert repr(run.classifier) == "Classifier(pixels -> RidgeHead -> blue, red)"


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_predictions_are_written_in_three_formats_with_equal_content(network_run, tmp_path: Path, kind: str) -> None:
    Image.fromarray(network_run.images.read(0)).save(tmp_path / "a.png")
    found = inference.predict(network_run.folder, [str(tmp_path / "a.png")])
    out = tmp_path / f"answer.{kind}"
    predictions.write_predictions(found, out, 2)
    if kind == "parquet":
        import pyarrow.parquet as pq

        read = pq.read_table(out).to_pylist()
    else:
        read = json.loads(out.read_text())["predictions"] if kind == "json" else table(out)
    expected = found.rows(2)
    assert [{k: str(v).lower() for k, v in row.items()} for row in read] == [
        {k: str(v).lower() for k, v in row.items()} for row in expected
    ]


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_features_are_written_with_names_labels_and_parts(tmp_path: Path, kind: str) -> None:
    out = tmp_path / f"features.{kind}"
    done = feature_files.features(tiny(), out)
    if kind == "npz":
        with np.load(out, allow_pickle=False) as file:
            matrix, labels = file["features"], file["labels"]
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(out)
        matrix, labels = np.stack(table["features"].to_pylist()), np.array(table["label"].to_pylist())
    np.testing.assert_array_equal(matrix.astype(np.float32), done.features)
    assert matrix.shape[0] == len(labels) == 1797 and set(labels) == set("0123456789")


def test_features_of_pictures_without_labels_are_had_with_the_parameter_that_the_error_names(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8), (i, 9, 9)).save(tmp_path / "new" / f"{i}.png")
    asked = Recipe.from_dict({"method": "pixels", "data": {"source": str(tmp_path / "new")}})
    with pytest.raises(DataError, match="For pictures without labels, add labels=False"):
        feature_files.features(asked, tmp_path / "features.npz")
    assert feature_files.features(asked, tmp_path / "features.npz", labels=False).features.shape == (3, 8 * 8 * 3)
    nowhere = Recipe.from_dict({"method": "pixels", "data": {"source": str(tmp_path / "nowhere")}})
    with pytest.raises(DataError, match="There is no file or folder") as caught:
        feature_files.features(nowhere, tmp_path / "features.npz")
    assert "without labels" not in str(caught.value)


# ---- the recipe


def test_a_recipe_survives_toml() -> None:
    one = recipe(head={"name": "mlp", "options": {"hidden": [64], "dropout": 0.2}}, seed=7)
    assert Recipe.from_toml(one.to_toml()) == one


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"'imagesize' ?.*image_size"):
        Recipe.from_toml('[data]\nsource = "x"\n[backbone]\nimagesize = 3')
    with pytest.raises(UnknownName, match=r"'sed'.*seed"):
        Recipe.from_toml('sed = 1\n[data]\nsource = "x"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data", "not valid TOML"),
        ('[data]\nsource = "x"\nlimit = 0', r"data\.limit"),
        ("seed = 1", "data"),
        ('method = "magic"\n[data]\nsource = "x"', "method"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_that_names_the_key(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        Recipe.from_toml(text)
    assert "\n" not in str(caught.value).strip() or "TOML" in str(caught.value)


def test_few_labelled_pictures_a_class_leave_the_test_part_as_it_is(tmp_path: Path) -> None:
    whole = execute(recipe(data={"evaluate": "holdout"}), tmp_path / "whole").scores["counts"]
    few = execute(recipe(data={"train_per_class": 6}), tmp_path / "few").scores["counts"]
    assert few["test"] == whole["test"] == 60
    assert few["train"] == 60 and few["val"] + few["calibration"] == 0


@pytest.mark.slow
def test_a_named_split_goes_before_the_seed(tmp_path: Path) -> None:
    data = {"limit": None, "evaluate": "holdout"}
    settings = {"data": data, "head": {"name": "prototype"}}
    first = execute(recipe(**settings), tmp_path / "first").folder / "split.csv"
    other = execute(recipe(**{**settings, "data": {**data, "split": str(first)}}, seed=5), tmp_path / "other")
    drawn = execute(recipe(**settings, seed=5), tmp_path / "drawn")
    assert (other.folder / "split.csv").read_text() == first.read_text()
    assert (drawn.folder / "split.csv").read_text() != first.read_text()


# ---- what a first user ran into


def test_the_same_picture_in_train_and_test_is_said_in_a_note(photos: Path, tmp_path: Path) -> None:
    """Where the data bring the test, with the score without it; in a test that is drawn, copies keep to one side."""
    for file in sorted((photos / "red").glob("*.jpg")):
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
    drawn = execute(recipe(str(photos), data={"evaluate": "holdout"}), tmp_path / "drawn")
    assert any(note.startswith("Copies and near copies were kept together") for note in drawn.scores["notes"])
    contents = {part: set() for part in ("train", "test")}
    for i, part in enumerate(drawn.images.parts):
        contents[part].add(drawn.images.raw(i))
    assert contents["test"] and not contents["train"] & contents["test"]
    few = execute(recipe(str(photos), data={"train_per_class": 6, "limit": None}), tmp_path / "few")
    contents = {part: {few.images.raw(i) for i in np.flatnonzero(few.images.parts == part)} for part in contents}
    assert contents["test"] and not contents["train"] & contents["test"] and few.scores["counts"]["train"] == 12
    assert any("of training pictures are left out of the test" in note for note in few.scores["notes"])
    brought = recipe(str(photos), data={"test": str(photos)})
    copied = execute(brought, tmp_path / "run")
    scores = copied.scores
    assert headline(copied.content).startswith("Nothing was tested: ")
    n = scores["counts"]["test"]
    assert scores["leaks"] == {"test": {"copies": n, "same": n}}  # no other picture is left
    assert f"{n} of the test pictures are copies of training pictures: no others are left" in " ".join(scores["notes"])
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    for i in range(5):  # of one colour and named by the other, so none is answered rightly
        Image.new("RGB", (100, 120), (250 - i, 90, 20)).save(other / "blue" / f"new {i}.png")
    some = execute(recipe(str(photos), data={"test": str(other)}), tmp_path / "some").content
    assert headline(some).startswith("0% of 5 test pictures that copy no training picture named correctly (95%")
    assert "); with the 90 copies, 94.7% of 95; guessing (always “red”): 63.2%." in headline(some)
    assert '"name": "Accuracy", "value": 0.0' in (tmp_path / "some" / "bundle" / "MODEL_CARD.md").read_text()
    clean = execute(recipe(), tmp_path / "digits").scores
    assert "leaks" not in clean and "copies of training" not in " ".join(clean["notes"])


def test_a_stored_feature_is_no_way_around_the_pixel_limit(photos: Path, tmp_path: Path) -> None:
    execute(tiny(str(photos)), tmp_path / "first")
    limited = tiny(str(photos)).model_copy(update={"data": recipe(str(photos), data={"max_pixels": 10}).data})
    with pytest.raises(DataError, match="too-many-pixels"):
        execute(limited, tmp_path / "second")


def test_a_run_without_a_folder_of_its_own_replaces_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [execute(recipe()).folder.name for _ in range(2)] == ["digits-pixels-ridge", "digits-pixels-ridge-2"]


def test_a_run_in_the_folder_of_another_says_what_that_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fit", "digits", "--method", "pixels", "--head", "prototype", "--out", str(tmp_path / "run"), "--limit"]
    assert _main([*command, "100"]) == 0
    assert "replaced" not in capsys.readouterr().out
    assert _main([*command, "200"]) == 0
    assert re.search(r"run was replaced; its result: [\d.]+% of 100 pictures named correctly", capsys.readouterr().out)


def test_a_run_that_stops_while_it_is_written_leaves_no_scores_of_the_one_before(tmp_path: Path) -> None:
    """New predictions beside old scores would be a run that never was."""
    choices = {"method": "pixels", "head": "prototype", "store": False, "out": tmp_path / "run"}
    assert fit("digits", limit=100, **choices).replaced is None
    (tmp_path / "run" / "predictions.csv").unlink()
    (tmp_path / "run" / "predictions.csv" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="predictions"):
        fit("digits", limit=200, **choices)
    with pytest.raises(UserError, match=r"scores\.json"):
        load_run(tmp_path / "run")


def test_who_gives_the_folder_above_the_class_folders_is_told_which_to_give(photos: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    shutil.copytree(photos, above / "raw data")
    told = (
        r"one class only \(raw data\).* folders \('blue', 'red'\): if these are the classes, give the folder 'raw data'"
    )
    with pytest.raises(DataError, match=told):
        execute(recipe(str(above)), tmp_path / "run")


def test_a_run_that_fails_leaves_no_folder(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        execute(recipe(str(photos), head={"name": "mlp", "options": {"hidden": "abc"}}), tmp_path / "run")
    shutil.rmtree(photos / "red")
    with pytest.raises(DataError, match=r"one class only \(blue\)"):
        execute(recipe(str(photos)), tmp_path / "run")
    (photos / "red").mkdir()
    with pytest.raises(DataError, match=r"at least two\. Class folders that hold no picture are left out: 'red'\."):
        execute(recipe(str(photos), data={"allow_empty_classes": True}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("head", "options"),
    [("mlp", {"hidden": "abc"}), ("mlp", {"hidden": [0]}), ("logistic", {"C": "abc"}), ("knn", {"k": 1.5})],
)
def test_a_parameter_of_the_wrong_kind_is_one_sentence(head: str, options: dict, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        execute(recipe(head={"name": head, "options": options}), tmp_path / "run")


def test_files_refused_while_listing_are_counted_too(photos: Path, tmp_path: Path) -> None:
    (photos / "red" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    done = execute(recipe(str(photos)), tmp_path / "run")
    assert len(table(done.folder / "refused.csv")) == done.scores["counts"]["refused"] == 1


def test_predicting_nothing_is_an_error(digits_run, tmp_path: Path) -> None:
    for path, said in ((tmp_path, "No picture was found"), (tmp_path / "nosuch.png", "There is no file or folder")):
        with pytest.raises(DataError, match=said):
            inference.predict(digits_run.folder, [str(path)])


def test_one_number_is_one_hidden_layer(tmp_path: Path) -> None:
    options = {"hidden": 8, "epochs": 2}
    done = execute(recipe(head={"name": "mlp", "options": options}), tmp_path / "run")
    assert done.scores["head"]["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    page = Page(write_report(done.folder))
    layers = "Dense 8 (ReLU, dropout 0.5), Dense 10 + softmax: 610 parameters"
    assert f"Its layers: {layers}." in page.text and f"layers {layers}" in page.text
    assert "criterion" not in page.text


def test_a_run_that_refused_a_picture_can_be_repeated_and_exported(tmp_path: Path) -> None:
    """The refused are in no part of its split.csv; refused.csv beside it says why."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 180)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.normal(level, 20, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "photos" / "dark" / "text.png").write_bytes(b"hello")
    run = fit(tmp_path / "photos", method="pixels", head="ridge", store=False, out=tmp_path / "run")
    path = run.folder / "recipe.toml"
    again = execute(with_split_beside(Recipe.load(path), path), tmp_path / "again", store=False)
    assert again.scores["after"] == run.scores["after"]
    for file in ("split.csv", "refused.csv", "predictions.csv"):
        assert (again.folder / file).read_bytes() == (run.folder / file).read_bytes()
    assert "text.png" in (run.folder / "refused.csv").read_text()
    export(run.folder, format="onnx", out=tmp_path / "export")
    (tmp_path / "photos" / "dark" / "new.png").write_bytes((tmp_path / "photos" / "dark" / "1.png").read_bytes())
    with pytest.raises(DataError, match="1 picture is not in it"):
        execute(with_split_beside(Recipe.load(path), path), tmp_path / "third", store=False)
