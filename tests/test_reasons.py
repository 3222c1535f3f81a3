"""Reasons rest on measured quantities: the measures are right, and each reason fires where it should and says so."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.evidence.facts import ArmFacts
from headstart.evidence.overlap import Overlap
from headstart.evidence.reasons import GAINS, RULES, reasons
from headstart.images import load
from headstart.preprocess import Preprocess
from headstart.study.measures import cut_share, dead_share, overlap, saturated_share, spread_of_scales

BLANK = ArmFacts(name="net")
NONE_KNOWN = Overlap("the 1,000 of ImageNet", 0, 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_of_dead_and_saturated_columns_are_counted_over_all_blocks(dtype: Any) -> None:
    X = np.random.default_rng(0).normal(size=(10_000, 400)).astype(dtype)  # more than one block
    X[:, :40] = 7.5
    X[:, 40:60] = np.minimum(X[:, 40:60], -1.4)  # 92% at the top
    X[:, 60:80] = np.minimum(X[:, 60:80], -1.1)  # 86%
    assert dead_share(X) == 0.1
    assert saturated_share(X) == 0.05


def test_the_spread_of_scales_ignores_dead_columns_and_outliers() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 100)) * np.repeat([1.0, 50.0], 50) + 3
    X[:, 0], X[:, 1] = 3.0, 1e6 * X[:, 1]
    assert spread_of_scales(X) == pytest.approx(50, rel=0.1)
    assert spread_of_scales(np.ones((5, 3))) == 1.0


def test_the_cut_is_what_the_centre_crop_leaves_out() -> None:
    assert cut_share(Preprocess(224, 224, crop_pct=1.0), 300, 300) == 0.0
    assert cut_share(Preprocess(224, 224, crop_pct=0.875), 512, 512) == pytest.approx(1 - 0.875**2)
    assert cut_share(Preprocess(224, 224, crop_pct=1.0), 300, 600) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("cat", "tabby cat"),
        ("Cats", "tabby cat"),
        ("ants", "ant"),
        ("bees", "bee"),
        ("golden_retriever", "golden retriever"),
        ("T-shirt/top", "T-shirt"),
        ("n02119789", "kit fox, Vulpes macrotis"),
        ("ca", None),
        ("football", None),  # a football helmet is none
        ("7", None),
        ("1024", None),
        ("t", None),
        ("", None),
    ],
)
def test_class_names_match_the_last_whole_words_of_imagenets_names(name: str, known: str | None) -> None:
    found = overlap([name], "imagenet")
    assert found is not None
    assert dict(found.examples).get(name) == known
    assert found.known == (known is not None)


def test_sprout_knows_letters_and_textures_but_no_digits_and_no_animals() -> None:
    found = overlap(["A", "g", "textures", "7", "cat"], "sprout")
    assert found is not None
    assert (found.known, found.total) == (3, 5)


def test_an_unknown_source_gives_no_overlap() -> None:
    assert overlap(["cat"], "somewhere") is None


def test_imagenets_names_are_found_without_importing_timm_or_torch() -> None:
    code = (
        "import sys; from headstart.study.measures import overlap; from headstart.evidence import reasons;"
        "assert overlap(['cat'], 'imagenet').known; assert not {'timm', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("random", {"pretrained": False}, {"pretrained": True}, "random"),
    ("rows", {"features": 62_720, "rows": 40, "penalised": False}, {"penalised": True}, "62,720 features for 40"),
    ("unconverged", {"converged": 0.2, "fits": 25}, {"converged": 1.0}, "20 of 25 fits"),
    ("dead", {"dead_share": 0.37}, {"dead_share": 0.05}, "37%"),
    ("saturated", {"saturated_share": 0.25}, {"saturated_share": 0.05}, "25%"),
    ("unscaled", {"standardised": False, "scale_spread": 310.0}, {"standardised": True}, "310-fold"),
    ("overlap", {"overlap": NONE_KNOWN}, {"overlap": replace(NONE_KNOWN, known=9)}, "None of the 10 classes"),
    ("grey", {"grey_share": 1.0, "colour_source": True}, {"colour_source": False}, "All pictures are grey"),
    ("input", {"input_side": 32.0, "own_side": 224.0}, {"input_side": 128.0}, "inputs of 224 pixels but gets 32 here:"),
    ("enlargement", {"picture_side": 28.0, "input_side": 224.0}, {"input_side": 32.0}, "28 pixels are enlarged 8.0"),
    ("background", {"constant_share": 0.81}, {"constant_share": 0.3}, "81%"),
    ("crop", {"cuts": 0.5}, {"cuts": 1 - 0.875**2}, "50%"),
]


@pytest.mark.parametrize(("key", "facts", "without", "words"), CASES, ids=[case[0] for case in CASES])
def test_each_reason_fires_alone_with_its_quantity_in_its_sentence_and_not_without_its_cause(
    key: str, facts: dict[str, Any], without: dict[str, Any], words: str
) -> None:
    (found,) = reasons(replace(BLANK, **facts), gain=-1)
    assert found.key == key
    assert words in found.sentence
    assert found.sentence.endswith(".")
    assert reasons(replace(BLANK, **facts | without), gain=-1) == ()


def test_there_is_a_case_for_every_rule_and_reasons_come_in_the_order_of_the_rules() -> None:
    everything = {key: value for _, facts, _, _ in CASES for key, value in facts.items()}
    found = {reason.key for reason in reasons(replace(BLANK, **everything), gain=-1)}
    assert len(CASES) == len(RULES)
    learnt = {"overlap", "grey", "input"}  # random weights learnt nothing that these pictures could be unlike
    assert found == {case[0] for case in CASES} - learnt
    trained = reasons(replace(BLANK, **everything | {"pretrained": True}), gain=-1)
    order = [
        "rows",
        "unconverged",
        "dead",
        "unscaled",
        "saturated",
        "overlap",
        "grey",
        "enlargement",
        "background",
        "crop",
    ]
    assert [reason.key for reason in trained] == order


def test_beside_a_good_verdict_only_trouble_is_told() -> None:
    everything = {key: value for _, facts, _, _ in CASES for key, value in facts.items()}
    keys = [reason.key for reason in reasons(replace(BLANK, **everything), gain=1)]
    assert keys == ["rows", "unconverged"]
    keys = [reason.key for reason in reasons(replace(BLANK, **everything | {"dead_share": 0.6}), gain=1)]
    assert keys == ["rows", "unconverged", "dead"]


def test_where_the_input_is_too_small_it_is_told_and_not_that_pictures_are_enlarged_to_it() -> None:
    """A larger input would help there, though pictures would be enlarged the more."""
    facts = replace(BLANK, picture_side=8.0, input_side=32.0, own_side=224.0)
    assert [reason.key for reason in reasons(facts, gain=-1)] == ["input"]
    assert [reason.key for reason in reasons(replace(facts, own_side=32.0), gain=-1)] == ["enlargement"]


def test_where_transfer_is_ahead_and_chance_may_have_done_it_only_trouble_is_told() -> None:
    known = Overlap("the 1,000 of ImageNet", 2, 2, (("cats", "tabby cat"),))
    facts = replace(BLANK, cuts=0.5, grey_share=1.0, colour_source=True, overlap=known, converged=0.5, fits=4)
    assert [reason.key for reason in reasons(facts, gain=0)] == ["unconverged"]


def test_without_a_penalty_scales_are_no_reason_once_enough_rows_have_settled_the_solution() -> None:
    facts = replace(BLANK, standardised=False, scale_spread=310.0, penalised=False, rows=500, features=100)
    assert reasons(facts, gain=-1) == ()
    assert [r.key for r in reasons(replace(facts, rows=50), gain=-1)] == ["rows", "unscaled"]


@pytest.mark.data
@pytest.mark.parametrize(("data", "known"), [("cats_vs_dogs", 2), ("hymenoptera", 2), ("mnist", 0)])
def test_real_classes_that_imagenet_names(data_dir: Path, data: str, known: int) -> None:
    classes = load(data_dir / data).classes
    found = overlap(classes, "imagenet")
    assert found is not None
    assert (found.known, found.total) == (known, len(classes))


def test_where_transfer_helped_the_likeness_to_the_source_is_told_with_its_figures() -> None:
    """Cats and dogs on a network of ImageNet: known classes, colour, detail; not beside a weak verdict."""
    known = Overlap("the 1,000 of ImageNet", 2, 2, (("cats", "tabby cat"),))
    facts = replace(BLANK, overlap=known, colour_source=True, grey_share=0.02, picture_side=375.0, input_side=224.0)
    found = {reason.key: reason for reason in reasons(facts, gain=1)}
    assert list(found) == ["known", "colour", "detail"] and len(GAINS) == 3
    assert found["known"].sentence.startswith("2 of 2 classes are named among the 1,000 of ImageNet (cats: tabby cat)")
    assert found["colour"].sentence == "98% of the pictures are in colour, like the photographs that net learnt on."
    assert found["detail"].measured == 375 / 224 and reasons(facts, gain=-1) == ()
    assert reasons(replace(facts, pretrained=False), gain=1) == ()
