"""A backbone is written `NAME[:LAYER][@WEIGHTS]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.backbones.spelling import parse, parse_list, short, spell
from headstart.errors import UnknownName, UserError


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `w` with files in it, beside the current folder."""
    (tmp_path / "w").mkdir()
    (tmp_path / "here").mkdir()
    for name in ("own.onnx", "a@b.onnx", "mobilenetv2_100.safetensors"):
        (tmp_path / "w" / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "w"


@pytest.mark.parametrize(
    ("text", "name", "weights", "layer"),
    [
        ("sprout", "sprout", "pretrained", "auto"),
        (" sprout@none ", "sprout", "none", "auto"),
        ("MobileNetV2:last_conv", "MobileNetV2", "pretrained", "last_conv"),
        ("timm:resnet18", "timm:resnet18", "pretrained", "auto"),
        ("torchvision:squeezenet1_0:features.12@none", "torchvision:squeezenet1_0", "none", "features.12"),
        ("embedded:sprout", "embedded:sprout", "pretrained", "auto"),
        ("resnet18.a1_in1k:layer3@imagenet", "resnet18.a1_in1k", "imagenet", "layer3"),
    ],
)
def test_name_layer_and_weights_are_told_apart(text: str, name: str, weights: str, layer: str) -> None:
    assert parse(text) == {"name": name, "weights": weights, "layer": layer}


@pytest.mark.parametrize("folder", ["../w", "~/w", "{files}"])
def test_files_become_absolute_paths(files: Path, folder: str) -> None:
    folder = folder.format(files=files)
    weights = str(files / "mobilenetv2_100.safetensors")
    assert parse(f"mobilenetv2_100@{folder}/mobilenetv2_100.safetensors")["weights"] == weights
    found = {"name": str(files / "own.onnx"), "weights": "pretrained", "layer": "last_conv"}
    assert parse(f"{folder}/own.onnx:last_conv") == found
    assert parse(f"own.onnx:last_conv@{folder}/own.onnx") == found
    assert parse(f"onnx:{folder}/own.onnx:last_conv") == found


def test_an_onnx_file_may_have_an_at_in_its_name(files: Path) -> None:
    assert parse("../w/a@b.onnx")["name"] == str(files / "a@b.onnx")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no name"),
        ("@none", "has no name"),
        ("timm:", "has no name"),
        ("sprout:", "no layer after its colon"),
        ("sprout@", "no weights after its @"),
        ("sprout@../w/none.safetensors", "there is no weights file"),
        ("sprout@pretraned", "did you mean pretrained"),
        ("../w/none.onnx", "there is no file"),
        ("own.onnx@none", "holds its own weights"),
        ("sprout@../w/own.onnx", "whole network"),
    ],
)
def test_a_mistake_is_one_sentence_that_repeats_what_was_written(files: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as mistake:
        parse(text)
    assert words in str(mistake.value)
    assert text in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_an_unknown_word_for_weights_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="sprout@random"):
        parse("sprout@random")


@pytest.mark.parametrize("text", ["sprout", "timm:vgg16:features.3@none", "~/w/own.onnx:last_conv"])
def test_what_is_spelled_is_read_back(files: Path, text: str) -> None:
    assert parse(spell(parse(text))) == parse(text)


def test_several_have_commas_between_them(files: Path) -> None:
    assert [s["name"] for s in parse_list("sprout, ResNet50:layer3,")] == ["sprout", "ResNet50"]
    with pytest.raises(UserError, match="No backbone was named"):
        parse_list(" , ")


def test_the_short_name_says_the_weights_only_where_they_say_more(files: Path) -> None:
    texts = "timm:mobilenetv2_100@../w/mobilenetv2_100.safetensors,sprout@none,../w/own.onnx:last_conv,sprout"
    assert [short(s) for s in parse_list(texts)] == ["mobilenetv2_100", "sprout@none", "own:last_conv", "sprout"]
