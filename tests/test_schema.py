"""What this program wrote into a folder it reads again, key by key; folders of before there was a schema too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import UserError
from headstart.report import write_report
from headstart.report.ranking import write_ranking_report
from headstart.report.study import write_study_report
from headstart.schema import verdicts
from headstart.schema.files import from_json, to_json
from headstart.schema.ranking import RankingContent
from headstart.schema.scores import RunScores
from headstart.schema.verdicts import Verdicts
from old_folders import RANKING, SCORES, VERDICTS

OLD: dict[str, tuple[type, str]] = {
    "verdicts.json": (Verdicts, VERDICTS),
    "ranking.json": (RankingContent, RANKING),
    "scores.json": (RunScores, SCORES),
}


def old(name: str) -> Any:
    """The content of an old file."""
    return json.loads(OLD[name][1].replace("\n", " "))


@pytest.mark.parametrize("name", OLD)
def test_a_file_comes_back_with_the_same_keys_in_the_same_order(name: str) -> None:
    """So that nothing that reads these files, ours or not, notices that they are written by dataclasses."""
    assert json.dumps(to_json(from_json(OLD[name][0], old(name)))) == json.dumps(old(name))


@pytest.mark.parametrize("name", OLD)
def test_keys_of_later_versions_are_left_out_and_another_schema_is_refused(name: str) -> None:
    kind = OLD[name][0]
    assert from_json(kind, old(name) | {"later": 1}) == from_json(kind, old(name))
    with pytest.raises(ValueError, match=r"^schema: "):
        from_json(kind, old(name) | {"schema": 2})


def test_a_study_of_before_the_schema_has_its_page(tmp_path: Path) -> None:
    (tmp_path / "verdicts.json").write_text(json.dumps(old("verdicts.json")))
    study = verdicts.read(tmp_path)
    assert study.main() == study.comparisons[0] and study.training[0].points[1].step == 2
    page = write_study_report(tmp_path).read_text()
    assert f"<h1>{study.headline}</h1>" in page
    assert all(reason.sentence in page for block in study.reasons for reason in block.reasons)


def test_a_ranking_of_before_the_schema_has_its_page(tmp_path: Path) -> None:
    (tmp_path / "ranking.json").write_text(json.dumps(old("ranking.json")))
    page = write_ranking_report(tmp_path).read_text()
    assert old("ranking.json")["advice"]["headline"] in page


def test_a_run_of_before_the_schema_has_its_page(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(old("scores.json")))
    page = write_report(tmp_path).read_text()
    assert "28 test pictures that copy no training picture named correctly" in page and "593,098 parameters" in page
    assert all(note in page for note in old("scores.json")["notes"])


def test_text_that_is_no_unicode_and_numbers_that_are_none(tmp_path: Path) -> None:
    """A class may be named after a folder whose name is half a character; NaN is no number."""
    study = old("verdicts.json")
    study["study"]["classes"] = ["\udcff", "b"]
    assert to_json(from_json(Verdicts, study)) == study
    (tmp_path / "verdicts.json").write_text(json.dumps(study | {"arms": [{"total_s": float("nan")}]}))
    with pytest.raises(UserError, match="NaN is not a number"):
        verdicts.read(tmp_path)
