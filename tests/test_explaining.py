"""Explanations: a map says where the answer comes from, exactly where it can, and neighbours are training pictures."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from colours import two_colours
from headstart import TransferClassifier, fit, predict
from headstart.bundle import load_classifier
from headstart.classifier import Classifier
from headstart.cli import _main
from headstart.errors import UnknownName, UserError
from headstart.explaining.differentiable import scores_of
from headstart.explaining.exact import ExactMaps, NotExact
from headstart.explaining.explainer import Explainer, PictureMap, rank_correlation
from headstart.explaining.linear import linear_at
from headstart.explaining.nearest import TrainingPictures, training_pictures
from headstart.explaining.overlay import overlay
from headstart.explaining.placement import grid, parting
from headstart.features.extract import Settings
from headstart.features.source import FeatureSource
from headstart.paths import features_dir
from headstart.report import write_report

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 32


def corners(n: int) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Noise with three grey discs that say nothing, and top left the class: a red square or a blue triangle."""
    rng, found = np.random.default_rng(0), []
    for i in range(n):
        picture = Image.fromarray(rng.normal(128, 12, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        for across, down in ((1, 0), (0, 1), (1, 1)):
            x, y = across * SIDE // 2 + rng.integers(2, 6), down * SIDE // 2 + rng.integers(2, 6)
            draw.ellipse((x, y, x + 8, y + 8), fill=(int(rng.integers(40, 220)),) * 3)
        x, y = rng.integers(2, 5, 2)
        if i % 2:
            draw.rectangle((x, y, x + 9, y + 9), fill=(220, 40, 40))
        else:
            draw.polygon([(x, y + 9), (x + 9, y + 9), (x + 4, y)], fill=(40, 60, 220))
        found.append(np.asarray(picture))
    return np.stack(found), np.array(["red" if i % 2 else "blue" for i in range(n)])


@pytest.fixture(scope="module")
def pictures() -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    return corners(108)


@pytest.fixture(scope="module")
def fitted(pictures: tuple[NDArray[np.uint8], NDArray[np.str_]]) -> Any:
    """A classifier of the first 100 of the pictures, by its head and other choices; each is fitted once."""
    known: dict[str, Classifier] = {}

    def make(head: str, **choices: Any) -> Classifier:
        key = repr((head, choices))
        if key not in known:
            chosen = {"backbone": "sprout"} | choices if "method" not in choices else choices
            X, y = pictures
            known[key] = TransferClassifier(head=head, **chosen).fit(X[:100], y[:100]).classifier_
        return known[key]

    return make


@pytest.mark.parametrize(
    ("head", "choices"),
    [
        ("logistic", {}),
        ("logistic", {"head_options": {"root": True}}),
        ("ridge", {}),
        ("linear", {"head_options": {"epochs": 3}}),
        ("prototype", {}),
        ("prototype", {"head_options": {"normalise": "l2"}}),
        ("logistic", {"layer": "last_conv"}),
        ("ridge", {"layer": "stages.1"}),
        ("logistic", {"method": "pixels"}),
    ],
)
def test_the_mean_of_an_exact_map_is_the_logit(fitted: Any, pictures: Any, head: str, choices: Any) -> None:
    classifier = fitted(head, **choices)
    maps, prepared = ExactMaps(classifier), classifier.source.preprocess.apply(Image.fromarray(pictures[0][104]))
    (logits,) = classifier.head.logits(classifier.source.open().run(prepared[None]))
    for column in (0, 1):
        assert maps.of(prepared, column).mean() == pytest.approx(logits[column] - logits.mean(), abs=1e-4)


def test_a_linear_head_is_its_weights_and_bias_for_a_row(fitted: Any) -> None:
    head = fitted("logistic").head
    row = np.random.default_rng(0).random(head.n_features_in_)
    linear = linear_at(head, row)
    assert linear is not None
    assert row @ linear.weights + linear.bias == pytest.approx(head.logits(row[None])[0], abs=1e-9)


@pytest.mark.parametrize(
    ("head", "method", "choices"),
    [
        ("logistic", "cam", {}),
        ("logistic", "gradient", {}),
        ("logistic", "occlusion", {}),
        ("logistic", "cam", {"method": "pixels"}),
        ("logistic", "occlusion", {"method": "pixels"}),
    ],
)
def test_a_map_has_its_maximum_in_the_quarter_that_decides(
    fitted: Any, pictures: Any, head: str, method: str, choices: Any
) -> None:
    X, y = pictures
    classifier = fitted(head, **choices)
    with Explainer(classifier, method) as explainer:
        found = [explainer.explain(Image.fromarray(X[i])) for i in range(100, 108)]
    assert [classifier.classes[one.target] for one in found] == y[100:].tolist()
    assert sum(x < SIDE / 2 and down < SIDE / 2 for x, down in (one.peak for one in found)) >= 6


@pytest.mark.parametrize(
    ("head", "options"),
    [("logistic", {}), ("logistic", {"root": True}), ("ridge", {}), ("mlp", {"epochs": 3}), ("prototype", {})],
)
def test_a_head_has_the_same_scores_in_pytorch(fitted: Any, head: str, options: dict[str, Any]) -> None:
    import torch

    own = fitted(head, head_options=options).head
    rows = np.random.default_rng(0).random((5, own.n_features_in_), dtype=np.float32)
    scores, logits = scores_of(own)(torch.from_numpy(rows)).numpy(), own.logits(rows)
    centred = logits - logits.mean(axis=1, keepdims=True)
    assert scores - scores.mean(axis=1, keepdims=True) == pytest.approx(centred, abs=2e-3)


def test_the_gradient_of_a_linear_head_gives_the_exact_map(fitted: Any, pictures: Any) -> None:
    exact, gradient = Explainer(fitted("ridge"), "cam"), Explainer(fitted("ridge"), "gradient")
    one, other = (way.explain(Image.fromarray(pictures[0][60])).values for way in (exact, gradient))
    assert one - one.mean() == pytest.approx(other.size * (other - other.mean()), abs=1e-3)


def test_neighbours_have_a_gradient_though_their_votes_have_none(fitted: Any, pictures: Any) -> None:
    found = Explainer(fitted("knn"), "gradient").explain(Image.fromarray(pictures[0][60]))
    assert found.values.shape == (4, 4) and np.ptp(found.values) > 0


def test_what_cannot_be_had_is_refused_in_a_sentence(fitted: Any, pictures: Any, monkeypatch: Any) -> None:
    picture = Image.fromarray(pictures[0][60])
    with pytest.raises(NotExact, match="knn is not linear; use method=gradient or method=occlusion"):
        Explainer(fitted("knn"), "cam").explain(picture)
    with pytest.raises(UserError, match="Pixels have no layer"):
        Explainer(fitted("logistic", method="pixels"), "gradient").explain(picture)
    with pytest.raises(UnknownName, match="occlusion"):
        Explainer(fitted("ridge"), "oclusion")
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UserError, match=r"pip install 'headstart\[explain\]'"):
        Explainer(fitted("knn"), "gradient").explain(picture)
    explainer = Explainer(fitted("knn"))
    assert explainer.explain(picture).method == "occlusion"
    assert "headstart[explain]" in explainer.note


@pytest.mark.slow
def test_a_class_token_has_a_gradient_and_no_exact_map_and_the_mean_of_the_tokens_has_one(pictures: Any) -> None:
    X, y = pictures[0][:12], pictures[1][:12]
    shapes = []
    for layer, method in (("cls", "gradient"), ("mean", "cam")):
        model = TransferClassifier(
            backbone="test_vit", weights="none", layer=layer, head="ridge", head_options={"alpha": 1.0}
        ).fit(X, y)
        explainer = Explainer(model.classifier_)
        shapes.append(explainer.explain(Image.fromarray(X[0])).values.shape)
        assert explainer.method == method
    assert shapes[0] == shapes[1]


@pytest.mark.slow
@pytest.mark.data
def test_an_onnx_network_has_exact_maps_of_real_features_and_no_gradient(data_dir: Path, weights_dir: Path) -> None:
    train = data_dir / "hymenoptera/train"
    files = [str(p) for kind in ("ants", "bees") for p in sorted((train / kind).iterdir())[:6]]
    network = str(weights_dir / "mobilenetv1_075.onnx")
    model = TransferClassifier(backbone=network).fit(files, ["ants"] * 6 + ["bees"] * 6)
    classifier = model.classifier_
    with Image.open(files[0]) as image, Explainer(classifier) as explainer:
        found = explainer.explain(image.convert("RGB"))
        prepared = classifier.source.preprocess.apply(image.convert("RGB"))
    (logits,) = classifier.head.logits(classifier.source.open().run(prepared[None]))
    assert (found.method, found.values.shape) == ("cam", (7, 7))
    assert found.values.mean() == pytest.approx(logits[found.target] - logits.mean(), abs=1e-4)
    with pytest.raises(UserError, match="ONNX file, which has no gradient"):
        Explainer(classifier, "gradient").explain(Image.new("RGB", (300, 200)))


def test_parts_of_a_row_of_cells_are_cut_as_adaptive_pooling_cuts_them() -> None:
    import torch

    for cells, parts in ((7, 2), (4, 2), (5, 5), (6, 1)):
        row = np.random.default_rng(0).random(cells)
        pooled = torch.nn.functional.adaptive_avg_pool1d(torch.from_numpy(row)[None], parts)[0]
        assert parting(cells, parts) @ row == pytest.approx(pooled.numpy())


def test_cells_lie_on_a_picture_in_its_ratio() -> None:
    assert (grid(49, 224, 224), grid(32, 128, 256), grid(32, 256, 128)) == ((7, 7), (4, 8), (8, 4))


def test_a_map_lies_on_the_part_of_the_picture_that_was_seen() -> None:
    values = np.zeros((4, 4))
    values[0, 3] = 1.0
    found = PictureMap(values, (100.0, 0.0, 300.0, 200.0), (400, 200), "cam", 0)
    assert found.peak == (275.0, 25.0)
    drawn = np.asarray(overlay(Image.new("RGB", (400, 200), (200, 200, 200)), found), dtype=int)
    assert (drawn[:, :100] < 150).all() and (drawn[:, 300:] < 150).all()
    assert (drawn[150, 110:200] == 200).all()
    coloured = np.abs(drawn - 200).sum(axis=2)[:, 100:300]
    assert np.unravel_index(coloured.argmax(), coloured.shape) > (0, 150)
    assert coloured[:50, 150:].mean() > 5 * coloured[100:].mean()


def test_where_nothing_speaks_for_a_class_nothing_is_coloured() -> None:
    found = PictureMap(np.full((3, 3), -1.0), (0, 0, 300, 300), (300, 300), "occlusion", 0)
    assert (np.asarray(overlay(Image.new("RGB", (300, 300), (90, 90, 90)), found)) == 90).all()
    assert rank_correlation(found.values, found.values) is None


def test_a_training_picture_is_not_its_own_neighbour() -> None:
    rows = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], dtype=np.float32)
    known = TrainingPictures(("a", "b", "c"), ("x", "y", "x"), rows, (b"1", b"2", b"3"))
    (near,) = known.nearest(2 * rows[:1], k=2, without=[b"1"])
    assert [(n.name, n.similarity) for n in near] == [("b", 0.8), ("c", 0.0)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two colours, with one of the training pictures in the wrong folder: a mistake."""
    place = tmp_path_factory.mktemp("explained")
    (place / "photos").mkdir()
    two_colours(place / "photos", 12, 48)
    shutil.copy(place / "photos/red/00.png", place / "photos/blue/odd.png")
    (place / "photos/red/00.png").unlink()
    return fit(place / "photos", method="pixels", head="ridge", out=place / "run").folder


def explain(*arguments: object) -> int:
    """The command in this process."""
    return _main(["explain", *map(str, arguments)])


def test_the_command_explains_what_can_be_read_and_lists_the_rest(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "<b>.png").write_bytes((run.parent / "photos/red/05.png").read_bytes())
    (tmp_path / "bad.jpg").write_text("no picture")
    assert explain(run, tmp_path / "<b>.png", tmp_path / "bad.jpg", "--out", tmp_path / "out", "--check") == 0
    told = capsys.readouterr()
    assert "1 explained" in told.out and "not-an-image" in told.err
    found = json.loads((tmp_path / "out/explanations.json").read_text())
    (picture,) = found["pictures"]
    assert (picture["predicted"], picture["seen_in_fitting"], picture["map"]["method"]) == ("red", True, "cam")
    assert [near["label"] for near in picture["nearest"]] == ["red"] * 3
    assert -1 <= picture["map"]["agreement_with_occlusion"] <= 1
    assert Image.open(tmp_path / "out" / picture["file"]).width >= 240
    page = (tmp_path / "out/index.html").read_text()
    assert "&lt;b&gt;" in page and "<b>.png" not in page and "bad.jpg" in page
    assert page.count("<img") == 5  # the picture, its map, and three neighbours


def test_a_stranger_is_told_as_none_of_the_classes(run: Path, tmp_path: Path, capsys: Any) -> None:
    """As `predict` tells it."""
    Image.fromarray(np.tile(np.uint8([[0, 255], [255, 0]]), (24, 24))).save(tmp_path / "odd.png")
    assert explain(run, tmp_path / "odd.png", "--out", tmp_path / "out") == 0
    assert "none of these (most like" in " ".join(capsys.readouterr().out.split())
    (picture,) = json.loads((tmp_path / "out/explanations.json").read_text())["pictures"]
    assert picture["known"] is predict(run, tmp_path / "odd.png").rows(1)[0]["known"] is False
    assert "<b>none of these</b>, most like" in (tmp_path / "out/index.html").read_text()


def test_a_folder_that_is_written_again_keeps_no_map_of_before(run: Path, tmp_path: Path) -> None:
    for names in (["red/05.png", "blue/06.png"], ["blue/05.png"]):
        pictures = [run.parent / "photos" / name for name in names]
        assert explain(run, *pictures, "--out", tmp_path / "out", "--nearest", "0") == 0
        found = json.loads((tmp_path / "out/explanations.json").read_text())["pictures"]
        kept = {f"maps/{path.name}" for path in (tmp_path / "out/maps").iterdir()}
        assert kept == {picture["file"] for picture in found} and len(kept) == len(names)


def test_a_training_picture_that_was_replaced_under_its_name_is_not_shown(run: Path, tmp_path: Path) -> None:
    """Its name is still that of the picture whose features are near."""
    copied = shutil.copytree(run, tmp_path / "run")
    photos = shutil.copytree(run.parent / "photos", tmp_path / "photos")
    recipe = (copied / "recipe.toml").read_text()
    (copied / "recipe.toml").write_text(recipe.replace(str(run.parent / "photos"), str(photos)))
    known = training_pictures(copied, load_classifier(copied), Settings(features_dir()))
    one, other = known.names[:2]
    assert known.picture(one, 32) is not None
    shutil.copy(photos / other, photos / one)
    assert known.picture(one, 32) is None and known.picture(other, 32) is not None


def test_a_folder_of_something_else_is_not_written_into(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert explain(run, run.parent / "photos/red/05.png", "--out", tmp_path) == 2
    assert "holds other files" in capsys.readouterr().err


def test_a_list_of_training_pictures_that_was_cut_off_is_told_as_one(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    listed = (copied / "fitted_on.csv").read_text()
    (copied / "fitted_on.csv").write_text(listed[: listed.rindex(",red") - 2])
    with pytest.raises(UserError, match=r"a line has 1 of 3 columns: the file was cut off or changed\): fit again"):
        training_pictures(copied, load_classifier(copied), Settings(features_dir()))


def test_a_list_of_training_pictures_with_an_endless_cell_is_told_as_damaged(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    with (copied / "fitted_on.csv").open("a") as file:
        file.write("x" * 200_000)
    with pytest.raises(UserError, match=r"cannot be read \(line \d+: field larger.*\): fit again"):
        training_pictures(copied, load_classifier(copied), Settings(features_dir()))


def test_an_empty_path_is_not_all_that_is_here(run: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(run.parent / "photos")
    assert explain(run, "", "--out", tmp_path / "out") == 2
    assert _main(["predict", str(run), ""]) == 2
    assert capsys.readouterr().err.count("A path is empty") == 2 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("pictures", ["photos", "photos/red/05.png"])
def test_maps_never_go_among_the_pictures_where_the_next_run_would_learn_from_them(
    run: Path, capsys: Any, pictures: str
) -> None:
    assert explain(run, run.parent / pictures, "--out", run.parent / "photos/explained") == 2
    assert "inside the picture folder" in capsys.readouterr().err
    assert not (run.parent / "photos/explained").exists()


def test_the_same_command_goes_on_where_it_was_stopped(run: Path, tmp_path: Path, monkeypatch: Any) -> None:
    words = (run, run.parent / "photos/red/05.png", run.parent / "photos/red/06.png", "--out", tmp_path / "out")
    with monkeypatch.context() as patched:
        drawn = iter([PictureMap])

        def stopped(self: Explainer, *arguments: Any) -> PictureMap:
            if not next(drawn, None):
                raise KeyboardInterrupt
            return plain(self, *arguments)

        plain = Explainer.explain
        patched.setattr(Explainer, "explain", stopped)
        assert explain(*words) == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["maps"]
    assert explain(*words) == 0
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out/maps").mkdir(parents=True)
    (tmp_path / "out/maps/london.png").touch()
    assert explain(*words) == 2


def test_neighbours_are_named_when_their_pictures_are_gone(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    recipe = (copied / "recipe.toml").read_text()
    (copied / "recipe.toml").write_text(recipe.replace(str(run.parent / "photos"), str(tmp_path / "gone")))
    classifier = load_classifier(copied)
    known = training_pictures(copied, classifier, Settings(features_dir()))
    assert known.images is None and len(known.names) == 24
    with pytest.raises(UserError, match="their features are not stored"):
        training_pictures(copied, classifier, Settings(tmp_path / "empty"))
    (copied / "fitted_on.csv").unlink()
    with pytest.raises(UserError, match="does not list the pictures it was fitted on"):
        training_pictures(copied, classifier, Settings(features_dir()))


def test_the_report_shows_what_speaks_for_a_mistake_and_its_neighbours(run: Path) -> None:
    page = (run / "report.html").read_text()
    told = page[page.index("Why these mistakes?") :]
    assert "The map of blue/odd.png for red" in told
    assert told[: told.index("</section>")].count("<b>red</b>") == 4  # what it was given, and three neighbours


def test_a_report_without_explanations_has_none(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    assert "What speaks for" not in write_report(copied).read_text()


def test_a_class_that_was_never_seen_has_no_map(fitted: Any, pictures: Any) -> None:
    known = fitted("ridge")
    classifier = Classifier(known.source, known.head, (*known.classes, "green"))
    assert isinstance(classifier.source, FeatureSource)
    with pytest.raises(UserError, match="never seen a picture of green"):
        Explainer(classifier).explain(Image.fromarray(pictures[0][0]), 2)
