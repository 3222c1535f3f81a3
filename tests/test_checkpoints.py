"""Checkpoints as training scripts write them fit the network, and a note says what was done."""

from __future__ import annotations

import argparse
import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from headstart.backbones import Backbone, resolve
from headstart.backbones.plain_pickle import is_plain
from headstart.errors import WeightsError

NAME = "test_resnet"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=5).state_dict()


def under(prefix: str, state: State) -> State:
    return {prefix + k: v.clone() for k, v in state.items()}


def resolved(path: Path, content: Any) -> Backbone:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return resolve(f"timm:{NAME}", path)


def same(backbone: Backbone, state: State) -> bool:
    own = backbone.network().state_dict()
    return own.keys() <= state.keys() and all(torch.equal(own[k], state[k]) for k in own)


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
    "model": lambda s: {"model": s, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}},
    "arguments": lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1), "arch": "resnet"},
}


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "backbone.", "encoder.", "module.model.", "x.y."]
)
@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar"])
def test_one_prefix_before_every_name_is_taken_off_in_every_format(
    tmp_path: Path, state: State, prefix: str, ending: str
) -> None:
    backbone = resolved(tmp_path / f"w{ending}", under(prefix, state))
    assert same(backbone, state)
    assert backbone.notes[0] == f"w{ending}: The prefix '{prefix}' was removed from the names of the weights."


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_what_training_scripts_keep_beside_the_weights_is_passed_over(
    tmp_path: Path, state: State, wrapping: str
) -> None:
    assert same(resolved(tmp_path / "w.ckpt", WRAPPINGS[wrapping](under("model.", state))), state)


def test_of_trained_and_averaged_weights_the_trained_ones_are_taken_and_the_note_says_so(
    tmp_path: Path, state: State
) -> None:
    averaged = {k: v + 1 for k, v in state.items()}
    backbone = resolved(tmp_path / "w.pth", {"state_dict_ema": averaged, "state_dict": state})
    assert same(backbone, state)
    assert "Of the 2 sets of weights in the file, 'state_dict' was used, not 'state_dict_ema'." in backbone.notes[1]


def test_another_classifier_head_is_left_out_with_a_note(tmp_path: Path, state: State) -> None:
    body = {k: v for k, v in state.items() if not k.startswith("fc.")}
    for i, head in enumerate(({"head.0.weight": torch.ones(3, 4)}, {"fc.1.weight": torch.ones(3, 4)})):
        backbone = resolved(tmp_path / f"{i}.safetensors", {**body, **head})
        assert same(backbone, body)
        block = next(iter(head)).partition(".")[0]
        assert backbone.notes[0].endswith(f"Not used, because no feature needs them: 1 tensor ({block} 1).")


def test_more_of_a_block_that_the_network_has_is_another_architecture(tmp_path: Path, state: State) -> None:
    deeper = {**state, "layer1.7.conv1.weight": torch.ones(1)}
    with pytest.raises(WeightsError, match=r"1 tensor unexpected: layer1\.7\.conv1\.weight"):
        resolved(tmp_path / "w.pth", deeper)


def test_what_is_missing_is_named_by_block(tmp_path: Path, state: State) -> None:
    part = {k: v for k, v in state.items() if not k.startswith(("layer2", "layer3"))}
    gone = [sum(k.startswith(f"layer{i}") and "num_batches" not in k for k in state) for i in (2, 3)]
    with pytest.raises(WeightsError) as told:
        resolved(tmp_path / "w.pth", under("module.", part))
    assert f"{sum(gone)} tensors missing: layer2" in str(told.value)
    assert f"({sum(gone)} tensors (layer2 {gone[0]}, layer3 {gone[1]}))" in str(told.value)
    assert len(str(told.value)) < 500


def as_facebook(name: str) -> str:
    """timm's name of a ConvNeXt weight -> that of the checkpoints which its authors published."""
    name = re.sub(r"stages\.(\d)\.downsample", r"downsample_layers.\1", name.replace("stem.", "downsample_layers.0."))
    name = name.replace(".blocks", "").replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
    return name.replace("head.norm", "norm")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_of_an_older_form_are_changed_as_the_library_does(tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(0)
    state = timm.create_model("test_convnext", num_classes=0).state_dict()
    older = {as_facebook(k): v for k, v in state.items()}
    assert older.keys() != state.keys()
    torch.save({"model": under(prefix, older)}, tmp_path / "w.pth")
    backbone = resolve("timm:test_convnext", tmp_path / "w.pth")
    assert same(backbone, state)
    assert "Older weight names were converted" in " ".join(backbone.notes)


def test_a_second_look_at_a_file_remembers_its_notes_and_builds_no_network(tmp_path: Path, state: State) -> None:
    first = resolved(tmp_path / "w.pth", under("module.", state))
    again = resolve(f"timm:{NAME}", tmp_path / "w.pth")
    assert again.notes == first.notes and again.built is None and "_network" not in vars(again)


def test_a_saved_bundle_of_a_prefixed_file_is_the_same_network(tmp_path: Path, state: State) -> None:
    backbone = resolved(tmp_path / "w.pth", under("module.", state))
    saved = resolve(backbone.name, backbone.save(tmp_path / "bundle"))
    assert same(saved, state)


def nested(depth: int, wide: int) -> Any:
    table: Any = {}
    for _ in range(depth):
        table = {f"k{i}": table for i in range(wide)}
    return table


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda s: nested(6, 100), "holds more than 20,000 entries"),
        (lambda s: {"a." * 150_000 + "x": torch.ones(1)}, "names of over 1,000 characters"),
        (lambda s: {"model." * 60_000 + "x": torch.ones(1)}, "names of over 1,000 characters"),
        (lambda s: {**s, "fc.weight": torch.ones(1).expand(1_000_000, 64)}, "fc.weight is larger than its content"),
        (lambda s: {**s, "fc.weight": torch.ones(10**9, 0)}, "are empty: 1000000000x0"),
    ],
)
def test_a_small_file_that_stands_for_much_is_refused(tmp_path: Path, state: State, content: Any, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        resolved(tmp_path / "a.pth", content(state)).network()


ZEROS = b"\x80\x02}U\x01acbuiltins\nbytearray\n\x8a\x08" + struct.pack("<q", 3_000_000_000) + b"\x85Rs."
NESTED = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."


@pytest.mark.parametrize("content", [ZEROS, NESTED], ids=["3 GB of zeros", "a pair of pairs of pairs, as a name"])
def test_a_few_bytes_that_would_take_gigabytes_or_for_ever_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in (("data.pkl", content), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"archive/{name}", value)
    with pytest.raises(WeightsError, match="takes more memory or time than its size explains"):
        resolve(f"timm:{NAME}", path)


@pytest.mark.parametrize("kind", ["state", "with its training", "parameters", "halved"])
def test_a_state_dict_is_known_by_its_pickle_and_read_at_once(tmp_path: Path, state: State, kind: str) -> None:
    contents: dict[str, Any] = {
        "state": state,
        "with its training": {"model": state, "epoch": 3, "best": 0.5, "optimizer": {"state": {0: state}, "lr": [1.0]}},
        "parameters": {name: torch.nn.Parameter(value.float()) for name, value in state.items()},
        "halved": {name: value.half() for name, value in state.items()},
    }
    torch.save(contents[kind], tmp_path / "a.pth")
    assert is_plain(tmp_path / "a.pth")


def doubled(times: int) -> Any:
    """A pair of pairs of pairs ..., which a pickle writes in as many steps."""
    found: Any = (1, 2)
    for _ in range(times):
        found = (found, found)
    return found


@pytest.mark.parametrize("content", [bytearray(9), np.ones(3), doubled(12)], ids=["bytes", "numpy", "pairs of pairs"])
def test_what_is_no_state_dict_is_not_taken_for_one(tmp_path: Path, content: Any) -> None:
    torch.save({"a": torch.ones(1), "b": content}, tmp_path / "a.pth")
    assert not is_plain(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(b"no zip")
    assert not is_plain(tmp_path / "b.pth")


def test_a_compressed_file_of_weights_is_refused(tmp_path: Path, state: State) -> None:
    """Torch compresses nothing: such a file may take a thousand times its size."""
    torch.save(state, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(
        tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED
    ) as packed:  # fmt: skip
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(WeightsError, match="is compressed, but torch never saves compressed files"):
        resolve(f"timm:{NAME}", tmp_path / "a.pth").network()


def test_thousands_of_names_that_are_no_networks_are_refused(tmp_path: Path, state: State) -> None:
    """Each with prefixes of its own, or thousands that nothing needs: a name costs no more where there are many."""
    words = ("module", "model", "backbone", "encoder", "net", "network")
    rng = random.Random(0)
    odd = {".".join(rng.choices(words, k=100)) + f".w{i}": torch.zeros(0) for i in range(1_000)}
    with pytest.raises(WeightsError, match="does not fit"):
        resolved(tmp_path / "a.safetensors", odd).network()
    spare = {f"spare.{i}": torch.zeros(0) for i in range(9_000)}
    assert same(resolved(tmp_path / "b.safetensors", {**state, **spare}), state)
