"""The library does what the command line does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from colours import two_colours
from headstart.cli import _main
from headstart.errors import DataError, UserError


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_colours(tmp_path_factory.mktemp("pictures"), 12, 16)


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    return headstart.fit(
        str(pictures), method="pixels", head="ridge", out=str(tmp_path_factory.mktemp("runs") / "colours")
    )


def test_the_package_shows_its_public_names_alone() -> None:
    assert set(dir(headstart)) == {*headstart.__all__, "__version__"}
    assert all(getattr(headstart, name).__doc__ for name in headstart.__all__)


def test_fit_writes_the_report_and_a_run_is_loaded_again_from_its_folder(run: headstart.Run, pictures: Path) -> None:
    assert (run.folder / "report.html").is_file()
    again = headstart.load_run(str(run.folder))
    assert again.scores["after"] == run.scores["after"] and again.classifier.classes == ("blue", "red")
    told = headstart.evaluate(run.folder, pictures)
    assert told["n"] == told["seen"] == 24


def test_a_folder_that_is_called_like_a_network_is_not_taken_for_it(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sprout").mkdir()
    monkeypatch.chdir(tmp_path)
    run = headstart.fit(pictures, backbone="sprout", head="prototype", out="run")
    assert run.classifier.source.backbone is not None
    assert run.classifier.source.backbone.name == "sprout"
    assert _main(["run", "run/recipe.toml", "--set", "backbone.name=sprout", "--out", "again"]) == 0


def test_predict_takes_paths_pictures_bytes_and_arrays_alike(run: headstart.Run, pictures: Path) -> None:
    path = pictures / "red" / "03.png"
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    pixels = np.asarray(picture)
    given = [path, str(path), picture, path.read_bytes(), [path], [picture, pixels], pixels[None]]
    told = [headstart.predict(run.folder, each) for each in given]
    assert {name for found in told for name in (found.rows(1)[0]["predicted"],)} == {"red"}
    assert [len(found.names) for found in told] == [1, 1, 1, 1, 1, 2, 1]
    for found in told:
        np.testing.assert_allclose(found.probabilities[0], told[0].probabilities[0])


def test_a_predictor_held_open_says_what_the_classifier_says(run: headstart.Run, pictures: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))
    with headstart.Predictor(run.classifier) as predictor:
        one_by_one = [predictor.predict([path])[0] for path in paths]
    assert one_by_one == run.classifier.predict(paths)
    broken = pictures.parent / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:60])
    with headstart.Predictor(run.classifier) as predictor, pytest.raises(DataError, match=r"broken\.png"):
        predictor.predict([paths[0], broken])


def test_compare_and_rank_write_their_reports_and_take_lists(pictures: Path, tmp_path: Path) -> None:
    study = headstart.compare(pictures, arms=["pixels", "sprout"], sizes=[2], repeats=2, head="ridge",
                               out=tmp_path / "study")  # fmt: skip
    assert (study.folder / "report.html").is_file()
    assert headstart.load_study(study.folder).verdicts == study.verdicts
    ranking = headstart.rank(pictures, ["sprout"], out=tmp_path / "ranking")
    assert (ranking.folder / "ranking.html").is_file()
    assert [row["backbone"] for row in ranking.ranking["backbones"]] == ["sprout"]


@pytest.mark.parametrize("load", [headstart.load_run, headstart.load_study])
def test_a_folder_that_holds_something_else_is_refused_in_a_sentence(load: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a finished (run|study): it holds no \w+\.json\.$"):
        load(tmp_path)  # type: ignore[operator]
    for name in ("scores.json", "verdicts.json"):
        (tmp_path / name).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)  # type: ignore[operator]


def test_a_mistake_names_the_parameter_in_python_and_the_flag_on_the_command_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"^views=2 needs an augmentation to draw them; add augment=light"):
        headstart.fit(pictures, method="pixels", views=2, augment="none", out=tmp_path / "run")
    asked = ["fit", str(pictures), "--method", "pixels", "--views", "2", "--augment", "none"]
    assert _main([*asked, "--out", str(tmp_path / "run")]) == 2
    assert "--views 2 needs an augmentation to draw them; add --augment light" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"^`resume` needs `out`"):
        headstart.fit(pictures, method="scratch", resume=True)
