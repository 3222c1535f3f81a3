"""Names, weights files and sidecars: what resolves, what is refused, and what it costs to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from headstart import tensors
from headstart.backbones import Backbone, resolve
from headstart.backbones.arguments import ARGUMENTS
from headstart.backbones.names import ALIASES
from headstart.backbones.sources import SOURCES, Architecture, find
from headstart.errors import Offline, UnknownName, UserError, WeightsError
from headstart.preprocess import Preprocess

torch.set_num_threads(1)  # the pictures are few and small
HEAVY = ("torch", "timm", "torchvision", "openvino", "sklearn", "scipy")
PREPROCESS = Preprocess(96, 96, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).to_dict()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """The weights of a random mobilenetv2_035 whose classifier has 7 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SOURCES["timm"].build("mobilenetv2_035", {"pad_type": "same"}, 7)
    return network.state_dict()


def write(folder: Path, state: Mapping[str, torch.Tensor], **changes: Any) -> Path:
    """A safetensors file with a sidecar beside it."""
    path = folder / "w.safetensors"
    save_file(dict(state), path)
    sidecar = {
        "architecture": "timm:mobilenetv2_035",
        "kwargs": {"pad_type": "same"},
        "num_classes": 7,
        "preprocess": PREPROCESS,
        "license": "CC0-1.0",
        "sha256": tensors.sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(sidecar | changes))
    return path


def run(code: str, **env: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str, **env: str) -> list[str]:
    """The heavy libraries that a fresh interpreter has imported after `code`."""
    return (
        run(f"{code}\nimport sys\nprint('HEAVY', *[m for m in {HEAVY} if m in sys.modules])", **env)
        .split("HEAVY")[1]
        .split()
    )


def test_the_package_imports_no_library() -> None:
    """`import headstart.backbones` and the catalog cost neither torch nor timm."""
    assert loaded("import headstart.backbones as b; b.catalog_rows()") == []


def test_a_weights_file_with_sidecar_is_resolved_without_any_library(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    """Its sha256 and its sidecar say everything a warm run needs."""
    path = write(tmp_path, state)
    code = (
        f"from headstart.backbones import resolve; b = resolve('mobilenetv2_035', {str(path)!r}); "
        "b.fingerprint, b.preprocess, b.fixed_size, b.weights"
    )
    assert loaded(code) == []


@pytest.mark.slow
def test_a_second_resolution_needs_no_library(tmp_path: Path) -> None:
    """What timm said of an architecture is remembered in the cache, the weights being random or a bare file."""
    code = "from headstart.backbones import resolve; b = resolve('resnet18', 'none', seed=3); b.fingerprint"
    assert "timm" in loaded(code, HEADSTART_CACHE=str(tmp_path))
    assert loaded(code, HEADSTART_CACHE=str(tmp_path)) == []


SMALL = {"timm": "test_resnet", "torchvision": "squeezenet1_1", "keras": "MobileNet"}


@pytest.mark.parametrize("prefix", SOURCES)
def test_every_source_knows_its_names_and_builds_what_they_mean(prefix: str) -> None:
    """The table's contract: a name that is listed is found, has facts, and is built with as many classes as asked."""
    source = SOURCES[prefix]
    name = SMALL.get(prefix, source.names()[0])
    assert name in source.names() and source.has(name) and not source.has("no-such-network")
    assert find(f"{prefix}:{name}") == f"{prefix}:{name}"
    facts, parsed = source.facts(name), Architecture.of(f"{prefix}:{name}")
    assert (parsed.source, parsed.name) == (source, name) and parsed.library.startswith(f"{source.package} ")
    assert prefix in ARGUMENTS and facts.licence
    network = source.build(name, {}, 3).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, facts.preprocess.height, facts.preprocess.width)).shape == (1, 3)
    assert source.renamed(network, network.state_dict()).keys() == network.state_dict().keys()


def test_every_alias_names_an_architecture_that_exists() -> None:
    """Keras spellings lead to names that timm or torchvision have, whatever their case."""
    for alias, architecture in ALIASES.items():
        source, _, name = architecture.partition(":")
        assert SOURCES[source].has(name), alias
        assert find(alias.lower()) == architecture


def test_no_alias_hides_a_name_of_a_library() -> None:
    """A name that timm or torchvision have means their network, also where an alias is spelled the same."""
    for alias, architecture in ALIASES.items():
        for source in SOURCES.values():
            if alias.lower() in source.names():
                assert architecture.partition(":")[2] == alias.lower()


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("mobilenet_v2", "torchvision:mobilenet_v2"),
        ("vgg16", "timm:vgg16"),
        ("torchvision:vgg16", "torchvision:vgg16"),
        ("resnet50.a1_in1k", "timm:resnet50.a1_in1k"),
    ],
)
def test_names_mean_timm_first_then_torchvision_or_what_the_prefix_says(name: str, architecture: str) -> None:
    """A bare name is looked up in timm, then in torchvision; a tag of timm's weights may follow."""
    assert find(name) == architecture


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MobileNetV22", "did you mean MobileNetV2"),
        ("tensorflow:VGG16", "Unknown source of backbones 'tensorflow'"),
        ("resnet50.no_such_tag", "Unknown backbone"),
        ("torchvision:nasnetalarge", "Unknown backbone"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, message: str) -> None:
    """The message names what was meant."""
    with pytest.raises(UnknownName, match=message):
        resolve(name, "none")


def test_random_weights_are_a_function_of_the_seed_and_leave_the_callers_randomness_alone() -> None:
    """Equal seeds give equal networks and fingerprints, other seeds others; torch's own state does not move."""
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = (resolve("mobilenetv2_035", "none", seed=s) for s in (1, 1, 2))
    first, second, third = (b.network().state_dict()["conv_stem.weight"] for b in (one, again, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_weights_of_a_file_are_those_of_the_network(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """Half precision is widened, batch counts may lack, and the sidecar's arguments build the network."""
    half = {
        k: v.half() if v.dtype == torch.float32 else v
        for k, v in state.items()
        if not k.endswith("num_batches_tracked")
    }
    backbone = resolve("mobilenetv2_035", write(tmp_path, half))
    network = backbone.network()
    assert not network.training
    for name, value in network.state_dict().items():
        if name in half:
            assert value.dtype == torch.float32
            assert torch.equal(value, half[name].float())
    assert type(network.get_submodule("conv_stem")).__name__ == "Conv2dSame"
    assert backbone.weights.licence == "CC0-1.0"
    assert backbone.preprocess == Preprocess.from_dict(PREPROCESS)


def test_a_sidecar_for_another_architecture_is_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """Both names are in the message."""
    with pytest.raises(WeightsError, match=r"timm:mobilenetv2_035.*timm:vgg16"):
        resolve("VGG16", write(tmp_path, state))


def test_an_alias_agrees_with_the_sidecar_that_it_means(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """`MobileNetV2` is `timm:mobilenetv2_100`, with or without prefix."""
    path = write(tmp_path, state, architecture="timm:mobilenetv2_100")
    marks = {resolve(n, path).fingerprint for n in ("MobileNetV2", "mobilenetv2_100", "timm:mobilenetv2_100")}
    assert len(marks) == 1


def test_a_flipped_bit_is_found(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """A weights file that is not the one its sidecar describes is refused by its sha256."""
    path = write(tmp_path, state)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="sha256"):
        resolve("mobilenetv2_035", path)


def test_a_file_that_changes_after_it_was_resolved_is_found(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """The network is never built from other weights than the fingerprint says."""
    backbone = resolve("mobilenetv2_035", write(tmp_path, state))
    write(tmp_path, {k: v + 1 if v.is_floating_point() else v for k, v in state.items()})
    with pytest.raises(WeightsError, match="changed"):
        backbone.network()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"1 tensor missing: conv_stem\.weight"),
        ("unexpected", r"1 tensor unexpected: extra\.weight"),
        ("shape", r"1 tensor with another shape: conv_stem\.weight 16x3x5x5 instead of 16x3x3x3"),
        ("many", r"\d+ tensors missing: [^,]+, [^,]+, [^,]+, …"),
        ("nan", r"conv_stem\.weight holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, state: dict[str, torch.Tensor], change: str, message: str
) -> None:
    """Every name and shape must match and every value be finite; the first that differ are listed with their number."""
    new = dict(state)
    if change == "missing":
        del new["conv_stem.weight"]
    elif change == "unexpected":
        new["extra.weight"] = torch.zeros(1)
    elif change == "shape":
        new["conv_stem.weight"] = torch.zeros(16, 3, 5, 5)
    elif change == "many":
        new = {k: v for k, v in new.items() if not k.startswith("blocks")}
    else:
        new["conv_stem.weight"] = torch.full_like(new["conv_stem.weight"], float("nan"))
    with pytest.raises(WeightsError, match=message):
        resolve("mobilenetv2_035", write(tmp_path, new)).network()


def test_the_fingerprint_changes_with_weights_and_arguments_and_with_nothing_else(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    """Another pad_type or another weight is another fingerprint; another place, licence or preprocessing is not."""
    places = [tmp_path / str(i) for i in range(4)]
    for place in places:
        place.mkdir()
    changed = {**state, "conv_stem.weight": state["conv_stem.weight"] + 1}
    base, same, kwargs, weights = (
        resolve("mobilenetv2_035", path).fingerprint
        for path in (
            write(places[0], state),
            write(places[1], state, license="other", preprocess=PREPROCESS | {"size": [64, 64]}),
            write(places[2], state, kwargs={}),
            write(places[3], changed),
        )
    )
    assert base == same
    assert len({base, kwargs, weights}) == 3


@pytest.mark.parametrize("wrapping", ["plain", "state_dict", "model", "module"])
def test_a_pth_file_is_read_out_of_its_wrapping(tmp_path: Path, state: dict[str, torch.Tensor], wrapping: str) -> None:
    """The classifier's size is the file's, the note says what was assumed, and no code in a file is run."""
    found: Any = dict(state)
    if wrapping == "module":
        found = {f"module.{k}": v for k, v in found.items()}
    elif wrapping != "plain":
        found = {wrapping: found, "epoch": 3}
    torch.save(found, tmp_path / "w.pth")
    backbone = resolve("mobilenetv2_035", tmp_path / "w.pth")
    assert backbone.network()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    assert "is assumed" in backbone.notes[-1]


def test_a_file_without_classifier_gives_a_network_without_one(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """Without a sidecar, the file alone says whether there is a classifier."""
    save_file({k: v for k, v in state.items() if not k.startswith("classifier")}, tmp_path / "w.safetensors")
    network = resolve("mobilenetv2_035", tmp_path / "w.safetensors").network()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1280)


class Evil:
    """Pickles to the making of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, (str(self.folder),))


def test_code_in_a_pth_file_is_not_run(tmp_path: Path) -> None:
    """It is refused with advice."""
    torch.save({"w": Evil(tmp_path / "made")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="cannot be read as plain weights"):
        resolve("mobilenetv2_035", tmp_path / "w.pth").network()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors file"),
        (b"\xff" * 64, "not a safetensors file"),
        ((1 << 21).to_bytes(8, "little") + b" " * (1 << 21), "over the limit"),
        (b"\x02" + b"\0" * 7 + b"{]", "not JSON"),
    ],
)
def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """An empty file, noise, a header without bound and a header that is no JSON are each named."""
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        resolve("mobilenetv2_035", tmp_path / "w.safetensors").network()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "cannot be used"),
        ("{", "cannot be used"),
        ('{"architecture": "timm:vgg16", "sha256": "0"}', "it lacks 'preprocess'"),
        ('{"architecture": "timm:vgg16", "num_classes": -1}', "num_classes is -1"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Whatever is wrong with it is one sentence."""
    (tmp_path / "w.safetensors").write_bytes(b"x")
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        resolve("vgg16", tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("weights", "error"), [("nowhere.safetensors", WeightsError), ("imagnet", UnknownName), ("net.onnx", UserError)]
)
def test_weights_that_are_neither_a_kind_nor_a_file_are_refused(weights: str, error: type[Exception]) -> None:
    """A missing file, a misspelled kind, and an ONNX file given as weights."""
    with pytest.raises(error, match=weights.partition(".")[0]):
        resolve("vgg16", weights)


def test_the_description_of_weights_is_refused_with_the_file_that_it_describes(tmp_path: Path) -> None:
    saved = resolve("test_resnet", "none").save(tmp_path)
    with pytest.raises(WeightsError, match=f"give {saved.name}, which is next to it"):
        resolve("test_resnet", saved.with_suffix(".json"))


def test_a_saved_backbone_is_the_same_backbone(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """`save` then `resolve` gives the same fingerprint, preprocessing and outputs, for files and for random weights."""
    path = write(tmp_path, state)
    for backbone in (resolve("mobilenetv2_035", path), resolve("torchvision:squeezenet1_1", "none", seed=4)):
        again = resolve(backbone.name, backbone.save(tmp_path / backbone.architecture.replace(":", "-")))
        x = torch.randn(1, 3, 96, 96)
        assert torch.equal(again.network()(x), backbone.network()(x))
        assert again.preprocess == backbone.preprocess
        if backbone.weights.kind == "file":
            assert again.fingerprint == backbone.fingerprint


IMAGENET = """
from headstart.backbones import resolve
b = resolve('torchvision:squeezenet1_1')
print(b.fingerprint, b.preprocess.height, b.weights.licence)
"""


@pytest.mark.slow
def test_hub_weights_are_keyed_by_content_and_a_second_run_needs_no_library(tmp_path: Path) -> None:
    """With the library's own download already in its cache: resolved, remembered, saved, and the same when loaded."""
    from torchvision.models import SqueezeNet1_1_Weights as Hub

    stored = tmp_path / "hub" / "checkpoints"
    stored.mkdir(parents=True)
    random = resolve("torchvision:squeezenet1_1", "none", seed=9)
    torch.save(random.network().state_dict(), stored / Hub.DEFAULT.url.rpartition("/")[2])
    env = {"TORCH_HOME": str(tmp_path), "HEADSTART_CACHE": str(tmp_path / "cache")}
    save = f"b.save(__import__('pathlib').Path({str(tmp_path / 'saved')!r}))"
    first = run(f"{IMAGENET}\n{save}", **env)
    assert run(IMAGENET, **env) == first
    assert loaded(IMAGENET, **env) == []
    saved = resolve("torchvision:squeezenet1_1", tmp_path / "saved" / "backbone.safetensors")
    assert first.split()[0] == saved.fingerprint
    assert torch.equal(
        saved.network().state_dict()["features.0.weight"], load_file(saved.weights.path or "")["features.0.weight"]
    )


OFFLINE = """
import sys
from headstart.backbones import resolve
from headstart.errors import Offline
for name in ('timm:resnet18', 'torchvision:alexnet', 'timm:legacy_xception'):
    try:
        resolve(name)
    except Offline as error:
        said = [way in str(error) for way in ('backbone=sprout', 'weights=FILE')]
        print('OFFLINE', name, str(error).count(chr(10)), all(said), str(error).endswith('.'))
"""


@pytest.mark.slow
def test_without_a_network_one_sentence_names_the_way_out(tmp_path: Path) -> None:
    """The same error from each way of download: Hugging Face, torchvision's server, GitHub."""
    closed = "http://127.0.0.1:9"
    proxies = {key: closed for name in ("http_proxy", "https_proxy", "all_proxy") for key in (name, name.upper())}
    hubs = {"HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path), "no_proxy": "", "NO_PROXY": ""}
    lines = [line for line in run(OFFLINE, **proxies, **hubs).splitlines() if line.startswith("OFFLINE")]
    assert [line.split()[1:] for line in lines] == [
        [name, "0", "True", "True"] for name in ("timm:resnet18", "torchvision:alexnet", "timm:legacy_xception")
    ]


SILENT = """
import socket, threading, time
from headstart.backbones import hub
from headstart.errors import Offline
listener = socket.create_server(("127.0.0.1", 0))  # takes the call and never answers
hub.SECONDS = 1.0
from huggingface_hub import constants
constants.ENDPOINT = f"http://127.0.0.1:{listener.getsockname()[1]}"
began = time.monotonic()
said = hub._answers()
print(type(said).__name__, time.monotonic() - began < 3)
"""


def test_a_hub_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    """However many addresses it has and however long its library would wait for each."""
    name, quick = run(SILENT, HF_HOME=str(tmp_path), no_proxy="*", NO_PROXY="*").split()[-2:]
    assert "Time" in name and quick == "True"


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of torch's, and a proxy where nobody answers."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("unreachable")
def test_what_a_library_says_of_its_download_is_no_output_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads what a command prints would meet torch's `Downloading: ...`."""
    with pytest.raises(Offline, match="squeezenet1_1 are not on this machine"):
        resolve("torchvision:squeezenet1_1").network()
    said = capsys.readouterr()
    assert said.out == "" and "Downloading" in said.err


@pytest.mark.usefixtures("unreachable")
def test_a_network_that_cannot_be_had_is_named_in_the_folder_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rank` and `audit` look into the folder of HEADSTART_WEIGHTS by themselves; other commands say how."""
    from torchvision.models import squeezenet1_1

    own = tmp_path / "own"
    own.mkdir()
    write(own, squeezenet1_1().state_dict(), architecture="torchvision:squeezenet1_1", kwargs={})
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(own))
    with pytest.raises(Offline, match=f"HEADSTART_WEIGHTS has them: give weights={own}"):
        resolve("torchvision:squeezenet1_1").network()
    with pytest.raises(Offline, match="use backbone=sprout"):
        resolve("torchvision:squeezenet1_0").network()


def top1(backbone: Backbone, folder: Path) -> float:
    """Accuracy on pictures named by their WordNet id; the class index is its place in the sorted list of a thousand."""
    from timm.data import ImageNetInfo

    index = {name: i for i, name in enumerate(ImageNetInfo().label_names())}
    p, right, network = backbone.preprocess, 0, backbone.network()
    files = sorted(folder.glob("*"))
    for file in files:
        with Image.open(file) as image:
            x = torch.from_numpy(p.apply(image.convert("RGB")).copy()).permute(2, 0, 1).float() / 255
        x = (x - torch.tensor(p.mean).view(-1, 1, 1)) / torch.tensor(p.std).view(-1, 1, 1)
        with torch.no_grad():
            right += int(network(x[None]).argmax()) == index[file.name.split("_")[0]]
    return right / len(files)


@pytest.mark.data
def test_real_weights_recognise_imagenet(weights_dir: Path, data_dir: Path) -> None:
    """mobilenetv2_100 with its sidecar's pad_type reaches the documented 0.85 on a hundred pictures."""
    backbone = resolve("MobileNetV2", weights_dir / "mobilenetv2_100.safetensors")
    assert top1(backbone, data_dir / "imagenet_samples") >= 0.83


@pytest.mark.data
@pytest.mark.slow
def test_real_weights_of_squeezenet_recognise_imagenet(weights_dir: Path, data_dir: Path) -> None:
    """squeezenet1_0 reaches the documented 0.60 on a hundred pictures."""
    backbone = resolve("SqueezeNet", weights_dir / "squeezenet1_0.safetensors")
    assert top1(backbone, data_dir / "imagenet_samples") >= 0.58


@pytest.mark.slow
def test_converting_a_network_loads_no_telemetry() -> None:
    code = (
        "import sys; from headstart.backbones import resolve; b = resolve('small_cnn', 'none');"
        "b.openvino_model('pooled', (8, 8)); assert sys.modules.get('openvino_telemetry') is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_sidecar_of_one_channel_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = resolve("sprout").save(tmp_path)
    about = json.loads(file.with_suffix(".json").read_text())
    for changed in ({"kwargs": {"in_chans": 1}}, {"preprocess": {**about["preprocess"], "color": "L"}}):
        file.with_suffix(".json").write_text(json.dumps(about | changed))
        with pytest.raises(WeightsError, match="one channel is not supported"):
            resolve("sprout", str(file))
