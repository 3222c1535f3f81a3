"""The card of a bundle says what it is, how good it is, and what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart import api, bundle, card
from headstart import manifest as manifests
from headstart.schema.scores import RunScores, read


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "digits-by-pixels"
    options: dict[str, Any] = {"method": "pixels", "head": "prototype", "limit": 200, "evaluate": "holdout"}
    return api.fit("digits", store=False, out=folder, **options).folder


@pytest.fixture
def scores(run: Path) -> RunScores:
    return read(run)


def header(text: str) -> dict[str, Any]:
    """The keys of the metadata, each a line of JSON, which is YAML too."""
    lines = text.split("---\n")[1].splitlines()
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}


def told(run: Path, scores: RunScores, **about: Any) -> str:
    return card.card(replace(scores, run=replace(scores.run, **about)), manifests.read(run / "bundle"))


def test_a_bundle_has_a_card_with_the_hubs_metadata_and_still_loads(run: Path, scores: RunScores) -> None:
    text = (run / "bundle" / card.FILE).read_text()
    found = header(text)
    assert (found["library_name"], found["pipeline_tag"]) == ("headstart", "image-classification")
    metrics = {m["type"]: m["value"] for m in found["model-index"][0]["results"][0]["metrics"]}
    assert metrics["accuracy"] == pytest.approx(scores.after["test"].accuracy, abs=1e-6)
    assert bundle.load_classifier(run).classes == tuple("0123456789")


def test_a_card_tells_the_interval_the_false_alarms_and_the_licence_of_the_code(run: Path) -> None:
    text = (run / "bundle" / card.FILE).read_text()
    assert "95% interval" in text
    assert "of its test pictures" in text
    assert "Apache-2.0" in text


def test_weights_that_forbid_commercial_use_are_told_before_anything_else(run: Path, scores: RunScores) -> None:
    text = told(run, scores, backbone="a", licence="cc-by-nc-4.0", method="features")
    assert text.split("---\n\n", 1)[1].startswith("> **The network's weights do not allow commercial use**")
    assert header(text)["license"] == "cc-by-nc-4.0"
    assert header(told(run, scores, backbone="a", licence="strange"))["license_name"] == "strange"


def test_a_card_shows_names_and_runs_none(run: Path, scores: RunScores) -> None:
    text = told(run, scores, backbone="<script>|a\n# b", data="/home/someone/private/photos")
    assert "<script>" not in text.split("---\n")[2]
    assert "\n# b" not in text
    assert "someone" not in text
    assert "photos" in text
