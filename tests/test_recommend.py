"""Which networks are recommended: nothing that another beats, nothing that takes too long, and why."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from typer.testing import CliRunner

from headstart.backbones.encoders import usual_layer
from headstart.backbones.sources import find
from headstart.cli.commands import app
from headstart.ranking.recommend import Pick, short_list


def pick(name: str, top1: float | None, rate: float, images: int = 1000) -> Pick:
    return Pick(name, top1, "linear probe", "a paper", rate, images / rate, 224, "apache-2.0", "it is so")


def test_what_another_beats_in_accuracy_and_speed_is_left_out() -> None:
    """The most accurate comes first, the quickest last, and each says what it gives up for what."""
    found = short_list([pick("quick", 70, 100), pick("beaten", 69, 90), pick("best", 85, 10), pick("between", 80, 40)])
    assert [each.name for each in found] == ["best", "between", "quick"]
    assert found[0].why == "the most accurate that takes no more than an hour: it is so"
    assert found[1].why == "4 times as fast for 5.0 points less: it is so"
    assert found[2].why.startswith("the quickest, 10 times as fast for 15.0 points less")


def test_what_takes_over_an_hour_is_left_out_unless_nothing_else_is_there() -> None:
    """A hundred thousand pictures at ten a second are nearly three hours."""
    slow, quick = pick("slow", 85, 10, 100_000), pick("quick", 70, 100, 100_000)
    assert [each.name for each in short_list([slow, quick])] == ["quick"]
    assert [each.name for each in short_list([slow])] == ["slow"]


def test_a_network_without_a_published_figure_is_kept_beside_the_others() -> None:
    """sprout, for small pictures."""
    found = short_list([pick("quick", 70, 100), pick("sprout", None, 50)])
    assert [(each.name, each.why) for each in found] == [("quick", "the best deal: it is so"), ("sprout", "it is so")]


def test_no_more_than_a_handful_are_shown() -> None:
    """The quickest is always among them."""
    found = short_list([pick(f"n{i}", 90 - i, 10 + i) for i in range(9)])
    assert [each.name for each in found] == ["n0", "n1", "n2", "n8"]


def test_every_network_of_the_table_exists_and_has_its_source() -> None:
    """In this version of timm; those with a linear probe are read as that paper reads them."""
    text = files("headstart.backbones").joinpath("recommended.toml").read_text(encoding="utf-8")
    for row in tomllib.loads(text)["network"]:
        assert find(row["name"]) == f"timm:{row['name']}" and row["source"] and row["why"]
        assert ("top1" in row) == (row["how"] == "linear probe")
        if "dinov2" in row["name"]:
            assert usual_layer(f"timm:{row['name']}") == "cls+mean"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_command_prints_a_short_list_with_reasons() -> None:
    """Measured here."""
    done = CliRunner().invoke(app, ["backbones", "--recommend", "--images", "500", "--size", "64", "--no-gpu"])
    assert done.exit_code == 0 and "sprout" in done.output and "the quickest" in done.output
