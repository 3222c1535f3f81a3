"""Ranking backbones: fair folds, paired differences, a recommendation, and the files and page that say so."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from headstart.api import rank as api_rank
from headstart.backbones import resolve
from headstart.backbones.spelling import parse, parse_list, unloaded
from headstart.cli import _main
from headstart.cli.rank import accuracies
from headstart.engines import choose
from headstart.errors import DataError, Offline, UserError
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import load
from headstart.images.options import Reading
from headstart.learner import Learner
from headstart.pictures import Pictures
from headstart.progress import silent
from headstart.ranking.advice import advise
from headstart.ranking.candidates import labels
from headstart.ranking.files import SavedRanking, claim, command, content, write
from headstart.ranking.folds import draw
from headstart.ranking.judge import Cost, Judged, Scores, figures, score
from headstart.ranking.local import in_folder, local_backbones
from headstart.ranking.pairwise import difference, front, ordered, regret
from headstart.ranking.rank import Ranking, notes_on_rare, rank
from headstart.ranking.request import RankingRequest
from headstart.report.charts.scatter import RankingDisplay
from headstart.report.ranking import chart, render, write_ranking_report
from headstart.schema.files import from_json
from headstart.schema.ranking import RankingContent, read
from old_folders import RANKING

pytestmark = pytest.mark.usefixtures("one_thread")
N = 100


def names(n: int) -> tuple[str, ...]:
    return tuple(f"{i}.png" for i in range(n))


def judged(
    label: str, right: int, speed: float | None = 10.0, logme: float = 0.0, spelled: str | None = None, n: int = N
) -> Judged:
    """A backbone that names the first `right` of n pictures correctly."""
    scores = Scores(np.arange(n) < right, 4, logme, 0.0)
    return Judged(label, label if spelled is None else spelled, (32, 32), scores, None, Cost(images_per_s=speed))


def pixels(right: int) -> Judged:
    return judged("raw pixels", right, None, spelled="")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file that cannot be read."""
    file = tmp_path_factory.mktemp("weights") / "broken.safetensors"
    file.write_bytes(b"no weights")
    return file


@pytest.fixture(scope="module")
def made(broken: Path) -> Ranking:
    asked = tuple(parse_list(f"sprout@none,sprout,sprout@{broken}"))
    return rank(RankingRequest("digits", asked, limit=120, image_size=32, engine="torch"), Settings())


# --- folds


def test_every_picture_is_judged_once_and_every_class_is_spread_evenly() -> None:
    y = np.repeat([0, 1, 2], [40, 33, 7])
    fold = draw(y, names(80), 5, seed=0)
    counts = np.array([np.bincount(y[fold == i], minlength=3) for i in range(5)])
    assert counts.sum(axis=0).tolist() == [40, 33, 7]
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_folds_depend_on_names_and_seed_alone() -> None:
    y = np.arange(60) % 3
    order = np.random.default_rng(0).permutation(60)
    fold = draw(y, names(60), 4, seed=1)
    again = draw(y[order], [names(60)[i] for i in order], 4, seed=1)
    assert (again == fold[order]).all()
    assert (draw(y, names(60), 4, seed=2) != fold).any()


def test_copies_of_a_picture_share_its_fold() -> None:
    y = np.arange(60) % 3
    twins = [(30 + i, i) for i in range(10)]
    fold = draw(y, names(60), 5, 0, twins)
    assert all(fold[later] == fold[first] for later, first in twins)


def test_folds_that_cannot_be_are_refused() -> None:
    for k in (1, 7):
        with pytest.raises(UserError, match="`folds`"):
            draw(np.array([0, 1, 0, 1, 0, 1]), names(6), k, 0)
    with pytest.raises(DataError, match="one class only"):
        draw(np.array([0, 0, 0, 1]), names(4), 2, 0)


def features(n: int = 90, signal: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.normal(size=(n, 8)) + signal * rng.normal(size=(3, 8))[y]).astype(np.float32), y


def right(X: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.bool_]:
    return score(X, y, draw(y, names(len(y)), 5, 0), silent).right


def test_an_answer_does_not_depend_on_the_labels_of_its_own_fold() -> None:
    X, y = features()
    fold = draw(y, names(90), 5, 0)
    wrong = np.where(fold == 2, (y + 1) % 3, y)
    told, again = (Learner().cross_validate(Pictures(X, labels), 3, fold=fold).logits for labels in (y, wrong))
    assert np.array_equal(again[fold == 2], told[fold == 2])
    assert (again[fold != 2] != told[fold != 2]).any()


def test_every_choice_is_made_on_the_pictures_that_a_fold_is_fitted_on() -> None:
    X, y = features()
    fold = draw(y, names(90), 5, 0)
    told = Learner().cross_validate(Pictures(X, y), 3, fold=fold)
    alone = Learner().fit(Pictures(X[fold != 2], y[fold != 2]))
    assert "on 72 pictures" in alone.head.describe_choice()
    assert np.array_equal(told.logits[fold == 2], alone.head.logits(X[fold == 2]))
    assert (right(X, y) == (told.logits.argmax(axis=1) == y)).all()


def test_answers_are_right_where_features_tell_and_chance_where_they_do_not() -> None:
    for signal, low, high in ((3.0, 0.95, 1.0), (0.0, 0.15, 0.5)):
        assert low <= right(*features(signal=signal)).mean() <= high


def test_a_class_with_one_picture_is_answered_wrong_and_stops_nothing() -> None:
    X, y = features()
    y[0] = 3
    told = right(X, y)
    assert not told[0]
    assert told[1:].mean() > 0.3


# --- order, differences and advice


def test_the_front_has_those_that_no_other_beats_in_accuracy_and_speed() -> None:
    found = [judged("slow best", 95, 5), judged("fast", 80, 100), judged("beaten", 79, 50), judged("mid", 90, 20)]
    assert front(found) == ["fast", "mid", "slow best"]
    assert front([judged("a", 90, 10), judged("b", 90, 20)]) == ["b"]


def test_the_order_is_by_accuracy_and_then_by_what_does_not_change_from_run_to_run() -> None:
    """Two as accurate are told by their multiply-adds, not by a measured speed, which other work moves."""
    found = [judged("a", 90, 10), judged("b", 90, 20), judged("c", 95, 1), judged("d", 90, 5)]
    found[3] = replace(found[3], cost=replace(found[3].cost, multiply_adds=1))
    assert [each.label for each in ordered(found)] == ["c", "d", "a", "b"]


def test_a_difference_is_paired() -> None:
    """92 against 90 of 100 is no difference where the pictures differ, and one where 90 are among the 92 is little."""
    best, other = judged("best", 92), judged("other", 90)
    found = difference(best, other)
    assert (found.points, found.only_best, found.only_this, found.p) == (-2.0, 2, 0, 0.5)
    assert difference(best, best).p == 1
    far = difference(best, judged("far", 80))
    assert far.worse
    assert far.p == pytest.approx(2 / 2**12)


def test_what_is_not_shown_to_be_worse_is_not_thereby_as_good() -> None:
    """3 points less on 100 pictures, p = 0.25: neither worse nor as good can be said."""
    found = advise(pixels(50), [judged("best", 95, 10), judged("fast", 92, 40), judged("faster", 70, 400)])
    assert (found.best, found.fastest_not_worse) == ("best", "best")
    assert found.headline == (
        "best has the highest accuracy of 3 backbones here: 95.0% right in cross-validation (95% interval 88.8 to "
        "97.8%)."
    )
    assert "cannot be told apart from fast (92.0%, p = 0.25)" in found.sentences[0]
    assert found.sentences[1].startswith("None of them is shown to be as good within 2 points: use best")
    assert found.warnings == ()


def test_the_fastest_that_is_shown_to_be_as_good_is_recommended() -> None:
    many = [judged("best", 1_905, 10, n=2_000), judged("fast", 1_903, 40, n=2_000), judged("worse", 1_820, 99, n=2_000)]
    found = advise(judged("raw pixels", 900, n=2_000), many)
    assert found.fastest_not_worse == "fast"
    assert "fast is 4.0 times as fast and less than 2 points worse, with 95% confidence" in found.sentences[1]


def test_those_that_cannot_be_told_apart_come_the_fastest_first_with_the_regret_to_be_expected() -> None:
    near = [judged("a", 90, 10), judged("b", 89, 5), judged("c", 88, 80)]
    found = advise(pixels(10), near)
    assert "from c (88.0%, p = 0.5) or b (89.0%, p = 1), the fastest first" in found.sentences[0]
    assert found.sentences[-1].startswith("Choosing by 100 pictures costs ")
    assert 0 < regret(near) < 3 and regret(near[:1]) == 0


def test_a_little_faster_is_not_faster() -> None:
    assert advise(pixels(50), [judged("best", 95, 10), judged("other", 94, 11)]).fastest_not_worse == "best"


def test_a_warning_where_the_best_is_not_shown_to_be_better_than_raw_pixels() -> None:
    """That no difference was measured does not show that they are equally good, and the warning does not say so."""
    end = "no backbone is shown to help."
    assert advise(pixels(93), [judged("best", 95)]).warnings == (
        f"On 100 pictures best cannot be told apart from raw pixels (95.0% against 93.0%, p = 0.5): {end}",
    )
    assert advise(pixels(99), [judged("best", 80)]).warnings == (
        f"On 100 pictures best is worse than raw pixels (80.0% against 99.0%, p < 0.001): {end}",
    )
    assert not advise(pixels(80), [judged("best", 95)]).warnings


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([9, 5], []),
        ([9, 4], ["b has fewer pictures (4) than there are folds (5), so some folds judge none of it."]),
        ([2, 4, 9], ["Fewer pictures than folds (5): a (2), b (4); some folds judge none of them."]),
        (
            [1, 9],
            [
                "a has fewer pictures (1) than there are folds (5), so some folds judge none of it.",
                "a has one picture and cannot be named correctly: none is left to learn from.",
            ],
        ),
        (
            [1, 1, 2, 2, 3, 4, 9],
            [
                "Fewer pictures than folds (5): a (1), b (1), c (2), d (2), e (3) and 1 more; some folds judge none of "
                "them.",
                "a, b have one picture each and cannot be named correctly: none is left to learn from.",
            ],
        ),
    ],
)
def test_a_note_says_which_classes_some_folds_lack(counts: list[int], said: list[str]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    assert notes_on_rare(labels, tuple("abcdefg"[: len(counts)]), 5) == said


@pytest.mark.parametrize("columns", [80, 200])
def test_no_interval_of_the_table_goes_beyond_all(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """94.6 in 86.9 to 97.9 is no ±5.5, which would reach 100.1; where there is room both ends are written."""
    monkeypatch.setenv("COLUMNS", str(columns))
    found = from_json(RankingContent, json.loads(RANKING.replace("\n", " ")))
    ends = {"accuracy": 0.946, "accuracy_low": 0.869, "accuracy_high": 0.979}
    accuracies(replace(found, backbones=(replace(found.backbones[0], **ends), *found.backbones[1:])))
    printed = capsys.readouterr().out
    assert ("94.6 ≥86.9" if columns < 130 else "94.6 (86.9 to 97.9)") in printed
    told = "Accuracy in % ± the longer side of its 95% interval (≥ or ≤ its end, near 100 or 0).\n"
    assert (told in printed) == (columns < 130)


def test_a_warning_where_a_hint_would_have_chosen_one_that_is_measurably_worse() -> None:
    found = advise(pixels(10), [judged("best", 95, logme=0.1), judged("liked", 70, logme=0.3)])
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("LogME would have chosen liked (70.0%), which is measurably worse (p < 0.001)")
    assert not advise(pixels(10), [judged("best", 95, logme=0.1), judged("liked", 94, logme=0.3)]).warnings


# --- the job


def test_the_ranking_has_raw_pixels_every_backbone_and_those_that_failed(made: Ranking) -> None:
    assert made.pixels.scores.n_features == 64
    assert made.backbones[0].label == made.advice.best
    assert {each.label for each in made.backbones} == {"sprout", "sprout@none"}
    assert [failure.backbone for failure in made.failures] == ["sprout@broken"]
    assert "broken.safetensors cannot be read as safetensors" in made.failures[0].reason
    assert made.pixels.scores.accuracy > 0.7
    assert all(each.cost.images_per_s > 0 for each in made.backbones if each.cost.images_per_s is not None)
    assert made.backbones[0].cost.parameters == 985376
    assert all(each.leep is None for each in made.backbones)


def test_trained_weights_rank_above_random_ones(made: Ranking) -> None:
    assert made.advice.best == "sprout"


def test_the_files_say_the_same(made: Ranking, tmp_path: Path) -> None:
    write(made, tmp_path / "out")
    with (tmp_path / "out" / "ranking.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = read(tmp_path / "out")
    assert [row["backbone"] for row in rows] == ["raw pixels", *(row.backbone for row in found.backbones)]
    assert [float(row["accuracy"]) for row in rows[1:]] == pytest.approx(
        [each.scores.accuracy for each in made.backbones], rel=1e-5
    )
    assert found.baseline.told_apart is not None
    assert found.backbones[0].told_apart is None
    assert found.data.n == 120
    assert "--backbones sprout@none,sprout,sprout@" in found.command
    assert "influenced this choice" in " ".join(found.notes)
    assert claim(tmp_path / "out", "digits") == tmp_path / "out"


def test_the_command_of_a_ranking_says_how_its_data_were_read() -> None:
    reading = Reading(follow_links=True, image_column="file", label_column="my class", split_column=None)
    told = command(RankingRequest("photos.csv", (parse("sprout"),), reading=reading))
    assert told.endswith(" --follow-links --image-column file --label-column 'my class'")


def test_a_stored_feature_gives_the_same_accuracy_and_the_speed_is_measured_again(tmp_path: Path) -> None:
    request = RankingRequest("digits", (parse("sprout"),), limit=30, image_size=32, engine="torch")
    first, second = (rank(request, Settings(tmp_path)) for _ in range(2))
    assert (first.backbones[0].scores.right == second.backbones[0].scores.right).all()
    assert first.backbones[0].scores.logme == second.backbones[0].scores.logme
    assert second.backbones[0].cost.images_per_s


def folder_of_pictures(folder: Path) -> Path:
    """Two classes, dark and light, of twelve pictures each; the files of the test part are no pictures."""
    rng = np.random.default_rng(0)
    for part, broken in (("train", False), ("test", True)):
        for k, name in enumerate(("dark", "light")):
            (folder / part / name).mkdir(parents=True)
            for i in range(12):
                path = folder / part / name / f"{i}.png"
                if broken:
                    path.write_bytes(b"not a picture")
                else:
                    Image.fromarray(rng.integers(120 * k, 120 * k + 130, (40, 40, 3), dtype=np.uint8)).save(path)
    return folder


def test_the_test_part_is_never_looked_at(tmp_path: Path) -> None:
    data = folder_of_pictures(tmp_path / "data")
    found = rank(RankingRequest(str(data), (parse("sprout"),), image_size=32, engine="torch"), Settings())
    assert len(found.images) == 24
    assert found.refused == 0
    assert "The test part was left out and never looked at (24 pictures)." in found.notes


@pytest.mark.parametrize("asked", ["sprout,embedded:sprout", "sprout,sprout@pretrained"])
def test_the_same_backbone_twice_is_refused(asked: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert _main(["rank", "digits", "--backbones", asked, "--limit", "40", "--out", str(tmp_path / "r")]) == 2
    assert "lists one backbone twice" in capsys.readouterr().err


def test_the_command_prints_a_table_names_what_failed_and_writes_the_page(
    broken: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = f"sprout,sprout@{broken}"
    words = f"rank digits --backbones {named} --limit 30 --image-size 32 --engine torch --no-store --out"
    assert _main([*words.split(), str(tmp_path / "r")]) == 0
    told = capsys.readouterr()
    assert "raw pixels" in told.out
    assert "was the only backbone ranked" in told.out
    assert told.err.startswith("left out: sprout@broken: ")
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"ranking.csv", "ranking.json", "ranking.html"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--backbones sprout,vgg99", "Unknown backbone 'vgg99': did you mean"),
        ("--backbones sprout,sprout:pooledd", "pooledd"),
        (
            "--backbones sprout --weights-folder .",
            "--weights-folder is for ranking every network on this machine",
        ),
        ("", "--backbones"),
        ("--backbones sprout --all-local", "Give either --backbones"),
        ("--backbones sprout --folds 1", "--folds 1 is not possible: give a whole number of 2 or more"),
        ("--all-local --weights-folder nowhere", "no such folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _main(["rank", "digits", *words.split(), "--limit", "40", "--out", str(tmp_path / "r")]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_folder_with_other_files_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        claim(tmp_path, "digits")


def test_two_of_one_short_name_get_their_whole_spelling(tmp_path: Path) -> None:
    files = [tmp_path / name / "own.safetensors" for name in "ab"]
    for file in files:
        file.parent.mkdir()
        file.touch()
    asked = [parse(text) for text in (f"sprout@{files[0]}", f"sprout@{files[1]}", "sprout@none")]
    assert labels(asked) == [f"sprout@{files[0]}", f"sprout@{files[1]}", "sprout@none"]


def test_what_is_not_downloaded_is_said_in_the_terms_of_this_command() -> None:
    said = unloaded("resnet18", Offline("it is not here", "use --weights FILE"))
    assert "resnet18@FILE" in said and "sprout, which comes with Headstart" in said and "--" not in said
    assert unloaded("resnet18", UserError("Something else.")) == "Something else."


# --- source classifiers and weights that are here


def test_the_logits_of_a_source_classifier_are_found_as_a_layer(tmp_path: Path) -> None:
    import torch

    saved = resolve("squeezenet1_1", "none").save(tmp_path)
    network = resolve("squeezenet1_1", saved)
    source = FeatureSource(network.preprocess.resized(64), network, "pooled", choose("torch"))
    parameters, multiply_adds, logits = figures(source)
    assert (parameters, logits) == (1235496, "classifier")
    images = load(np.random.default_rng(0).integers(0, 255, (2, 70, 70, 3), dtype=np.uint8), labelled=False)
    assert multiply_adds is not None
    layer = FeatureSource(source.preprocess, network, logits or "", source.engine)
    x = np.stack([source.preprocess.apply(Image.fromarray(images.read(i))) for i in range(2)]) / 255
    normal = (x - np.array(source.preprocess.mean)) / np.array(source.preprocess.std)
    expected = network.network()(torch.tensor(normal.transpose(0, 3, 1, 2), dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(extract(images, layer).features, expected, rtol=1e-4, atol=1e-4)


def test_random_weights_and_weights_without_a_classifier_have_no_source_classes() -> None:
    for name, weights in (("squeezenet1_1", "none"), ("sprout", "pretrained")):
        network = resolve(name, weights)
        assert figures(FeatureSource(network.preprocess, network, "pooled", choose("torch")))[2] is None


def test_multiply_adds_are_those_of_the_size_that_is_used() -> None:
    network = resolve("sprout")
    at = [
        figures(FeatureSource(network.preprocess.resized(side), network, "pooled", choose("torch")))[1]
        for side in (64, 128)
    ]
    assert at[0] and at[1] and at[1] / at[0] == pytest.approx(4, rel=0.01)


def test_weights_files_with_a_sidecar_are_local_and_others_are_not(tmp_path: Path) -> None:
    resolve("sprout", "none").save(tmp_path)
    (tmp_path / "alone.safetensors").write_bytes(b"")
    (tmp_path / "broken.safetensors").write_bytes(b"")
    (tmp_path / "broken.json").write_text("{}")
    found = {Path(each["weights"]).name: each["name"] for each in in_folder(tmp_path)}
    assert found == {"backbone.safetensors": "embedded:sprout", "broken.safetensors": "broken"}
    assert local_backbones(tmp_path)[0]["name"] == "sprout"


def test_networks_in_the_libraries_caches_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for repository, file in (("resnet18.a1_in1k", "model.safetensors"), ("resnet50.a1_in1k", "config.json")):
        (tmp_path / "hub" / f"models--timm--{repository}" / "snapshots" / "1").mkdir(parents=True)
        (tmp_path / "hub" / f"models--timm--{repository}" / "snapshots" / "1" / file).touch()
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    names = [each["name"] for each in local_backbones(None)]
    assert names == ["sprout", "timm:resnet18.a1_in1k", "torchvision:alexnet"]


# --- the page


def test_the_page_is_whole_and_escapes_what_it_is_told(made: Ranking, tmp_path: Path) -> None:
    told = content(made)
    found = replace(told, data=replace(told.data, title="<script>alert(1)</script>"), notes=(*told.notes, "a\u202eb"))
    page = render(found)
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert found.advice.headline in page
    for section in ("picture", "numbers", "hints", "measured", "failed", "notes", "repeat"):
        assert f'id="{section}"' in page
    assert render(found) == page


def test_the_page_has_each_hint_of_each_backbone_with_its_first_choice_bold(made: Ranking) -> None:
    table = render(content(made)).split('class="narrow hints"')[1].split("</table>")[0]
    lines = re.findall(r'<tr(?: class="agreed")?><th scope="row"(?: colspan="5")?>(.*?)</th>(.*?)</tr>', table)
    assert [name for name, _ in lines] == ["raw pixels", *(each.label for each in made.backbones), "Kendall’s tau"]
    best = max(made.backbones, key=lambda each: each.scores.logme).label
    bold = {name: re.findall(r'class="n first">([^<]*)<', cells) for name, cells in lines}
    assert bold[best][0] == f"{max(each.scores.logme for each in made.backbones):.3f}".replace("-", "−")
    assert sum(map(len, bold.values())) == 2  # no backbone here has a source classifier for LEEP


def test_a_folder_without_a_ranking_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a finished ranking"):
        write_ranking_report(tmp_path)
    (tmp_path / "ranking.json").write_text('{"schema": 2}')
    with pytest.raises(UserError, match="schema"):
        write_ranking_report(tmp_path)


def test_a_ranking_shows_itself_in_a_notebook(made: Ranking, tmp_path: Path) -> None:
    """One line, the headline with the chart, and the chart to be styled further."""
    saved = SavedRanking(tmp_path, content(made))
    assert made.advice.headline in repr(saved) and "\n" not in repr(saved)
    assert saved._repr_html_().count("<svg") == 1
    assert len(saved.plot().points) == len(made.backbones)


def ranking(count: int, seed: int) -> RankingContent:
    """A ranking of so many networks, of which the first three are on the front."""
    rng = np.random.default_rng(seed)
    old: RankingContent = from_json(RankingContent, json.loads(RANKING.replace("\n", " ")))
    rows = [
        replace(
            old.backbones[0],
            backbone=f"network_{i}_of_{count}",
            accuracy=share,
            accuracy_low=share - 0.03,
            accuracy_high=share + 0.03,
            images_per_s=float(10 ** rng.uniform(0.5, 2.5)),
            on_front=i < 3,
            told_apart=None if i == 0 else i > 2,
        )
        for i, share in enumerate(np.sort(rng.uniform(0.7, 0.95, count))[::-1].tolist())
    ]
    return replace(old, backbones=tuple(rows), baseline=replace(old.baseline, accuracy=0.72))


@pytest.mark.parametrize("count", [2, 5, *(pytest.param(count, marks=pytest.mark.slow) for count in (1, 12, 25))])
@pytest.mark.parametrize("width", RankingDisplay.widths)
def test_names_in_the_chart_never_overlap_and_few_have_all_of_theirs(count: int, width: float) -> None:
    for seed in (0, 1):
        drawn = chart(ranking(count, seed)).plot(width=width)
        names = [text for text in drawn.ax_.texts if text.get_text()]
        boxes = [text.get_window_extent() for text in names]
        assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))
        assert all(drawn.ax_.get_window_extent().padded(4).containsx(x) for box in boxes for x in (box.x0, box.x1))
        assert sum("network" in text.get_text() for text in names) + len(drawn.unnamed_) == count
        assert count > 5 or not drawn.unnamed_


def test_the_front_is_a_staircase_that_falls_with_speed() -> None:
    steps = chart(ranking(3, 0)).front(1.0, 0.5)
    assert steps[0][0] == 1.0 and steps[-1][1] == 0.5
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(steps))
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)


# --- real pictures


@pytest.mark.slow
@pytest.mark.data
def test_on_ants_and_bees_the_order_is_sensible_and_every_source_classifier_is_found(
    data_dir: Path, weights_dir: Path
) -> None:
    files = [f"{name}@{weights_dir / name}.safetensors" for name in ("mobilenetv2_100", "squeezenet1_0")]
    asked = parse_list(",".join(["sprout", *files, str(weights_dir / "mobilenetv1_075.onnx")]))
    found = rank(RankingRequest(str(data_dir / "hymenoptera"), tuple(asked)), Settings())
    assert [each.label for each in found.backbones] == ["mobilenetv2_100", "mobilenetv1_075", "squeezenet1_0", "sprout"]
    assert [each.leep is None for each in found.backbones] == [False, False, False, True]
    assert found.backbones[0].scores.accuracy > 0.96
    assert difference(found.backbones[0], found.pixels).worse


def test_a_class_whose_pictures_are_all_refused_is_listed_beside_the_ranking_to_be(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 16, 16), np.uint8)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(tmp_path / "photos" / "ant" / f"{i}.png")
        (tmp_path / "photos" / "bee" / f"{i}.png").write_text("no picture")
    for _ in range(2):  # the list is no obstacle to the next ranking
        with pytest.raises(DataError, match=r"'bee' were refused.*refused\.csv lists"):
            api_rank(tmp_path / "photos", "sprout", out=tmp_path / "ranking", store=False)
    assert (tmp_path / "ranking" / "refused.csv").read_text().count("not-an-image") == 6
