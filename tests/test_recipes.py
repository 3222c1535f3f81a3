"""Recipes that come along, `--set` that replaces their values, and how grey pictures fill three channels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.cli import _main
from headstart.cli.overrides import overridden
from headstart.cli.recipes import names, text
from headstart.cli.run import kind, load
from headstart.errors import UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.images import load as pictures
from headstart.preprocess import GREYS, Preprocess, false_colours
from headstart.ranking.recipe import RankingRecipe
from headstart.recipe import Document, Recipe
from headstart.study.arms import GREYS as GREY_WORDS
from headstart.study.arms import arms_of, rewritten
from headstart.study.recipe import StudyRecipe

pytestmark = pytest.mark.usefixtures("one_thread")
EXPERIMENTS = (
    "cats-vs-dogs-mobilenetv2", "digits-sprout", "fashion-mnist-alexnet", "mnist-7v8", "mnist-7v8-pixels",
    "mnist-7v8-vgg16", "mnist-resnet50", "mnist-vgg16-dense512", "zoo-tour",
)  # fmt: skip


def of(name: str) -> Document:
    return kind(text(name)).from_toml(text(name))


class TestShipped:
    def test_the_classic_experiments_come_along(self) -> None:
        assert tuple(names()) == EXPERIMENTS

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_a_recipe_says_on_top_what_it_is_its_command_and_the_score_to_expect(self, name: str) -> None:
        top = text(name).split("\n\n")[0]
        assert all(line.startswith("#") for line in top.splitlines())
        assert f"headstart run {name}\n" in top and "Expect" in top
        assert of(name).to_toml()

    @pytest.mark.parametrize("name", ["mnist-7v8", "zoo-tour"])
    def test_every_backbone_that_a_recipe_names_is_a_known_network(self, name: str) -> None:
        from headstart.backbones.sources import find

        recipe = of(name)
        if isinstance(recipe, StudyRecipe):
            assert all(find(a.recipe.backbone.name) for a in arms_of(recipe) if a.recipe.method != "pixels")
        elif isinstance(recipe, RankingRecipe):
            assert all(find(spelled["name"]) for spelled in recipe.request().backbones)

    def test_the_two_arms_of_7_or_8_see_the_same_pictures(self) -> None:
        pixels, features, study = of("mnist-7v8-pixels"), of("mnist-7v8-vgg16"), of("mnist-7v8")
        assert isinstance(pixels, Recipe) and isinstance(features, Recipe) and isinstance(study, StudyRecipe)
        assert pixels.data == features.data == study.data

    def test_the_list_has_a_line_for_each_and_show_prints_the_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert _main(["recipes"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(EXPERIMENTS)
        assert all(len(line.split()) > 4 for line in lines)
        for words in (["show", "zoo-tour"], ["zoo-tour"]):  # its name alone is enough
            assert _main(["recipes", *words]) == 0
            assert capsys.readouterr().out == text("zoo-tour")

    def test_an_unknown_recipe_shows_the_nearest(self) -> None:
        with pytest.raises(UnknownName, match="did you mean digits-sprout"):
            load("digit-sprout")

    def test_a_printed_recipe_is_a_file_that_runs_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(text("mnist-7v8"))
        assert load(str(tmp_path / "mine.toml")) == load("mnist-7v8")


class TestSet:
    def test_short_and_full_keys_replace_values(self) -> None:
        keys = ["limit=64", "backbone=resnet18", "weights=none", "training.epochs=2", "unfreeze=all"]
        found = overridden(of("cats-vs-dogs-mobilenetv2"), keys)
        assert isinstance(found, Recipe)
        assert (found.data.limit, found.backbone.name, found.backbone.weights) == (64, "resnet18", "none")
        assert (found.training.epochs, found.training.unfreeze) == (2, "all")

    def test_a_list_is_written_with_commas(self) -> None:
        run = overridden(of("mnist-7v8-pixels"), ["data.classes=1,7"])
        study = overridden(of("mnist-7v8"), ["sizes=5,all", "arms=pixels,sprout"])
        assert isinstance(run, Recipe) and run.data.classes == ["1", "7"]
        assert isinstance(study, StudyRecipe) and (study.sizes, study.arms) == ([5, "all"], ["pixels", "sprout"])

    def test_in_a_study_a_backbone_and_weights_are_those_of_every_arm_that_has_them(self, tmp_path: Path) -> None:
        weights = tmp_path / "own.safetensors"
        weights.write_bytes(b"")
        found = overridden(of("mnist-7v8"), ["backbone=squeezenet1_0", f"weights={weights}"])
        assert isinstance(found, StudyRecipe)
        network = f"squeezenet1_0:last_conv@{weights}"
        assert found.arms == ["pixels", network, f"{network}+grey=first", f"{network}+grey=colormap"]

    def test_in_a_ranking_they_are_those_of_every_network(self) -> None:
        found = overridden(of("zoo-tour"), ["weights=none", "limit=64"])
        assert isinstance(found, RankingRecipe) and found.limit == 64
        assert {spelled["weights"] for spelled in found.request().backbones} == {"none"}

    def test_paths_become_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "photos").mkdir()
        found = overridden(of("digits-sprout"), ["data=photos"])
        assert isinstance(found, Recipe) and found.data.source == str(tmp_path / "photos")

    @pytest.mark.parametrize(
        ("name", "pair", "said"),
        [
            ("digits-sprout", "limits=5", "limit"),
            ("digits-sprout", "backbone.wights=none", "backbone.weights"),
            ("digits-sprout", "epochs=5", "method=finetune"),
            ("digits-sprout", "limit=few", "data.limit = 'few' is not possible"),
            ("digits-sprout", "limit", "write NAME=VALUE"),
            ("mnist-7v8-pixels", "weights=none", "raw pixels need no network"),
            ("mnist-7v8", "wieghts=none", "weights"),
            ("zoo-tour", "folds=1", "folds = 1 is not possible"),
        ],
    )
    def test_what_cannot_be_set_is_one_sentence(self, name: str, pair: str, said: str) -> None:
        with pytest.raises(UserError, match=said):
            overridden(of(name), [pair])

    def test_the_split_of_a_run_goes_with_its_pictures_only(self) -> None:
        values = {"data": {"source": "digits", "split": "split.csv"}}
        kept, changed = (overridden(Recipe.from_dict(values), [pair]) for pair in ("head.options.C=1", "limit=50"))
        assert isinstance(kept, Recipe) and kept.data.split == "split.csv" and kept.head.options == {"C": 1}
        assert isinstance(changed, Recipe) and changed.data.split is None


class TestRun:
    """Every kind of recipe from the command line, at the smallest size, each in its own folder."""

    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        assert _main(["run", *arguments]) == 0
        return capsys.readouterr().out

    def test_a_fit(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.run(capsys, "digits-sprout", "--set", "limit=100", "--out", str(tmp_path / "run"))
        assert "100 images, 2,880 features" in said and (tmp_path / "run" / "report.html").is_file()

    def test_a_study_says_what_compare_says(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        small = [
            "data=digits",
            "limit=100",
            "sizes=2",
            "repeats=1",
            "backbone=sprout",
            "layer=pooled",
            "arms=pixels,sprout",
        ]
        pairs = [part for pair in small for part in ("--set", pair)]
        said = self.run(capsys, "mnist-7v8", *pairs, "--out", str(tmp_path / "study"))
        assert "sprout against pixels: " in said and (tmp_path / "study" / "verdicts.json").is_file()

    def test_a_ranking(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pairs = [
            part for pair in ("data=digits", "limit=60", "backbones=sprout", "folds=2") for part in ("--set", pair)
        ]
        said = self.run(capsys, "zoo-tour", *pairs, "--out", str(tmp_path / "ranking"))
        assert "sprout" in said and (tmp_path / "ranking" / "ranking.html").is_file()


class TestGrey:
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8))

    @pytest.mark.parametrize("policy", GREYS)
    def test_a_picture_in_colour_is_seen_the_same_with_every_policy(self, policy: str) -> None:
        seen = Preprocess(16, 16, 1.0, grey=policy).apply(self.colour)  # type: ignore[arg-type]
        assert np.array_equal(seen, np.asarray(self.colour))

    def test_in_the_first_channel_the_others_are_nothing_to_the_network(self) -> None:
        preprocess = Preprocess(16, 16, 1.0, grey="first")
        seen = preprocess.apply(self.grey)
        assert np.array_equal(seen[:, :, 0], np.asarray(self.grey))
        normalised = (seen / 255 - np.array(preprocess.mean)) / np.array(preprocess.std)
        assert np.abs(normalised[:, :, 1:]).max() < 0.01

    def test_false_colours_are_all_different_and_run_from_blue_over_green_to_red(self) -> None:
        colours = false_colours()
        assert len({tuple(c) for c in colours.tolist()}) == 256
        assert colours[[0, 64, 128, 191, 255]].argmax(axis=1).tolist() == [2, 2, 1, 0, 0]
        assert colours[[0, 255]].tolist() == [[0, 0, 128], [128, 0, 0]]
        assert np.array_equal(Preprocess(16, 16, 1.0, grey="colormap").apply(self.grey).reshape(-1, 3), colours)

    def test_each_policy_has_a_fingerprint_of_its_own_and_survives_writing(self) -> None:
        made = [Preprocess(16, 16, grey=policy) for policy in GREYS]
        assert len({p.fingerprint() for p in made}) == 3
        assert [Preprocess.from_dict(p.to_dict()) for p in made] == made

    def test_a_network_of_one_channel_takes_grey_pictures_as_they_are(self) -> None:
        with pytest.raises(UserError, match="one channel"):
            Preprocess(16, 16, mean=(0.5,), std=(0.5,), color="L", grey="colormap")

    def test_an_unknown_policy_shows_the_known_ones(self) -> None:
        with pytest.raises(UnknownName, match="colormap"):
            Preprocess(16, 16, grey="colourmap")  # type: ignore[arg-type]

    def test_a_recipe_s_policy_is_the_one_its_pictures_are_seen_with(self) -> None:
        values = {"data": {"source": "digits"}, "backbone": {"name": "test_resnet", "weights": "none"}}
        images = pictures("digits")
        sources = [
            feature_source(Recipe.from_dict(values | {"backbone": values["backbone"] | grey}), images)
            for grey in ({}, {"grey": "colormap"})
        ]
        assert [source.preprocess.grey for source in sources] == ["repeat", "colormap"]
        assert sources[0].space() != sources[1].space()

    def test_an_arm_names_its_policy(self) -> None:
        arms = ["vgg16", "vgg16:last_conv+grey=first", "vgg16+finetune=2+grey=colormap", "vgg16+scratch+grey=repeat"]
        found = arms_of(StudyRecipe.from_dict({"data": {"source": "digits"}, "arms": arms}))
        assert [arm.name for arm in found] == arms
        assert [arm.recipe.backbone.grey for arm in found] == [None, "first", "colormap", "repeat"]
        assert found[1].words == "features of vgg16:last_conv, grey in one channel"
        assert list(GREY_WORDS) == list(GREYS)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("pixels", "pixels"),
            ("vgg16+scratch", "resnet18+scratch"),
            ("vgg16@none", "resnet18@none"),
            ("vgg16+finetune=2+grey=first", "resnet18@imagenet+finetune=2+grey=first"),
        ],
    )
    def test_an_arm_is_rewritten_for_another_network(self, before: str, after: str) -> None:
        assert rewritten(before, {"name": "resnet18", "weights": "imagenet"}) == after

    def test_an_unknown_policy_of_an_arm_shows_the_known_ones(self) -> None:
        with pytest.raises(UnknownName, match="colormap"):
            arms_of(StudyRecipe.from_dict({"data": {"source": "digits"}, "arms": ["vgg16+grey=blue"]}))


@pytest.mark.slow
@pytest.mark.data
class TestMeasured:
    """What the recipes promise, with the weights that lie beside the data."""

    @pytest.mark.exhaustive
    def test_cats_and_dogs_begin_at_chance_and_fine_tuning_keeps_what_the_frozen_network_reaches(
        self, data_dir: Path, weights_dir: Path, tmp_path: Path
    ) -> None:
        weights = weights_dir / "mobilenetv2_100.safetensors"
        out = tmp_path / "run"
        assert _main(["run", "cats-vs-dogs-mobilenetv2", "--set", f"weights={weights}", "--out", str(out)]) == 0
        with (out / "history.csv").open() as file:
            first = next(csv.DictReader(file))
        scores = json.loads((out / "scores.json").read_text())
        frozen, tuned = (found["test"]["accuracy"] for found in (scores["training"]["frozen"], scores["after"]))
        assert abs(float(first["val_accuracy"]) - 0.5) < 0.05
        assert frozen >= 0.98 and tuned >= frozen - 0.005

    @pytest.mark.exhaustive
    def test_7_or_8_has_an_accuracy_for_each_arm_and_a_verdict_with_reasons(
        self, data_dir: Path, weights_dir: Path, tmp_path: Path
    ) -> None:
        pairs = ["backbone=squeezenet1_0", f"weights={weights_dir / 'squeezenet1_0.safetensors'}", "limit=1500"]
        pairs += ["sizes=20,all", "repeats=2"]
        out = tmp_path / "study"
        assert _main(["run", "mnist-7v8", *(a for pair in pairs for a in ("--set", pair)), "--out", str(out)]) == 0
        found = json.loads((out / "verdicts.json").read_text())
        largest = [arm["curve"][-1]["accuracy"] for arm in found["arms"]]
        assert len(largest) == 4 and min(largest) >= 0.95
        assert found["comparisons"][0]["verdict"]["word"] and found["comparisons"][0]["second"] == "pixels"
