"""The library does what the command line does."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart
from colours import two_colours
from headstart import api
from headstart.api.checks import listed
from headstart.backbones import resolve
from headstart.cli import _main
from headstart.errors import DataError, UserError
from headstart.images.sources import builtin
from headstart.labelling.album import Looks
from headstart.paths import cache_dir
from headstart.ranking.local import in_caches


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


def test_a_classifier_gives_probabilities_of_whatever_it_names(run: headstart.Run, pictures: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))[:3]
    expected = headstart.predict(run.folder, paths).probabilities
    for given in (paths, [path.read_bytes() for path in paths], (path for path in paths)):
        found, extraction = run.classifier.predict_proba(given)
        np.testing.assert_allclose(found, expected)
        assert extraction.kept.tolist() == [0, 1, 2]
    found, extraction = run.classifier.predict_proba([paths[0], pictures / "missing.png"])
    assert len(found) == 1 and extraction.refused[0].reason == "missing-file"
    with headstart.Predictor(run.classifier) as predictor:
        np.testing.assert_allclose(predictor.predict_proba(paths)[0], expected)
        for one in (paths[0], str(paths[0])):
            with pytest.raises(DataError, match="single picture or path"):
                predictor.predict_proba(one)
        for nothing in (None, 5):
            with pytest.raises(DataError, match=r"encoded bytes or arrays, not \w+\.$"):
                predictor.predict(nothing)


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


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: headstart.fit("digits", epochs=3), r"give training=\{'epochs': 3\}"),
        (lambda: headstart.fit("digits", C=0.1), r"a setting of the head logistic, so give head_options=\{'C': 0\.1\}"),
        (
            lambda: headstart.fit("digits", bakbone="sprout"),
            "Unknown parameter of fit 'bakbone': did you mean backb",
        ),
        (lambda: headstart.compare("digits", repeat=3), "did you mean repeats"),
        (lambda: headstart.predict("run", "a.png", topk=2), "Unknown parameter of predict 'topk'"),
    ],
)
def test_a_parameter_that_there_is_not_is_told_with_what_is_meant(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call()


def test_text_in_the_place_of_a_flag_is_refused_before_any_work(tmp_path: Path) -> None:
    pixels = np.zeros((2, 8, 8), np.uint8)
    calls: list[Callable[[], object]] = [
        lambda: api.classify("nowhere", follow_links="no"),
        lambda: api.suggest(pixels, None, 1, store="no"),
        lambda: api.write_suggestions(pixels, None, 1, tmp_path / "next.csv", Looks(), store="no"),
        lambda: api.label("nowhere", out=tmp_path / "labels.csv", store="no"),
    ]
    for call in calls:
        with pytest.raises(UserError, match="='no' is not possible: give True or False"):
            call()


def test_a_home_folder_that_there_is_not_is_a_folder_that_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HEADSTART_CACHE", "HEADSTART_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, "~nobody-of-this-name/here")
    assert cache_dir() == Path("~nobody-of-this-name/here")
    assert builtin.find("digits") is None and in_caches() is not None


@pytest.mark.parametrize("sizes", ["²", "5,²"])
def test_a_number_that_is_none_is_no_size(sizes: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^sizes=²: write numbers"):
        headstart.compare("digits", arms=["pixels"], sizes=sizes, out=tmp_path / "study")


def test_a_network_in_a_list_may_have_a_comma_in_its_name(tmp_path: Path) -> None:
    file = resolve("sprout", "none").save(tmp_path).rename(tmp_path / "a,b.safetensors")
    shutil.copy(tmp_path / "backbone.json", tmp_path / "a,b.json")
    found = headstart.rank("digits", [f"sprout@{file}"], limit=60, store=False, out=tmp_path / "ranking")
    assert [row["backbone"] for row in found.ranking["backbones"]] == ["sprout@a,b"]
    asked = shlex.split(found.ranking["command"])
    assert listed("backbones", asked[asked.index("--backbones") + 1]) == [f"sprout@{file}"]


def test_one_picture_in_memory_is_one_picture_and_a_column_is_several(run: headstart.Run, tmp_path: Path) -> None:
    grey, colour = np.full((8, 8), 200, np.uint8), np.full((8, 8, 3), 200, np.uint8)
    for one in (grey, colour, np.dstack([colour, grey])):
        assert len(headstart.predict(run.folder, one).rows(1)) == 1
    assert len(headstart.predict(run.folder, np.stack([grey] * 5)).rows(1)) == 5
    Image.fromarray(grey).save(tmp_path / "a.png")
    paths = pd.Series([str(tmp_path / "a.png")], index=[7])
    for column in (paths, paths.to_frame("image"), iter(paths), paths.to_numpy()):
        assert len(headstart.predict(run.folder, column).rows(1)) == 1
    with pytest.raises(UserError, match=r"^There is no file or folder nope\.png\.$"):
        headstart.predict(run.folder, "nope.png")
    with pytest.raises(UserError, match="not NoneType"):
        headstart.predict(run.folder, None)


def test_what_the_library_returns_it_takes_and_what_is_no_path_is_told(run: headstart.Run, pictures: Path) -> None:
    assert headstart.load_run(run).scores["after"] == run.scores["after"]
    assert len(headstart.predict(run, np.full((1, 8, 8, 3), 9, np.uint8)).rows(1)) == 1
    assert headstart.evaluate(run, pictures)["n"] == 24
    for call in (headstart.load_run, headstart.load_study):
        with pytest.raises(UserError, match="A path is needed, as text or a Path, not a NoneType"):
            call(None)
    with pytest.raises(UserError, match=r"report\.html is a file; name the folder of the run"):
        headstart.load_run(run.folder / "report.html")
    with pytest.raises(UserError, match="A path or a name is needed, not a ndarray"):
        headstart.evaluate(run, np.zeros((2, 8, 8)))


def test_a_chart_is_saved_where_the_home_folder_is_meant(
    run: headstart.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run.plot().save("~/chart.svg") == tmp_path / "chart.svg"
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda run: headstart.explain(run, np.zeros((1, 8, 8)), "out", nearest=-1), "nearest=-1 is not possible"),
        (lambda run: headstart.predict(run, np.zeros((1, 8, 8)), coverage="0.9"), "coverage='0.9' is not possible"),
        (lambda run: headstart.rank("digits", ["sprout"], folds="3"), "folds='3' is not possible"),
        (lambda run: headstart.rank("digits", 5), "`backbones` must be a list, or text with commas, not int"),
        (lambda run: headstart.suggest("digits", None, 2.5), "n=2.5 is not possible"),
        (lambda run: headstart.fit("digits", method="pixels", store="no"), "store='no' is not possible: give True or"),
        (lambda run: headstart.compare("digits", why="no"), "why='no' is not possible"),
        (lambda run: headstart.load_run(run).plot(3), "Unknown chart '3': there are: confusion"),
        (lambda run: headstart.compare("digits", sizes="2,al"), "sizes=al: write numbers"),
        (lambda run: headstart.compare("digits", arms=[]), "`arms` is empty"),
        (lambda run: headstart.compare("digits", arms=["sprout+finetune=0"]), "train at least 1 block"),
        (
            lambda run: headstart.export(run, "out", precision="int8", max_drop=float("nan")),
            "max_drop=nan is not possible",
        ),
        (lambda run: headstart.export(run, "out", precision="int8", max_drop=-1), "max_drop=-1 is not possible"),
        (lambda run: headstart.predict(run, ""), "A path is empty"),
        (lambda run: headstart.export(run, "out", max_drop=2.0), "max_drop=2.0 is for precision=int8"),
        (lambda run: headstart.fit("digits", target="0.9"), "target=0.9 is not an accuracy"),
        (
            lambda run: headstart.compare("digits", margin=2),
            "margin=2 is not possible: it should be less than 1; it is a share, so 0.02 is 2 percentage points.",
        ),
        (lambda run: headstart.TransferClassifier("sprout").fit([], []), "no picture was given"),
        (
            lambda run: headstart.compare("digits", cluster="127.0.0.1:9"),
            "cluster=127.0.0.1:9: no cluster can be reached",
        ),
    ],
)
def test_a_value_that_cannot_be_is_told_by_its_name(run: headstart.Run, asked: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        asked(run)


def test_names_and_sizes_may_be_text_with_commas(tmp_path: Path) -> None:
    digits = {"method": "pixels", "head": "prototype", "limit": 60, "store": False}
    assert headstart.fit("digits", classes="7, 8", out=tmp_path / "run", **digits).classifier.classes == ("7", "8")
    study = headstart.compare("digits", arms="pixels", sizes="2", classes=[7, 8], repeats=1, out=tmp_path / "study")
    assert [size.name for size in study.findings.study.sizes] == ["2"]


def test_an_arm_that_failed_is_in_the_notes(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    asked = {"arms": ["pixels", f"sprout@{broken}"], "sizes": [2], "repeats": 1, "limit": 60}
    study = headstart.compare("digits", out=tmp_path / "study", **asked)
    assert study.findings.notes[0].startswith("The arm features of sprout") and "safetensors" in study.findings.notes[0]
    command = ["compare", "digits", "--arms", ",".join(asked["arms"]), "--sizes", "2", "--repeats", "1"]
    assert _main([*command, "--limit", "60", "--out", str(tmp_path / "study")]) == 1
