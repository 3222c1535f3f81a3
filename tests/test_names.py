"""Names as people paste them: each spelling resolves, or is refused with its reason. A server stands in for the hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file

from headstart.backbones import Backbone, licences, resolve, spelling
from headstart.backbones.names import pasted
from headstart.errors import UnknownName, UserError, WeightsError
from headstart.paths import absolute

CONFIG: dict[str, Any] = {
    "architecture": "test_vit",
    "num_classes": 3,
    "global_pool": "token",
    "model_args": {"img_size": [96, 96], "in_chans": 3, "num_classes": 3},
    "pretrained_cfg": {
        "input_size": [3, 96, 96], "fixed_input_size": True, "interpolation": "bicubic", "crop_pct": 1.0,
        "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "tag": "mine", "custom_load": False,
    },
}  # fmt: skip
CARD = "---\ntags:\n- image-classification\nlicense: other\nlicense_name: dinov3-license\n---\n# A model card\n"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Those of timm's smallest transformer, for pictures of 96 pixels and three classes."""
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(1)
        return timm.create_model("test_vit", img_size=96, num_classes=3).state_dict()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, torch.Tensor]) -> Path:
    """A folder as timm saves one."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "README.md").write_text(CARD)
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("hf_hub:timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("https://huggingface.co/timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("https://huggingface.co/timm/resnet18.a1_in1k/tree/main?x=1", "timm:resnet18.a1_in1k"),
        ("http://hf.co/timm/resnet18", "timm:resnet18"),
        ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        (" resnet18 ", "timm:resnet18"),
        ("timm/vit_small_patch14_dinov2.lvd142m", "timm:vit_small_patch14_dinov2.lvd142m"),
    ],
)
def test_every_spelling_of_a_model_page_means_the_network(name: str, meant: str) -> None:
    """In a command, and in a list of several, where a layer may follow."""
    assert resolve(name, "none").architecture == meant
    name = name.partition("/tree/")[0]
    assert spelling.parse(f"{name.strip()}:cls+mean@none") == {
        "name": pasted(name),
        "weights": "none",
        "layer": "cls+mean",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18.b1_in1k", r"Unknown backbone 'resnet18.b1_in1k'.* The weights of resnet18 have the tags a1_in1k, "),
        ("timm/resnet18.b1_in1k", r"have the tags a1_in1k, "),
        ("facebook/dinov2-small", r"For a model page write hf-hub:facebook/dinov2-small\."),
        (
            "own/fm.safetensors",
            r"A weights file goes in `weights`, and the name of the network it is for in `backbone`",
        ),
        ("local-dir:nowhere", r"local-dir:.*nowhere: there is no such folder"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_to_write(name: str, message: str) -> None:
    """The known tags, or how a page is named."""
    with pytest.raises(UserError, match=message):
        resolve(name)


def test_a_folder_as_timm_saves_it_is_a_backbone(page: Path, weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Architecture, arguments, preprocessing, licence and weights; in a bundle its page is not needed."""
    found = resolve(f"local-dir:{page}")
    assert isinstance(found, Backbone)
    assert (found.architecture, found.fixed_size) == ("timm:test_vit", (96, 96))
    assert (found.preprocess.height, found.preprocess.crop_pct, found.preprocess.mean[0]) == (96, 1.0, 0.5)
    assert found.weights.licence == "dinov3-license"
    assert all(torch.equal(value, weights[name]) for name, value in found.network().state_dict().items())
    assert found.at((64, 64)).fixed_size == (64, 64)
    assert resolve("hf-hub:SOME/PAGE", found.save(tmp_path)).fingerprint == found.fingerprint
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(page.parent)
        assert absolute(f"local-dir:{page.name}") == f"local-dir:{page}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "../../x"}, "architecture is"),
        ({"architecture": None}, "architecture is"),
        ({"model_args": {"img_size": 96, "pretrained": True}}, "argument 'pretrained' is not among those"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "argument 'checkpoint_path' is not among those"),
        ({"model_args": {"in_chans": 1}}, "one channel is not supported"),
        ({"pretrained_cfg": {"input_size": [3, 10**9, 96]}}, "input_size"),
        ({"model_type": "dinov2", "architecture": ...}, "names no `architecture`; pages of other libraries"),
    ],
)
def test_a_config_that_asks_for_more_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """What strangers write is checked before any library is asked."""
    values = {key: value for key, value in {**CONFIG, **changes}.items() if value is not ...}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=message):
        resolve(f"local-dir:{tmp_path}", "none")


def test_weights_with_code_in_them_are_not_read(tmp_path: Path) -> None:
    """A `pytorch_model.bin` is read as weights alone."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    torch.save(print, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be read as plain weights"):
        resolve(f"local-dir:{tmp_path}").at((96, 96)).save(tmp_path / "out")


class Hub(BaseHTTPRequestHandler):
    """`/ORG/NAME/resolve/main/FILE` of folders by name, and pages that are refused with a status and a code."""

    pages: ClassVar[dict[str, Path]] = {}
    refused: ClassVar[dict[str, tuple[int, str]]] = {}
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name, _, file = self.path.strip("/").partition("/resolve/main/")
        self.asked.append(self.path)
        if name.startswith("api/models/") and (page := name.removeprefix("api/models/")) in self.refused:
            return self._send(200, json.dumps({"id": page, "cardData": {"license": "dinov3-license"}}).encode(), body)
        if name in self.refused:
            return self._send(self.refused[name][0], b"", body, {"X-Error-Code": self.refused[name][1]})
        place = self.pages.get(name, Path("/nowhere")) / file
        if not place.is_file():
            return self._send(
                404, b"", body, {"X-Error-Code": "EntryNotFound" if name in self.pages else "RepoNotFound"}
            )
        return self._send(200, place.read_bytes(), body)

    def _send(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        tags = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": "0" * 40}
        for key, value in {**tags, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def hub(page: Path, weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(2)
        own = timm.create_model("test_vit").state_dict()
    registered = tmp_path_factory.mktemp("registered")
    save_file(own, registered / "model.safetensors")
    bare = tmp_path_factory.mktemp("bare")
    (bare / "config.json").write_text(json.dumps(CONFIG))
    torch.save(weights, bare / "pytorch_model.bin")
    Hub.pages = {"ORG/NAME": page, "ORG/BARE": bare, "timm/test_vit.r160_in1k": registered}
    Hub.refused = {"ORG/GATED": (403, "GatedRepo"), "ORG/HIDDEN": (401, "RepoNotFound")}
    Hub.refused["timm/vit_small_patch16_dinov3.lvd1689m"] = (403, "GatedRepo")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


ASK = """
import sys
from headstart.backbones import resolve
from headstart.errors import UserError
for name in sys.argv[1:]:
    try:
        found = resolve(name)
        found.network()
        print("FOUND", name, found.architecture, found.fixed_size, found.weights.licence, sep="|")
    except UserError as error:
        print(type(error).__name__.upper(), name, error, sep="|")
"""


@pytest.mark.slow
def test_the_hub_gives_pages_and_refuses_in_one_sentence(hub: str, tmp_path: Path) -> None:
    """By its own login and cache; a page that was read once needs no network, and timm's own names come from it too."""
    names = ["hf-hub:ORG/NAME", "https://huggingface.co/ORG/NAME", "timm/test_vit", "hf-hub:ORG/BARE"]
    names.append("hf-hub:ORG/GATED")
    names += ["hf-hub:ORG/HIDDEN", "hf-hub:ORG/NONE", "timm/vit_small_patch16_dinov3.lvd1689m", "hf-hub:a/b/c"]
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "hf"), "HEADSTART_CACHE": str(tmp_path / "own")}
    env |= {"no_proxy": "*", "NO_PROXY": "*", "HF_HUB_DISABLE_XET": "1"}

    def asked(*names: str, **more: str) -> list[list[str]]:
        done = subprocess.run([sys.executable, "-c", ASK, *names], env={**env, **more}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines() if "|" in line]

    found = asked(*names)
    assert [line[0] for line in found] == ["FOUND"] * 4 + ["WEIGHTSERROR"] * 4 + ["USERERROR"], found
    assert [line[2:] for line in found[:2]] == [["timm:test_vit", "(96, 96)", "dinov3-license"]] * 2
    assert found[2][2:4] == ["timm:test_vit", "(160, 160)"]
    for line in (found[4], found[7]):
        assert "the licence dinov3-license (gated): accept it on https://huggingface.co/" in line[2]
        assert line[2].endswith("then log in with `hf auth login` or set HF_TOKEN.")
    for line in found[5:7]:
        assert "The hub has no weights of" in line[2] and "or they are not public: check the name, or log in" in line[2]
    closed = asked("hf-hub:ORG/NAME", "timm/test_vit", HF_ENDPOINT="http://127.0.0.1:9")
    assert [line[0] for line in closed] == ["FOUND"] * 2


@pytest.mark.parametrize(
    ("licence", "mark"),
    [
        ("apache-2.0", ""),
        ("cc-by-nc-4.0", "not for commercial use"),
        ("fair-noncommercial-research-license", "not for commercial use"),
        ("dinov3-license", "gated"),
        ("unknown", ""),
    ],
)
def test_a_licence_is_marked_for_what_it_asks(licence: str, mark: str) -> None:
    """By its short name."""
    assert licences.mark(licence) == mark


def test_an_unknown_name_of_another_source_lists_its_sources() -> None:
    """A prefix that is none."""
    with pytest.raises(UnknownName, match="Unknown source of backbones 'tensorflow'"):
        resolve("tensorflow:VGG16", "none")
