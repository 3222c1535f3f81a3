"""A study fits arms on the same nested subsets, goes on where it was stopped, and never mixes results."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart import api
from headstart.cli import _main
from headstart.errors import DataError, UnknownName, UserError
from headstart.evidence.answers import Answers
from headstart.evidence.pairwise import Pair, compare_all
from headstart.evidence.phrases import signed
from headstart.report.study import write_study_report
from headstart.report.study.tables import facts
from headstart.study import networks
from headstart.study.arms import arms_of, primary_of
from headstart.study.cells import Where
from headstart.study.execute import Study, compare
from headstart.study.planning import plan
from headstart.study.recipe import StudyRecipe
from headstart.study.subsets import subsets
from headstart.study.why import experiments, why

pytestmark = pytest.mark.usefixtures("one_thread")
NEAREST = {"head": {"name": "prototype"}}


def recipe(**values: Any) -> StudyRecipe:
    """Digits, with a head that is fitted in no time."""
    data = {"source": "digits", "limit": 600} | values.pop("data", {})
    return StudyRecipe.from_dict({"data": data, "sizes": [2, 5], "repeats": 2, "arms": ["pixels"], **NEAREST, **values})


def photographs(folder: Path, count: int = 12, classes: str = "ab") -> Path:
    """Small colour pictures whose class is their colour."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 120, (20, 24, 3)) + np.eye(3, dtype=int)[k % 3] * 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


class TestArms:
    def named(self, *arms: str) -> list[tuple[str, str, bool]]:
        return [(a.name, a.recipe.method, a.transfer) for a in arms_of(recipe(arms=list(arms)))]

    def test_every_way_to_write_an_arm(self) -> None:
        assert self.named(
            "pixels", "scratch", "sprout", "sprout@none", "resnet18+scratch", "sprout+finetune=2", "vgg16:last_conv"
        ) == [
            ("pixels", "pixels", False),
            ("scratch", "scratch", False),
            ("sprout", "features", True),
            ("sprout@none", "features", False),
            ("resnet18+scratch", "scratch", False),
            ("sprout+finetune=2", "finetune", True),
            ("vgg16:last_conv", "features", True),
        ]

    def test_blocks_to_fine_tune_are_in_the_recipe(self) -> None:
        one, two = arms_of(recipe(arms=["sprout+finetune=1", "sprout+finetune=2"]))
        assert (one.words, two.words) == ("sprout, last block fine-tuned", "sprout, last 2 blocks fine-tuned")
        tuned = arms_of(recipe(arms=["sprout+finetune", "sprout+finetune=all"]))
        found = [arm.recipe.training.unfreeze for arm in tuned]
        assert found == [None, "all"]

    def test_the_training_options_go_to_arms_that_train_a_network_only(self) -> None:
        pixels, scratch = arms_of(recipe(arms=["pixels", "scratch"], training={"epochs": 7}))
        assert (pixels.recipe.training.epochs, scratch.recipe.training.epochs) == (None, 7)

    @pytest.mark.parametrize(
        ("arms", "said"),
        [
            (["pixels", "pixels"], "twice"),
            (["sprout+finetuned"], "finetune"),
            (["sprout@none+scratch"], "starts without weights"),
            (["sprout@nowhere.safetensors"], "no weights file"),
        ],
    )
    def test_an_arm_that_makes_no_sense_is_one_sentence(self, arms: list[str], said: str) -> None:
        with pytest.raises(UserError, match=said):
            arms_of(recipe(arms=arms))

    def test_an_unknown_key_of_a_study_shows_the_nearest(self) -> None:
        with pytest.raises(UnknownName, match="repeats"):
            recipe(repeat=3)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("pixels", "pixels"),
            ("scratch", "small_cnn+scratch"),
            ("sprout+finetune", "sprout+finetune=3"),
            ("sprout", "sprout@pretrained"),
        ],
    )
    def test_the_same_arm_written_in_two_ways_is_refused(self, one: str, other: str) -> None:
        with pytest.raises(UserError, match=f"one arm twice: {re.escape(one)} and {re.escape(other)}; leave one"):
            arms_of(recipe(arms=[one, "sprout@none", other]))

    def test_two_weights_files_of_one_name_are_not_called_the_same_arm(self, tmp_path: Path) -> None:
        files = [tmp_path / folder / "best.safetensors" for folder in "ab"]
        for file in files:
            file.parent.mkdir()
            file.write_bytes(b"weights")
        with pytest.raises(UserError, match=r"would both be called sprout@best; rename one of the files\."):
            arms_of(recipe(arms=[f"sprout@{file}" for file in files]))


class TestSubsets:
    def test_a_size_that_takes_every_labelled_picture_is_all_and_drawn_once(self, tmp_path: Path) -> None:
        """Repeats of one set of pictures would say that sets hardly differ."""
        data = {"source": str(photographs(tmp_path / "data", 10)), "limit": None}
        drawn = subsets(recipe(sizes=[2, 8], repeats=3, data=data))
        assert list(drawn.sizes) == ["2", "all"]
        assert [place for place in drawn.labelled if place[0] == "all"] == [("all", 0)]
        assert "Size 8 is called all: it takes every labelled picture, so there is one such subset." in drawn.notes

    def test_a_smaller_size_is_part_of_a_larger_one_and_repeats_differ(self) -> None:
        drawn = subsets(recipe(sizes=[2, 5, 10]))
        for repeat in (0, 1):
            small, middle, large = (set(drawn.labelled[size, repeat].tolist()) for size in ("2", "5", "10"))
            assert small < middle < large
        assert set(drawn.labelled["5", 0].tolist()) != set(drawn.labelled["5", 1].tolist())

    def test_every_class_gives_the_same_number_and_no_test_picture_is_learnt_from(self) -> None:
        drawn = subsets(recipe())
        for (size, _), rows in drawn.labelled.items():
            assert np.bincount(drawn.images.labels[rows]).tolist() == [int(size)] * 10
            assert not np.isin(rows, drawn.test).any()

    def test_an_arm_learns_from_all_labelled_pictures_and_all_cells_share_the_test_pictures(self) -> None:
        drawn = subsets(recipe())
        images, rows = drawn.cell(("5", 1))
        assert {part: int((images.parts == part).sum()) for part in ("train", "val")} == {"train": 50, "val": 0}
        assert rows[images.parts == "test"].tolist() == drawn.test.tolist()
        assert [drawn.images.names[i] for i in rows] == list(images.names)

    def test_a_limit_of_test_pictures_keeps_the_shares_of_the_classes(self) -> None:
        drawn = subsets(recipe(limit_test=50))
        assert np.bincount(drawn.images.labels[drawn.test]).tolist() == [5] * 10

    def test_sizes_beyond_the_data_are_left_out_with_a_note(self) -> None:
        drawn = subsets(recipe(sizes=[5, 500, "all"]))
        assert list(drawn.sizes) == ["5", "all"]
        assert drawn.sizes["all"] == pytest.approx(len(drawn.labelled["all", 0]) / 10)
        assert any(note.startswith("Sizes left out for lack of labelled pictures: 500;") for note in drawn.notes)

    def test_classes_without_a_test_picture_are_named(self) -> None:
        drawn = subsets(recipe(limit_test=5))
        assert any("test part has no picture of" in note and note.count("'") == 10 for note in drawn.notes)
        assert ("all", 1) not in drawn.labelled

    def test_all_sizes_too_large_is_one_sentence(self) -> None:
        with pytest.raises(DataError, match="no class has more than"):
            subsets(recipe(sizes=[5000]))
        with pytest.raises(DataError, match=r"no class has more than 1 labelled picture\."):
            subsets(recipe(sizes=[5, 20], data={"limit": 12}))

    def test_classes_with_too_few_pictures_are_named_with_what_a_study_takes(self, tmp_path: Path) -> None:
        (photographs(tmp_path / "one", 2, "a") / "dogs").mkdir()
        (photographs(tmp_path / "many", 9, "a") / "dogs").mkdir()
        empty = "Class folders that hold no picture are left out: 'dogs'."
        takes = "A study takes at least two classes with two labelled pictures each: one to learn from, one for the"
        for name, what in (
            ("one", f"no test pictures and too few to draw some from: a has 2. {empty} {takes} test."),
            ("many", f"too few classes with labelled pictures: a has 9. {empty} {takes} test."),
        ):
            with pytest.raises(DataError, match=re.escape(f"{name} has {what}")):
                subsets(recipe(data={"source": str(tmp_path / name), "limit": None}))
        with pytest.raises(DataError, match=r"too few to draw some from: a has 1, b has 1\. A study"):
            subsets(recipe(data={"source": str(photographs(tmp_path / "each", 1)), "limit": None}))

    def test_none_of_a_class_is_refused_and_one_is_not(self) -> None:
        with pytest.raises(DataError, match="smallest size is 1"):
            subsets(recipe(sizes=[0, 5]))
        drawn = subsets(recipe(sizes=[1, 5]))
        labelled = drawn.labelled["1", 0]
        assert sorted(drawn.images.labels[labelled]) == list(range(10))
        assert set(labelled) <= set(drawn.labelled["5", 0])


def table(study: Study) -> list[tuple[Any, ...]]:
    """The cells but for the seconds they took."""
    rows = pq.read_table(study.folder / "study.parquet").to_pylist()
    return [tuple(value for key, value in row.items() if key != "fit_s") for row in rows]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return compare(recipe(arms=["pixels", "sprout"]), tmp_path_factory.mktemp("study") / "digits")


class TestStudy:
    def test_the_folder_holds_every_table_and_a_verdict_for_the_pair(self, study: Study) -> None:
        names = {path.name for path in study.folder.iterdir()}
        assert {"study.toml", "study.csv", "study.parquet", "predictions.parquet", "verdicts.json"} <= names
        verdicts = json.loads((study.folder / "verdicts.json").read_text())
        assert [(c["first"], c["second"]) for c in verdicts["comparisons"]] == [("sprout", "pixels")]
        assert len(table(study)) == 2 * 2 * 2

    def test_accuracies_are_those_of_the_kept_predictions(self, study: Study) -> None:
        right: dict[tuple[str, str, int], list[bool]] = {}
        for row in pq.read_table(study.folder / "predictions.parquet").to_pylist():
            right.setdefault((row["arm"], row["size"], row["repeat"]), []).append(row["label"] == row["predicted"])
        for row in pq.read_table(study.folder / "study.parquet").to_pylist():
            assert np.mean(right[row["arm"], row["size"], row["repeat"]]) == pytest.approx(row["accuracy"])

    def test_a_cell_is_what_a_run_on_the_same_pictures_gives(self, study: Study) -> None:
        """The head on the cell's rows, fitted here from the pictures themselves."""
        from headstart.heads import make_head

        drawn = subsets(recipe(arms=["pixels"]))
        images, _ = drawn.cell(("5", 1))
        X = np.stack([images.read(i)[:, :, 0].reshape(-1) for i in range(len(images))]).astype(np.float32)
        X = X / np.float32(255)
        at = {part: images.parts == part for part in ("train", "test")}
        head = make_head("prototype").fit(X[at["train"]], images.labels[at["train"]])
        accuracy = float((head.predict(X[at["test"]]) == images.labels[at["test"]]).mean())
        assert study.results[0].cells["5", 1].accuracy == pytest.approx(accuracy)

    def test_the_same_command_again_computes_nothing(self, study: Study) -> None:
        stages: list[str] = []
        again = compare(recipe(arms=["pixels", "sprout"]), study.folder, lambda stage, *_: stages.append(stage))
        assert not [stage for stage in stages if "extract" in stage]
        assert table(again) == table(study)
        assert again.verdicts["comparisons"] == study.verdicts["comparisons"]

    def test_an_added_arm_and_repeat_leave_what_is_there(self, study: Study, tmp_path: Path) -> None:
        grown = compare(recipe(arms=["pixels", "sprout", "sprout@none"], repeats=3), study.folder)
        before = {row[:4]: row for row in table(study)}
        assert len(table(grown)) == 3 * 2 * 3
        whole = compare(recipe(arms=["pixels", "sprout", "sprout@none"], repeats=3), tmp_path / "at-once")
        assert table(grown) == table(whole)
        assert all(row == before[row[:4]] for row in table(grown) if row[:4] in before)

    def test_arms_that_train_a_network_may_have_fewer_repeats_and_pairs_share_what_both_have(
        self, tmp_path: Path
    ) -> None:
        def differences(study: Study) -> dict[tuple[str, str], float]:
            return {(c.first, c.second): c.verdict.difference.value for c in study.findings.comparisons}

        asked = {
            "arms": ["pixels", "sprout", "scratch"],
            "training": {"epochs": 1, "threads": 2},
            "sizes": [2],
            "limit_test": 60,
        }
        asked["head"] = {"name": "logistic"}
        study = compare(recipe(**asked, repeats=4, trained_repeats=2), tmp_path / "study")
        assert {arm.name: len(arm.curve[0].repeats) for arm in study.findings.arms} == {
            "pixels": 4,
            "sprout": 4,
            "scratch": 2,
        }
        two = differences(compare(recipe(**asked, repeats=2), tmp_path / "two"))
        four = differences(compare(recipe(**asked | {"arms": ["pixels", "sprout"]}, repeats=4), tmp_path / "four"))
        assert differences(study) == pytest.approx(two | four)
        assert any("2 of the 4 subsets of each size" in note for note in study.findings.notes)
        assert "4 repeats (2 of arms that train a network)" in facts(study.findings)

    def test_other_settings_in_the_same_folder_are_refused(self, study: Study) -> None:
        with pytest.raises(UserError, match="other settings"):
            compare(recipe(seed=5), study.folder)

    def test_a_folder_that_holds_something_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("mine")
        with pytest.raises(UserError, match="other files but no study"):
            compare(recipe(), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]

    def test_the_library_refuses_what_would_do_nothing_too(self) -> None:
        from headstart import compare, fit

        with pytest.raises(UserError, match="epochs: only for arms that train a network"):
            compare("digits", arms=["pixels", "sprout"], training={"epochs": 3})
        with pytest.raises(UserError, match="trained_repeats=11 is more than repeats=10"):
            compare("digits", arms=["pixels", "scratch"], trained_repeats=11)
        with pytest.raises(UserError, match="leave `weights` out"):
            fit("digits", method="pixels", weights="none")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--augment", "light"], "--augment light: only for arms that train a network"),
            (["--trained-repeats", "2"], "--trained-repeats 2: only for arms that train a network"),
            (["--arms", "pixels,scratch", "--trained-repeats", "11"], "is more than --repeats 10"),
            (["--arms", "pixels,scratch", "--why"], "--why changes one choice at a time of a transfer arm"),
            (["--plan", "--why"], "leave one of them out"),
        ],
    )
    def test_an_option_that_would_do_nothing_is_refused_before_any_fit(
        self, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["compare", "digits", "--arms", "pixels,sprout", "--out", str(tmp_path / "study"), *options]
        assert _main(command) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "study").exists()

    def test_a_verdict_over_all_sizes_that_is_about_one_is_that_ones(self, tmp_path: Path) -> None:
        """`all` is one set, and takes no part in the verdict over all sizes."""
        study = compare(recipe(arms=["pixels", "sprout"], sizes=[2, "all"], repeats=3), tmp_path / "study")
        (found,) = study.findings.comparisons
        assert found.by_size[0].difference == found.verdict.difference
        assert found.by_size[0].word == found.verdict.word

    def test_the_terminal_says_which_sizes_were_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["compare", "digits", "--arms", "pixels", "--sizes", "2,500", "--repeats", "2", "--limit", "100"]
        assert _main([*command, "--out", str(tmp_path / "study")]) == 0
        assert "Note: Sizes left out for lack of labelled pictures: 500; the largest class" in capsys.readouterr().out

    def test_one_arm_and_one_size_need_no_list(self) -> None:
        asked = api.study_recipe("digits", arms="pixels, sprout", sizes=5, repeats=2)
        assert (asked.arms, asked.sizes) == (["pixels", "sprout"], [5])

    def test_an_arm_that_fails_is_reported_and_the_others_go_on(self, tmp_path: Path) -> None:
        (tmp_path / "broken.safetensors").write_bytes(b"no weights")
        study = compare(recipe(arms=["pixels", f"sprout@{tmp_path / 'broken.safetensors'}"]), tmp_path / "study")
        arms = {arm["name"]: arm for arm in study.verdicts["arms"]}
        assert "broken.safetensors" in arms["sprout@broken"]["failed"]
        assert arms["pixels"]["failed"] is None
        assert len(arms["pixels"]["curve"]) == 2

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"arms": ["pixels", "sprot"]}, "sprout"),
            ({"arms": ["pixel", "sprout"]}, "did you mean pixels"),
            ({"arms": ["Scratch", "sprout"]}, "did you mean scratch"),
            ({"head": {"name": "prototyp"}}, "prototype"),
        ],
    )
    def test_a_misspelt_name_is_refused_before_anything_is_written(
        self, wrong: dict[str, Any], said: str, tmp_path: Path
    ) -> None:
        with pytest.raises(UnknownName, match=said):
            compare(recipe(**wrong), tmp_path / "study")
        assert not (tmp_path / "study").exists()

    def test_no_arm_that_works_is_an_error_with_the_reason(self, tmp_path: Path) -> None:
        (tmp_path / "broken.safetensors").write_bytes(b"no weights")
        with pytest.raises(UserError, match=r"No arm of the study worked.*broken\.safetensors"):
            compare(recipe(arms=[f"sprout@{tmp_path / 'broken.safetensors'}"]), tmp_path / "study")


class TestClaim:
    def test_it_is_the_first_transfer_arm_against_every_source_free_one(self) -> None:
        asked = recipe(arms=["pixels", "sprout", "sprout+finetune=1", "sprout@none"])
        assert primary_of(asked, arms_of(asked)) == ["sprout", "pixels", "sprout@none"]
        assert primary_of(asked, arms_of(asked), before=["sprout+finetune=1"])[0] == "sprout+finetune=1"
        alone = recipe(arms=["pixels"])
        assert primary_of(alone, arms_of(alone)) == []

    def test_an_arm_that_is_added_later_does_not_join_it(self) -> None:
        """Else what is called fixed in advance would change once results are seen."""
        grown = recipe(arms=["sprout@none", "pixels", "scratch", "sprout"])
        assert primary_of(grown, arms_of(grown), before=["sprout", "pixels", "scratch"]) == [
            "sprout",
            "pixels",
            "scratch",
        ]
        other = recipe(arms=["sprout", "sprout@none"])
        assert primary_of(other, arms_of(other), before=["sprout", "pixels"]) == ["sprout", "sprout@none"]

    def test_one_that_shrinks_once_results_are_seen_is_not_called_fixed_in_advance(self, tmp_path: Path) -> None:
        arms = ["sprout", "pixels", "sprout@none"]
        first = compare(recipe(arms=arms), tmp_path / "study")
        assert any(note.startswith("The claim, fixed in advance, is ") for note in first.findings.notes)
        fewer = compare(recipe(arms=["sprout", "pixels"]), tmp_path / "study")
        assert any(
            "It was sprout against pixels and sprout@none before, so it" in note for note in fewer.findings.notes
        )
        assert not any("fixed in advance, is" in note for note in fewer.findings.notes)

    def test_it_can_be_named_and_what_is_no_such_arm_is_refused(self) -> None:
        asked = recipe(arms=["pixels", "sprout", "sprout@none"], primary=["sprout", "sprout@none"])
        assert primary_of(asked, arms_of(asked)) == ["sprout", "sprout@none"]
        for names, said in ((["sprot", "pixels"], "sprot"), (["pixels", "sprout"], "one transfer arm")):
            with pytest.raises(UserError, match=said):
                primary_of(recipe(arms=["pixels", "sprout"], primary=names), arms_of(asked))

    def test_a_folder_keeps_what_was_named_first(self, study: Study) -> None:
        """Else one could name the arm that came out best."""
        assert (StudyRecipe.load(study.folder / "study.toml").primary or [])[:2] == ["sprout", "pixels"]
        grown = compare(recipe(arms=["sprout+grey=first", "sprout", "pixels"]), study.folder)
        assert grown.verdicts["study"]["primary"] == [{"first": "sprout", "second": "pixels"}]
        assert grown.findings.main() == grown.findings.comparisons[0]
        assert grown.findings.headline == grown.findings.comparisons[0].sentence

    def test_one_set_of_pictures_says_nothing_of_transfer_in_general(self, tmp_path: Path) -> None:
        once = compare(recipe(arms=["pixels", "sprout"], repeats=1), tmp_path / "study")
        assert once.findings.headline.startswith("With this set of labelled pictures, ")
        assert once.findings.comparisons[0].one_set and once.findings.comparisons[0].verdict.sign == 0

    @pytest.mark.parametrize(
        ("head", "parameters"), [("logistic", 650), ("ridge", 650), ("prototype", 640), ("knn", 0)]
    )
    def test_the_trained_parameters_of_an_arm_are_the_weights_and_biases_of_its_head(
        self, head: str, parameters: int, tmp_path: Path
    ) -> None:
        """64 pixels and 10 classes; flags, scales and temperatures are none, nor are the pictures that knn keeps."""
        study = compare(recipe(head={"name": head}, sizes=[2], repeats=1), tmp_path / "study")
        assert study.findings.arms[0].trained_parameters == parameters

    def test_a_plan_uses_the_quickest_arms_and_its_fits_are_used_again(self, tmp_path: Path) -> None:
        asked = recipe(arms=["scratch", "pixels", "sprout"], sizes=[2], margin=0.2)
        found, words = plan(asked, tmp_path / "study")
        assert words == "features of sprout against raw pixels"
        assert found.repeats is not None and found.gain == 0.2
        assert len(list((tmp_path / "study").glob("cells/*/2-*.json"))) == 10
        kept = StudyRecipe.load(tmp_path / "study" / "study.toml")
        assert kept.primary == ["sprout", "scratch", "pixels"], (
            "the pilot leaves an arm out, the study to come does not"
        )
        with pytest.raises(UserError, match="a transfer arm and a source-free one"):
            plan(recipe(), tmp_path / "other")

    def test_a_plan_leaves_what_the_study_in_the_folder_came_to(self, tmp_path: Path) -> None:
        asked = recipe(arms=["sprout", "pixels", "sprout@none"], sizes=[2], margin=0.2)
        compare(asked, tmp_path / "study")
        files = [tmp_path / "study" / name for name in ("verdicts.json", "study.csv", "study.toml")]
        before = [file.read_bytes() for file in files]
        plan(asked, tmp_path / "study")
        assert [file.read_bytes() for file in files] == before

    def test_a_plan_is_told_as_a_table_and_says_what_the_data_lack(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Digits has 1,797 pictures, also where the study is judged by fewer."""
        command = ["compare", "digits", "--arms", "pixels,sprout", "--sizes", "2", "--limit-test", "20", "--plan"]
        assert _main([*command, "--set", "C=1", "--margin", "5", "--out", str(tmp_path / "study")]) == 0
        printed = capsys.readouterr().out
        assert "That is more than the data have: 1,797 pictures in all." in printed
        assert "The smallest true difference that 4 studies in 5 find, on 20 test pictures:" in printed
        rows = [line.split() for line in printed.splitlines()]
        table = rows[rows.index(["repeats", "points"]) + 1 :]
        assert [row[0] for row in table[:11]] == ["3", "5", "7", "10", "15", "20", "30", "40", "50", "70", "100"]
        assert all(len(row) == 2 and float(row[1]) > 0 for row in table[:11])


def test_a_process_that_was_ended_fails_its_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        """A process, the first of which ends at its first cell."""

        started = 0

        def __init__(self, command: str) -> None:
            self.ended, self.fails = None, Short.started == 0
            Short.started += 1
            self.process = self

        def poll(self) -> int | None:
            return self.ended

        def fit(self, where: Where) -> str | None:
            if self.fails:
                self.ended = 9
                return "its process ended"
            return None

        def end(self) -> None:
            self.ended = 0

    monkeypatch.setattr(networks, "_Worker", Short)
    kept = SimpleNamespace(folder="kept", cell=lambda size, repeat, pictures: repeat)
    arm, settings = SimpleNamespace(name="arm"), SimpleNamespace(store=None)
    cells = [Where("1", repeat, 2) for repeat in range(4)]
    crew = networks.Networks(None, None, arm, None, kept, settings)  # type: ignore[arg-type]
    told = list(crew._in_processes(Path("study"), cells, 1))
    assert told == ["1 labelled picture per class: its process ended", 1, 2, 3] and Short.started == 2


@pytest.mark.slow
def test_an_experiment_changes_one_choice_of_the_transfer_arm(tmp_path: Path) -> None:
    """Digits are grey, so how they are shown makes a difference; pixels are no frozen features."""
    asked = recipe(arms=["pixels", "sprout"], sizes=[2], data={"limit": 300})
    done = why(asked, compare(asked, tmp_path / "study"))
    told = list(done.findings.experiments or ())
    assert list(api.load_study(done.folder).findings.experiments or ()) == told
    page = write_study_report(done.folder).read_text()
    assert all(f"<li>{sentence.partition(':')[0]}:" in page for sentence in told) and 'href="#reasons"' in page
    assert [each.partition(":")[0] for each in told] == [
        "With features of the layer last_conv", "With pictures shown at 96 pixels",
        "With grey in one channel", "With grey in false colours",
    ]  # fmt: skip
    with pytest.raises(UserError, match="frozen features"):
        why(recipe(), compare(recipe(), tmp_path / "other"))


def test_the_interval_of_an_experiment_allows_for_a_small_pool_as_that_of_two_arms_does(tmp_path: Path) -> None:
    asked = recipe(data={"limit": 100}, arms=["pixels", "sprout"], sizes=[6], repeats=3)
    done = why(asked, compare(asked, tmp_path / "study"))

    def right(folder: Path) -> list[bool]:
        rows = pq.read_table(folder / "predictions.parquet").to_pylist()
        return [row["label"] == row["predicted"] for row in rows if row["arm"] != "pixels"]

    tried = {each.words: right(done.folder / "why" / each.name) for each in experiments(asked, "sprout")}
    answered = np.array([right(done.folder), *tried.values()]).reshape(len(tried) + 1, 1, 3, -1)
    answers = Answers(("as it is", *tried), np.array([6.0]), answered, pool=subsets(asked).pool)
    pairs = [Pair(words, "as it is", transfer=False) for words in tried]
    pairs = [pair for pair, one in zip(pairs, answered[1:], strict=True) if (one != answered[0]).any()]
    for sentence, found in zip(done.findings.experiments or (), compare_all(answers, pairs), strict=True):
        gap = found.verdict.difference
        assert gap.low is not None and gap.high is not None
        assert f"({signed(gap.low)} to {signed(gap.high)})" in sentence


class TestPictures:
    def test_test_pictures_that_are_near_copies_count_as_one(self, tmp_path: Path) -> None:
        folder, test = photographs(tmp_path / "data"), photographs(tmp_path / "test", 10)
        for path in list(test.rglob("*.png")):
            path.with_stem(f"{path.stem} again").write_bytes(path.read_bytes())
        data = {"source": str(folder), "test": str(test)}
        asked = recipe(data=data, arms=["pixels", "sprout@none"], sizes=[2])
        study = compare(asked, tmp_path / "study")
        groups = study.results[0].about["near"]
        assert groups and all(len(each) == 2 for each in groups)
        assert any("are near copies of others" in note for note in study.verdicts["notes"])
        assert study.verdicts["comparisons"][0]["parts"]["n"] == study.verdicts["study"]["n_test"] - len(groups)

    def test_pictures_of_one_group_are_not_called_near_copies(self, tmp_path: Path) -> None:
        folder = photographs(tmp_path / "data")
        paths = sorted(folder.rglob("*.png"))
        rows = [f"{path.relative_to(folder)},{path.parent.name},patient {i // 2}" for i, path in enumerate(paths)]
        (folder / "table.csv").write_text("\n".join(["image,label,group", *rows]))
        study = compare(
            recipe(data={"source": str(folder / "table.csv"), "limit": None}, sizes=[2]), tmp_path / "study"
        )
        said = [note for note in study.verdicts["notes"] if "count each group as one" in note]
        assert len(said) == 1 and "test pictures belong to a group of the data or are near copies of others;" in said[0]

    def test_broken_pictures_are_left_out_of_every_arm_and_listed(self, tmp_path: Path) -> None:
        folder = photographs(tmp_path / "data")
        (folder / "a" / "03.png").write_bytes(b"not a picture")
        study = compare(recipe(data={"source": str(folder)}, arms=["pixels", "sprout@none"]), tmp_path / "study")
        names = set(pq.read_table(study.folder / "predictions.parquet").column("name").to_pylist())
        assert "a/03.png" not in names
        assert "a/03.png" in (study.folder / "refused.csv").read_text() or "a/03.png" not in _used(folder)

    def test_a_picture_changed_under_its_name_is_seen(self, tmp_path: Path) -> None:
        folder = photographs(tmp_path / "data")
        asked = recipe(data={"source": str(folder)}, sizes=[2, "all"])
        before = compare(asked, tmp_path / "study").results[0].cells
        for path in (folder / "a").iterdir():  # now the class is blue, too
            Image.fromarray(np.full((20, 24, 3), (0, 250, 0), np.uint8)).save(path)
        after = compare(asked, tmp_path / "study").results[0].cells
        fresh = compare(asked, tmp_path / "fresh").results[0].cells
        assert {key: cell.predicted for key, cell in after.items()} == {k: c.predicted for k, c in fresh.items()}
        assert all(before[key].pictures != after[key].pictures for key in before)


def _used(folder: Path) -> set[str]:
    return set(subsets(recipe(data={"source": str(folder)})).images.names)


def cells(folder: Path) -> int:
    """How many cells of a study are kept."""
    return len(list(folder.glob("cells/*/[25]-*.json")))


class TestStopped:
    @pytest.mark.slow
    @pytest.mark.exhaustive
    def test_killed_at_random_moments_it_ends_with_the_same_answers(self, tmp_path: Path) -> None:
        arms = "pixels,scratch,sprout"
        command = [
            sys.executable, "-c", "from headstart.cli import main; main()", "compare", "digits", "--arms", arms,
            "--sizes", "2,5", "--repeats", "2", "--train", "epochs=3",
        ]  # fmt: skip
        whole = subprocess.run([*command, "--out", str(tmp_path / "whole")], capture_output=True, text=True, check=True)
        assert "Report" in whole.stdout
        chance, kills = random.Random(3), 0
        for _ in range(2):
            done = cells(tmp_path / "killed")
            process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
            while cells(tmp_path / "killed") <= done and process.poll() is None:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 2))
            os.kill(process.pid, signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        assert kills
        subprocess.run([*command, "--out", str(tmp_path / "killed")], check=True, capture_output=True)
        tables = [pq.read_table(tmp_path / name / "predictions.parquet") for name in ("whole", "killed")]
        assert tables[0].to_pylist() == tables[1].to_pylist()
