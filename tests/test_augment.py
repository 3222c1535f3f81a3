"""A view is the same wherever it is drawn, is stored like a plain picture, and an average is the views' mean."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart import Recipe, TransferClassifier, execute, inference, load_classifier
from headstart.augment import AUGMENTS, Augment, load, named
from headstart.errors import UnknownName, UserError
from headstart.features.extract import Extractor, extract
from headstart.features.source import FeatureSource
from headstart.features.views import ViewExtractor, contact_sheet, views_of
from headstart.images import from_arrays
from headstart.logits import apply_temperature
from headstart.preprocess import Preprocess
from headstart.report import write_report
from headstart.report.contact import composed
from headstart.run import Run
from headstart.statistics import mcnemar
from headstart.stepwise import stepwise_accuracy
from headstart.transforms import TRANSFORMS
from headstart.views import View, Views, border_colour

NEEDED = {
    "RandomRotation": {"degrees": 15}, "RandomPosterize": {"bits": 3}, "RandomSolarize": {"threshold": 100},
    "RandomAdjustSharpness": {"sharpness_factor": 2}, "GaussianBlur": {"kernel_size": 5},
    "RandomAffine": {"degrees": 9}, "ColorJitter": {"brightness": 0.4},
}  # fmt: skip
COLOUR = Preprocess(40, 32)
GREY = Preprocess(28, 28, crop_pct=1.0, mean=(0.0,), std=(1.0,), color="L")


def noise(n: int = 1, side: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(n, side, side, 3), dtype=np.uint8)


def drawn(augment: Augment, number: int = 1, seed: int = 0, preprocess: Preprocess = COLOUR) -> np.ndarray:
    return View(augment, seed, number).picture(Image.fromarray(noise()[0]), b"content", preprocess)


def one_of(name: str) -> Augment:
    always = {"p": 1.0} if "p" in TRANSFORMS[name] else {}
    return Augment.of("one", [{"name": name, **NEEDED.get(name, {}), **always}], "the test")


# ---- what a view depends on


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_draws_the_same_view_whatever_pytorch_s_generator_and_leaves_it_alone(name: str) -> None:
    import torch

    for image in (Image.fromarray(noise()[0]), Image.fromarray(noise()[0, :, :, 0])):
        for preprocess in (COLOUR, GREY):
            seen = []
            for state in (1, 2):
                torch.manual_seed(state)
                before = torch.get_rng_state()
                seen.append(View(one_of(name), 5, 1).picture(image, b"content", preprocess))
                assert torch.equal(torch.get_rng_state(), before)
            assert seen[0].tobytes() == seen[1].tobytes()
            channels = 3 if preprocess.color == "RGB" else 1
            assert (seen[0].shape, seen[0].dtype) == ((preprocess.height, preprocess.width, channels), np.uint8)


@pytest.mark.parametrize("name", ["light", "strong", "digits"])
def test_seed_content_and_number_each_decide_a_view(name: str) -> None:
    image, augment = Image.fromarray(noise()[0]), AUGMENTS[name]
    views = [
        View(augment, seed, number).picture(image, content, COLOUR).tobytes()
        for seed, number, content in ((0, 1, b"a"), (1, 1, b"a"), (0, 2, b"a"), (0, 1, b"b"))
    ]
    assert len(set(views)) == 4


def test_threads_and_their_order_change_no_view() -> None:
    pictures = [Image.fromarray(p) for p in noise(24)]

    def view(i: int) -> bytes:
        return View(AUGMENTS["strong"], 3, 1 + i % 3).picture(pictures[i], bytes([i]), COLOUR).tobytes()

    alone = [view(i) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(view, reversed(range(24))))
    assert together[::-1] == alone


def test_view_0_and_the_augmentation_none_are_the_plain_picture() -> None:
    plain = COLOUR.apply(Image.fromarray(noise()[0]))
    assert drawn(AUGMENTS["strong"], number=0).tobytes() == plain.tobytes()
    assert drawn(AUGMENTS["none"], number=3).tobytes() == plain.tobytes()


# ---- what the augmentations do


def l_shape() -> Image.Image:
    """A letter L, white on black: upright bar at the left, foot to the right."""
    pixels = np.zeros((64, 64), np.uint8)
    pixels[14:50, 22:27] = pixels[45:50, 22:44] = 255
    return Image.fromarray(pixels)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), number=st.integers(1, 10**6))
def test_digits_never_mirrors_a_letter(seed: int, number: int) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    for channel, (y, x) in enumerate(((20, 20), (44, 20), (44, 44))):  # down, then right: turns, shears keep that order
        pixels[y - 3 : y + 3, x - 3 : x + 3, channel] = 255
    square = Preprocess(64, 64, crop_pct=1.0)
    made = View(AUGMENTS["digits"], seed, number).picture(Image.fromarray(pixels), b"dots", square).astype(float)
    top, corner, right = (np.argwhere(made[:, :, c] > 60).mean(axis=0) for c in range(3))
    down, across = corner - top, right - corner
    assert down[0] * across[1] - down[1] * across[0] > 100
    assert "Flip" not in str(AUGMENTS["digits"].to_list())


@pytest.mark.parametrize("name", ["light", "strong"])
def test_photos_are_mirrored_about_every_other_time(name: str) -> None:
    steps = [{"name": "RandomResizedCrop", "scale": [0.9, 1.0]}, {"name": "RandomHorizontalFlip"}]
    assert "RandomHorizontalFlip" in [t["name"] for t in AUGMENTS[name].to_list()]
    augment, square = Augment.of("flip", steps, "the test"), Preprocess(64, 64, crop_pct=1.0)
    pictures = [View(augment, 0, v).picture(l_shape(), b"L", square)[:, :, 0] for v in range(1, 61)]
    mirrored = sum(bool(p[30:, 40:].sum() < p[30:, :24].sum()) for p in pictures)
    assert 15 < mirrored < 45


def test_what_is_uncovered_gets_the_colour_of_the_border() -> None:
    pixels = np.full((40, 40, 3), (250, 240, 230), np.uint8)
    pixels[10:30, 10:30] = 0
    turned = Augment.of("turned", [{"name": "RandomRotation", "degrees": [45, 45]}], "the test")
    made = View(turned, 0, 1).picture(Image.fromarray(pixels), b"", Preprocess(40, 40, crop_pct=1.0))
    assert border_colour(pixels) == [250, 240, 230]
    assert (made[[0, 0, -1, -1], [0, -1, 0, -1]] == (250, 240, 230)).all()


def test_a_random_crop_sees_the_whole_picture_at_its_full_resolution() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255  # grey once shrunk to the input's size; stripes where a small part is cut out
    tight = Augment.of("tight", [{"name": "RandomResizedCrop", "scale": [0.01, 0.01], "ratio": [1, 1]}], "the test")
    made = View(tight, 0, 1).picture(Image.fromarray(stripes), b"", Preprocess(40, 40))
    assert made.std() > 80 > 10 > Preprocess(40, 40).apply(Image.fromarray(stripes)).std()


# ---- FILE.toml


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_lists_transforms_and_every_parameter_is_then_spelt_out(tmp_path: Path) -> None:
    made = load(
        file(tmp_path, '[[transform]]\nname = "RandomRotation"\ndegrees = 15\n[[transform]]\nname = "RandomInvert"')
    )
    assert (made.name, made.to_list()) == (
        "mine",
        [{"name": "RandomRotation", "degrees": 15}, {"name": "RandomInvert", "p": 0.5}],
    )
    assert Augment.of("mine", json.loads(json.dumps(made.to_list())), "JSON") == made
    assert (
        dataclasses.replace(made, name="other").fingerprint() == made.fingerprint() != AUGMENTS["light"].fingerprint()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[transform]", "not valid TOML"),
        ("", "lists no transform"),
        ('transform = "light"', "lists no transform"),
        ("[[transforms]]", "Unknown key 'transforms'.*did you mean transform"),
        ("[[transform]]\ndegrees = 3", "transform 1 has no name"),
        ('[[transform]]\nname = "RandomRotate"', "Unknown transform 'RandomRotate'.*RandomRotation.*transform 1"),
        ('[[transform]]\nname = "RandomRotation"', "degrees is missing; it must be an angle"),
        ('[[transform]]\nname = "RandomRotation"\ndegree = 3', "Unknown parameter 'degree'.*degrees"),
        ('[[transform]]\nname = "RandomRotation"\ndegrees = "x"', "degrees = 'x' is not possible; it must be an angle"),
        ('[[transform]]\nname = "RandomInvert"\np = 1.5', "p = 1.5 is not possible; it must be a number from 0 to 1"),
        ('[[transform]]\nname = "RandomInvert"\np = nan', "p = nan is not possible"),
        (
            '[[transform]]\nname = "RandomInvert"\n[[transform]]\nname = "RandomResizedCrop"',
            "transform 2: .*must be the first",
        ),
        ('[[transform]]\nname = "Lambda"', "Unknown transform 'Lambda'"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence_that_names_the_file_and_the_key(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        load(file(tmp_path, text))
    assert "mine.toml" in str(caught.value)


def test_a_name_that_is_not_known_shows_the_nearest_and_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean light"):
        named("lihgt")
    with pytest.raises(UserError, match=r"gone\.toml cannot be read"):
        named(str(tmp_path / "gone.toml"))


def test_a_transform_too_large_for_the_pictures_is_one_sentence() -> None:
    with pytest.raises(UserError, match="augmentation wide cannot be applied to pictures of 28 x 28"):
        drawn(Augment.of("wide", [{"name": "GaussianBlur", "kernel_size": 99}], "the test"), preprocess=GREY)


# ---- stored views


def test_plain_features_keep_their_place_and_each_view_has_one_of_its_own() -> None:
    source = FeatureSource(COLOUR)
    assert set(source.space()) == {"format", "backbone", "preprocess"}
    spaces = [
        json.dumps(dataclasses.replace(source, view=view).space(), sort_keys=True)
        for view in (None, View(AUGMENTS["light"], 0, 1), View(AUGMENTS["light"], 0, 2), View(AUGMENTS["light"], 1, 1))
    ]
    assert len(set(spaces)) == 4


IN_A_PROCESS = """
import sys
from hashlib import sha256
from pathlib import Path
import numpy as np
from headstart.augment import AUGMENTS
from headstart.features.extract import Extractor, Settings
from headstart.features.source import FeatureSource
from headstart.features.views import ViewExtractor
from headstart.images import from_arrays
from headstart.preprocess import Preprocess
from headstart.views import Views

pictures = np.random.default_rng(0).integers(0, 256, size=(9, 60, 60, 3), dtype=np.uint8)
views = ViewExtractor(Extractor(FeatureSource(Preprocess(8, 8)), Settings(Path(sys.argv[1]))))
rows = b"".join(r.tobytes() for r in views.each(from_arrays(pictures), Views(AUGMENTS["strong"], 0, 2)))
print(views.computed, views.reused, "torch" in sys.modules, sha256(rows).hexdigest())
"""


@pytest.mark.slow
def test_another_process_draws_the_same_views_and_a_second_one_reads_them_without_pytorch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_A_PROCESS, str(tmp_path)]
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    views = ViewExtractor(Extractor(FeatureSource(Preprocess(8, 8))))
    here = b"".join(r.tobytes() for r in views.each(from_arrays(noise(9)), Views(AUGMENTS["strong"], 0, 2)))
    digest = hashlib.sha256(here).hexdigest()
    assert told == [["18", "0", "True", digest], ["0", "18", "False", digest]]


def test_views_stand_below_the_plain_rows_in_the_pictures_order() -> None:
    images, source = from_arrays(noise(5)), FeatureSource(Preprocess(8, 8))
    plain = extract(images, source).features
    rows = ViewExtractor(Extractor(source)).beside(plain, images, Views(AUGMENTS["light"], 0, 2))
    assert rows.shape == (15, 192)
    assert rows[:5].tobytes() == plain.tobytes()
    alone = extract(images.take([3]), dataclasses.replace(source, view=View(AUGMENTS["light"], 0, 2))).features
    assert rows[13].tobytes() == alone[0].tobytes()


# ---- a run


def recipe(source: str = "digits", evaluate: str = "auto", **augment: Any) -> Recipe:
    told, data = {"name": "digits", "views": 2, "tta": 3, **augment}, {"source": source, "evaluate": evaluate}
    parts = {"method": "pixels", "head": {"name": "ridge"}, "data": {"limit": 300, **data}}
    return Recipe.from_dict({**parts, "augment": told})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Judged on a test part of 60 pictures."""
    return execute(recipe(evaluate="holdout"), tmp_path_factory.mktemp("runs") / "digits")


def test_the_scores_say_what_views_and_averaging_each_added(run: Run) -> None:
    told, counts, test = run.scores["augment"], run.scores["counts"], run.scores["after"]["test"]
    assert (told["name"], told["views"], told["tta"]) == ("digits", 2, 3)
    assert told["computed"] + told["reused"] == 2 * (counts["train"] + counts["calibration"] + counts["test"])
    assert [step["step"] for step in told["steps"]] == ["plain", "views", "averaging"]
    assert told["steps"][-1]["accuracy"] == test["accuracy"]
    assert told["steps"][-1]["accuracy_low"] == pytest.approx(test["accuracy_low"])
    for before, after in zip(told["steps"], told["steps"][1:], strict=False):
        assert round(test["n"] * (after["accuracy"] - before["accuracy"])) == after["mended"] - after["made"]
    without = execute(recipe(evaluate="holdout", name="none", views=None, tta=1), run.folder.parent / "without")
    assert without.scores["after"]["test"]["accuracy"] == told["steps"][0]["accuracy"]
    assert "augment" not in without.scores


def test_cross_validation_judges_each_step_on_all_pictures_out_of_fold(tmp_path: Path) -> None:
    """The steps end in the accuracy of the scores and begin with that of a run without views."""
    data = {"source": "digits", "limit": 60, "classes": ["3", "8", "9"]}
    told = {"name": "digits", "views": 1, "tta": 2}
    parts = {"method": "pixels", "head": {"name": "ridge"}, "data": data}
    done = execute(Recipe.from_dict({**parts, "augment": told}), tmp_path / "run")
    plain = execute(Recipe.from_dict(parts), tmp_path / "plain").scores["after"]["cv"]
    steps, cv = done.scores["augment"]["steps"], done.scores["after"]["cv"]
    assert [step["step"] for step in steps] == ["plain", "views", "averaging"]
    assert steps[0]["accuracy"] == plain["accuracy"] and steps[-1]["accuracy"] == cv["accuracy"]
    assert cv["n"] == plain["n"] == 60
    text = write_report(done.folder, done.thumbnail, done.contact_sheet).read_text()
    assert "Accuracy in cross-validation:" in text and "Test accuracy" not in text
    assert "It was then fitted on all 60 pictures and their views." in text


def test_a_second_run_draws_no_view_again(run: Run, tmp_path: Path) -> None:
    again = execute(Recipe.load(run.folder / "recipe.toml"), tmp_path / "again")
    assert (again.scores["augment"]["computed"], again.scores["counts"]["computed"]) == (0, 0)
    assert again.scores["after"] == run.scores["after"]
    assert again.scores["augment"]["steps"] == run.scores["augment"]["steps"]


def test_the_averaged_probability_is_the_mean_of_the_views_probabilities(run: Run) -> None:
    images = run.images.take(run.images.parts == "test")
    plain = dataclasses.replace(run.classifier, averaging=Views(), temperature=1.0)
    views = [View(AUGMENTS["digits"], 0, number) for number in (1, 2)]
    each = [plain.predict_proba(images)[0]] + [
        dataclasses.replace(plain, source=dataclasses.replace(plain.source, view=view)).predict_proba(images)[0]
        for view in views
    ]
    mean = np.mean(each, axis=0)
    averaged, _ = dataclasses.replace(run.classifier, temperature=1.0).predict_proba(images)
    np.testing.assert_allclose(averaged, mean, atol=1e-12)
    calibrated, _ = run.classifier.predict_proba(images)
    np.testing.assert_allclose(calibrated, apply_temperature(np.log(mean), run.classifier.temperature), atol=1e-9)


def test_a_bundle_averages_the_same_views(run: Run) -> None:
    images = run.images.take(run.images.parts == "test")
    loaded = load_classifier(run.folder)
    assert loaded.averaging == run.classifier.averaging
    assert loaded.predict_proba(images)[0].tobytes() == run.classifier.predict_proba(images)[0].tobytes()
    pictures = np.stack([images.read(i)[:, :, 0] for i in range(20)])
    assert loaded.predict(pictures) == [r["predicted"] for r in _predictions(run.folder, "test")[:20]]


def _predictions(folder: Path, part: str) -> list[dict[str, str]]:
    import csv

    with (folder / "predictions.csv").open(newline="") as rows:
        return [row for row in csv.DictReader(rows) if row["split"] == part]


def test_evaluating_a_run_averages_too(run: Run, tmp_path: Path) -> None:
    images = run.images.take(run.images.parts == "test")
    for i in range(len(images)):
        place = tmp_path / "data" / images.classes[images.labels[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.read(i)[:, :, 0]).save(place / f"{i:03d}.png")
    told = inference.evaluate(run.folder, str(tmp_path / "data"))
    plain = dataclasses.replace(load_classifier(run.folder), averaging=Views())
    assert told["n"] == len(images)
    assert told["log_loss"] != pytest.approx(_log_loss(plain, images), abs=1e-6)


def _log_loss(classifier: Any, images: Any) -> float:
    proba, _ = classifier.predict_proba(images)
    return float(-np.log(proba[np.arange(len(images)), images.labels]).mean())


def test_a_recipe_with_a_file_holds_its_transforms_and_repeats_anywhere(tmp_path: Path) -> None:
    path = file(tmp_path, '[[transform]]\nname = "RandomRotation"\ndegrees = [-5, 5]')
    asked = recipe(**load(path).for_recipe())
    path.unlink()
    again = Recipe.from_toml(asked.to_toml())
    assert again == asked
    training, averaging = views_of(again)
    assert training.augment.to_list() == [{"name": "RandomRotation", "degrees": [-5, 5]}]
    assert (len(training), len(averaging)) == (2, 2)
    assert named("light").for_recipe() == {"name": "light"}


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"name": "none", "views": 2, "tta": 1}, "views=2 needs an augmentation"),
        ({"name": "none", "views": None, "tta": 2}, "tta=2 needs an augmentation"),
        ({"views": 0}, "views=0 draws fresh views every epoch"),
        ({"name": "digit"}, "Unknown augmentation 'digit': did you mean digits"),
        ({"name": "mine.toml"}, r"\[\[augment.transform\]\]"),
        ({"transform": [{"name": "RandomInvert", "p": 2}]}, "p = 2 is not possible"),
        ({"views": -1}, "augment.views = -1 is not possible"),
    ],
)
def test_choices_that_do_not_fit_together_are_one_sentence(augment: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        execute(recipe(**augment), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_refused_picture_is_refused_once_and_missing_in_every_view(tmp_path: Path) -> None:
    for name, base in (("dark", 40), ("light", 160)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i, pixels in enumerate(noise(15, side=24, seed=base) // 4 + base):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i:02d}.png")
    broken = tmp_path / "photos" / "dark" / "03.png"
    broken.write_bytes(broken.read_bytes()[:200])
    stages: list[str] = []
    done = execute(
        recipe(str(tmp_path / "photos"), name="light", tta=2), tmp_path / "run", lambda stage, *_: stages.append(stage)
    )
    counts, told = done.scores["counts"], done.scores["augment"]
    assert (counts["refused"], counts["images"]) == (1, 30)
    assert told["computed"] == 2 * counts["train"] + counts["calibration"] + counts["test"]
    numbered = dict.fromkeys(stage for stage in stages if " of " in stage)
    assert list(numbered) == ["view 1 of 2", "view 2 of 2", "average 1 of 1"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"transforms": [{"name": "Lambda"}]}, "Unknown transform 'Lambda'"),
        ({"transforms": "RandomInvert"}, "transforms is 'RandomInvert'"),
    ],
)
def test_a_bundle_can_name_nothing_but_the_transforms_of_the_table(
    run: Run, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    bundle = shutil.copytree(run.folder / "bundle", tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["averaging"]["augment"] |= changed
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=said):
        load_classifier(bundle)


def test_without_a_number_two_views_are_stored() -> None:
    assert [len(views) for views in views_of(recipe(views=None, tta=1))] == [2, 0]


def test_the_report_shows_the_contact_sheet_and_tells_what_was_added(run: Run) -> None:
    page = write_report(run.folder, run.thumbnail, run.contact_sheet).read_text()
    assert page.count('src="data:image/webp;base64,') == 1 and 'href="#views"' in page
    assert (
        "Training used the plain picture and views 1 to 2; the test averages the plain picture and views 1 to 2."
        in page
    )
    assert "without views" in page and "with averaging too" in page
    assert "#views" not in write_report(run.folder, run.thumbnail).read_text()


def test_a_contact_sheet_has_the_plain_picture_first_and_takes_the_classes_by_turns(run: Run) -> None:
    rows = run.contact_sheet(pictures=4, views=3)
    assert [len(row) for row in rows] == [4] * 4
    train = run.images.take(run.images.parts == "train")
    firsts = [train.read(int(np.flatnonzero(train.labels == k)[0]))[:, :, :1] for k in range(4)]
    for row, first in zip(rows, firsts, strict=True):
        np.testing.assert_array_equal(row[0], first)
    sheet = composed(rows)
    assert sheet.size == (4 * 92 - 4, 4 * 92 - 4) and sheet.getpixel((89, 10))[3] == 0
    assert contact_sheet(train, run.classifier.source, Views(), 4) == []


def test_the_estimator_trains_on_views_and_averages(tmp_path: Path) -> None:
    images = from_arrays(np.random.default_rng(0).integers(0, 80, size=(60, 16, 16), dtype=np.uint8))
    X = np.stack([images.read(i)[:, :, 0] for i in range(60)])
    X[:30, :, :8] += 100
    y = np.array(["left"] * 30 + ["none"] * 30)
    model = TransferClassifier(method="pixels", augment="digits", views=1, tta=2, cache=False).fit(X, y)
    assert len(model.classifier_.averaging) == 1
    plain = dataclasses.replace(model.classifier_, averaging=Views())
    assert np.abs(model.predict_proba(X) - plain.predict_proba(from_arrays(X))[0]).max() > 1e-6
    assert model.score(X, y) > 0.9


# ---- counting what was added


def test_gains_count_mended_and_made_mistakes() -> None:
    labels = np.array([0, 0, 0, 1])
    first, second = np.eye(2)[[0, 1, 1, 1]], np.eye(2)[[1, 0, 0, 1]]
    steps = stepwise_accuracy(labels, {"plain": first, "views": second})
    assert [step["accuracy"] for step in steps] == [0.5, 0.75]
    assert (steps[1]["mended"], steps[1]["made"], steps[1]["p"]) == (2, 1, 1.0)
    assert stepwise_accuracy(labels[:0], {"plain": first[:0]}) == []


@pytest.mark.parametrize(("mended", "made"), [(0, 0), (5, 0), (12, 3), (40, 41), (700, 600)])
def test_the_p_value_is_the_binomial_test_s(mended: int, made: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(mended, mended + made).pvalue if mended + made else 1.0
    assert mcnemar(mended, made) == pytest.approx(expected, rel=1e-3)
