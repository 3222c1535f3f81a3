"""An export gives what its run gives, in other programs and without PyTorch."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

import headstart
from colours import two_colours
from headstart import exported
from headstart.backbones import openvino
from headstart.cli import _main
from headstart.errors import BundleError, HeadstartError, UserError
from headstart.exporting import answer, picture, pieces
from headstart.exporting.formats import EXPORTS
from headstart.exporting.graph import Piece, model, shaped
from headstart.exporting.parity import Parity
from headstart.exporting.quantise import Quantisation
from headstart.heads import HEADS, make_head
from headstart.logits import apply_temperature, full_logits
from headstart.novelty import Novelty
from headstart.preprocess import Preprocess

SIZES = [(8, 9), (60, 45), (320, 213), (90, 400), (20_000, 3), (3, 20_000)]
"""Smaller than the input, larger, with many values between two grey levels, with rows that are not needed, and so long
that the products of their sizes do not fit into 32 bits."""
WITHOUT = """import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}: raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""
HEAVY = ("torch", "torchvision", "timm", "nncf", "onnx")


def by_both(graph: Any, given: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The first output by onnxruntime and by OpenVINO."""
    content = graph.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    core = openvino.load().Core()
    compiled = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [session.run(None, given)[0], compiled(given)[0].copy()]


def small_pictures() -> NDArray[np.uint8]:
    digits: NDArray[np.uint8] = (load_digits().images[:40] * 15).astype(np.uint8)
    return digits


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits by sprout."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    headstart.fit("digits", backbone="sprout", head="ridge", limit=60, out=folder)
    return folder


def test_an_export_whose_graph_computes_something_else_is_refused_with_the_figures(
    made: dict[str, Path], tmp_path: Path
) -> None:
    """As another runtime, or a processor without its precision, might."""
    pictures = small_pictures()
    for name, folder in made.items():
        classifier = headstart.load_classifier(folder)
        assert classifier.golden is not None and classifier.golden.pictures[0].shape == (8, 8, 3)
        classifier.predict(pictures)
        off = replace(
            classifier, golden=replace(classifier.golden, probabilities=classifier.golden.probabilities[::-1])
        )
        with pytest.raises(BundleError, match=r"expected 0\.\d+ for the class"):
            off.predict(pictures)
        assert (folder / "MODEL_CARD.md").read_text().startswith("---\n"), name


@pytest.fixture(scope="module")
def made(run: Path) -> dict[str, Path]:
    """The run in each format."""
    return {name: headstart.export(run, run.parent / name, format=name).folder for name in EXPORTS}


@pytest.mark.parametrize(
    "interpolation", ["bilinear", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bicubic", "lanczos"))]
)
def test_the_graph_resizes_as_pillow_does_exactly_in_onnx_and_within_a_grey_level_in_openvino(
    interpolation: Any,
) -> None:
    preprocess = Preprocess(48, 40, 0.9, interpolation)
    g = Piece("before")
    g("Identity", picture.network_input(g, "picture", preprocess), name="network")
    graph = model([g], pieces.given(), [shaped("network", "FLOAT", [1, 3, 48, 40])])
    rng = np.random.default_rng(0)
    for width, height in SIZES:
        pixels = rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        ours = preprocess.apply(Image.fromarray(pixels[0])).astype(float)
        exact, near = (found[0].transpose(1, 2, 0) for found in by_both(graph, {"picture": pixels}))
        np.testing.assert_array_equal(exact, ours)
        assert np.abs(near - ours).max() <= 2 and (np.abs(near - ours) > 1).mean() < 1e-3


@pytest.mark.parametrize(
    "settings",
    [{"grey": "first"}, {"grey": "colormap"}, {"color": "L", "mean": (0.5,), "std": (0.2,)}, {"crop_pct": 1.0}],
)
def test_the_graph_shows_grey_pictures_as_the_policy_says(settings: dict[str, Any]) -> None:
    preprocess = replace(Preprocess(32, 32), **settings)
    g = Piece("before")
    g("Identity", picture.network_input(g, "picture", preprocess), name="network")
    graph = model([g], pieces.given(), [shaped("network", "FLOAT", [1, len(preprocess.mean), 32, 32])])
    grey = Image.fromarray(small_pictures()[0])
    given = np.asarray(grey.convert("RGB"))[None]
    for found in by_both(graph, {"picture": given}):
        assert np.abs(found[0].transpose(1, 2, 0) - preprocess.apply(grey)).max() <= (
            5 if settings.get("grey") == "colormap" else 1  # one grey level is up to five in false colours
        )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {"epochs": 1} if name in ("mlp", "linear") else {}) for name in HEADS),
        ("logistic", {"normalise": True}),
        ("logistic", {"root": True, "normalise": True}),
        ("knn", {"metric": "euclidean", "class_weight": "balanced"}),
        ("prototype", {"normalise": "l2"}),
    ],
)
def test_every_head_has_a_graph_with_its_probabilities_and_none_for_classes_without_pictures(
    name: str, settings: dict[str, Any]
) -> None:
    rng, codes = np.random.default_rng(0), np.arange(60) % 3
    X = (rng.normal(size=(60, 20)) + codes[:, None]).astype(np.float32)
    head = make_head(name, **settings).fit(X, np.array([0, 2, 4])[codes])
    g = Piece("behind")
    answer.probabilities(g, "features", head, 1.7, 5)
    graph = model([g], [shaped("features", "FLOAT", [1, 20])], [shaped("probabilities", "FLOAT", [1, 5])])
    expected = apply_temperature(full_logits(head, X[:4], 5), 1.7)
    for row, ours in zip(X[:4], expected, strict=True):
        for found in by_both(graph, {"features": row[None]}):
            np.testing.assert_allclose(found[0], ours, atol=2e-6)
            assert found[0, 1] == found[0, 3] == 0


@pytest.mark.parametrize("width", [20, 2100])
def test_the_graph_tells_strangers_as_the_bundle_does(width: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(1.0, 0.3, (40, width)).astype(np.float32)
    novelty = Novelty.fit(X)
    asked = np.concatenate([X[:2] + 0.1, rng.normal(size=(2, width)).astype(np.float32)])
    g = Piece("behind")
    answer.strangeness(g, "features", novelty)
    graph = model([g], [shaped("features", "FLOAT", [1, width])], [shaped("strangeness", "FLOAT", [1])])
    for row, ours in zip(asked, novelty.score(asked), strict=True):
        for found in by_both(graph, {"features": row[None]}):
            assert abs(found[0] - ours) < 1e-5


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_used_as_its_run_is(made: dict[str, Path], run: Path, name: str, tmp_path: Path) -> None:
    ours, theirs = (headstart.predict(folder, small_pictures()) for folder in (run, made[name]))
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=1e-4)
    assert ours.known is not None and theirs.known is not None
    np.testing.assert_array_equal(theirs.known, ours.known)
    for i, (pixels, digit) in enumerate(zip(small_pictures(), load_digits().target, strict=False)):
        (tmp_path / str(digit)).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / str(digit) / f"{i}.png")
    told = headstart.evaluate(made[name], tmp_path)
    assert told["n"] == 40 and told["seen"] is None
    content = json.loads((made[name] / "export.json").read_text())
    assert content["parity"]["largest_difference"] < 1e-4 and content["parity"]["changed"] == 0
    assert content["classes"] == list("0123456789")


@pytest.mark.parametrize("name", EXPORTS)
def test_the_example_that_comes_along_needs_the_runtime_alone(
    made: dict[str, Path], run: Path, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "digit.png"
    Image.fromarray(small_pictures()[3]).save(file)
    without = WITHOUT.format(names=("headstart", *HEAVY))
    code = f"{without}import runpy; sys.argv = ['', {str(file)!r}]; runpy.run_path({str(made[name] / 'example.py')!r})"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = headstart.predict(run, file).rows(1)[0]
    assert printed.split()[1] == ours["predicted"] and abs(float(printed.split()[2]) - ours["confidence"]) < 1e-4
    assert ours["known"] is not ("none of these classes" in printed)


@pytest.mark.parametrize("name", EXPORTS)
def test_the_example_names_the_others_where_a_picture_cannot_be_read(
    made: dict[str, Path], name: str, tmp_path: Path
) -> None:
    whole, cut, text = tmp_path / "whole.png", tmp_path / "cut.png", tmp_path / "text.png"
    Image.fromarray(small_pictures()[3]).save(whole)
    cut.write_bytes(whole.read_bytes()[:60])
    text.write_text("no picture")
    command = [sys.executable, str(made[name] / "example.py"), *map(str, (cut, text, tmp_path / "none.png", whole))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith(f"{whole} ") and done.stdout.count("\n") == 1
    assert [line.split(" cannot be read: ")[0] for line in done.stderr.splitlines()] == command[2:5]
    assert done.returncode == 1
    alone = subprocess.run(command[:2], capture_output=True, text=True)
    assert alone.returncode == 1 and "python example.py PICTURE..." in alone.stderr


@pytest.mark.parametrize("name", EXPORTS)
def test_sets_are_asked_of_the_run_not_of_its_export(made: dict[str, Path], run: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"an export cannot give sets.*run"):
        headstart.predict(made[name], small_pictures()[:1], coverage=0.9)


@pytest.mark.parametrize("name", EXPORTS)
def test_the_example_knows_strangers_and_reads_16_bits(
    made: dict[str, Path], run: Path, name: str, tmp_path: Path
) -> None:
    stranger, deep = tmp_path / "stranger.png", tmp_path / "deep.png"
    Image.fromarray(np.tile(np.uint8([0, 255]), (8, 4))).save(stranger)
    Image.fromarray(small_pictures()[3].astype(np.uint16) * 257).save(deep)
    command = [sys.executable, str(made[name] / "example.py"), str(stranger), str(deep)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = headstart.predict(run, [stranger, deep]).rows(1)
    assert [row["known"] for row in ours] == [False, True]
    assert printed[0].endswith("like no training picture: none of these classes")
    assert printed[1].split()[1:] == [ours[1]["predicted"], f"{ours[1]['confidence']:.6f}"]


def test_predicting_with_an_export_imports_no_pytorch(made: dict[str, Path], tmp_path: Path) -> None:
    Image.fromarray(small_pictures()[3]).save(tmp_path / "digit.png")
    code = WITHOUT.format(names=HEAVY) + (
        "from headstart.cli import main\n"
        f"sys.argv = ['headstart', 'predict', {str(made['openvino'])!r}, {str(tmp_path)!r}]\nmain()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stdout.split()[1] == "3", found.stderr


def endless(mean: Any) -> Any:
    """A loop of 2^40 steps behind a node (1, k)."""
    import openvino as ov
    from openvino import opset13 as ops

    value, go = ops.parameter(mean.output(0).get_shape(), ov.Type.f32), ops.constant(np.array(True))
    more = ops.add(value, ops.constant(np.float32(1)))
    loop = ops.loop(ops.constant(np.int64(2**40)), ops.constant(np.array(True)))
    loop.set_function(ov.Model([more, go], [value], "body"))
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(value, mean.output(0), more.output(0))
    return loop.get_iter_value(more.output(0), -1)


def vast(mean: Any) -> Any:
    """A table of 40,000 x 40,000 ones, and their sum, added to a node."""
    from openvino import opset13 as ops

    ones = ops.broadcast(ops.constant(np.float32(1)), ops.constant(np.array([40_000] * 2, np.int64)))
    return ops.add(mean, ops.reduce_sum(ops.add(ones, ones), ops.constant(np.array([0, 1], np.int64))))


@pytest.mark.parametrize(("part", "told"), [(endless, "a loop of over"), (vast, "more memory or time")])
def test_an_export_in_openvinos_format_is_bounded_as_one_in_onnx_is(
    made: dict[str, Path], tmp_path: Path, part: Any, told: str
) -> None:
    import openvino as ov
    from openvino import opset13 as ops

    folder = shutil.copytree(made["openvino"], tmp_path / "dear")
    content = json.loads((folder / "export.json").read_text())
    content["novelty"] = None
    image = ops.parameter([1, -1, -1, 3], ov.Type.u8)
    mean = ops.reduce_mean(ops.convert(image, "f32"), ops.constant(np.array([1, 2, 3], np.int64)))
    answers = ops.softmax(part(ops.broadcast(mean, ops.constant(np.array([1, len(content["classes"])], np.int64)))), 1)
    answers.output(0).set_names({"probabilities"})
    image.output(0).set_names({"picture"})
    ov.save_model(ov.Model([ops.result(answers)], [image]), folder / "model.xml", compress_to_fp16=False)
    for name in ("model.xml", "model.bin"):
        raw = (folder / name).read_bytes()
        content["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    (folder / "export.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=told):
        headstart.load_classifier(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_in_place_of_a_graph_is_refused_and_not_waited_for(made: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(made["onnx"], tmp_path / "piped")
    content = json.loads((folder / "export.json").read_text())
    content["files"]["model.onnx"]["bytes"] = 0  # as large as a pipe says that it is
    (folder / "export.json").write_text(json.dumps(content))
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(BundleError, match=r"lacks model\.onnx"):
        headstart.load_classifier(folder)


def test_an_export_that_was_changed_or_describes_another_graph_is_refused(
    made: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(made["onnx"], tmp_path / "changed")
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"model\.onnx was changed"):
        headstart.load_classifier(folder)
    graph.unlink()
    with pytest.raises(BundleError, match=r"lacks model\.onnx"):
        headstart.load_classifier(folder)
    graph.symlink_to(made["onnx"] / "model.onnx")
    with pytest.raises(BundleError, match="a link out of its folder"):
        headstart.load_classifier(folder)
    folder = shutil.copytree(made["openvino"], tmp_path / "described")
    content = json.loads((folder / "export.json").read_text())
    for change, told in (
        ({"classes": ["a", "b"]}, "does not give 2 probabilities"),
        ({"kind": "onnx"}, r"do not list model\.onnx"),
        ({"version": 2}, "reads version 1"),
        ({"more": 1}, "'more'"),
        ({"preprocess": {}}, "lacks 'size'"),
    ):
        (folder / "export.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(BundleError, match=told):
            headstart.predict(folder, small_pictures()[:1])


def test_a_graph_that_gives_something_else_or_loses_too_much_is_refused_with_the_figures() -> None:
    ours = np.array([[0.9, 0.1], [0.2, 0.8]])
    Parity.of(ours, ours + [[9e-5, -9e-5]], "pictures", 1e-4).check("graph")
    for theirs in (ours + [[2e-4, -2e-4]], ours[:, ::-1], ours * np.nan):
        with pytest.raises(HeadstartError, match="nothing was written"):
            Parity.of(ours, theirs, "pictures", 1e-4).check("graph")
    cost = Quantisation(300, "test pictures", 100, 0.9, 0.88, 50.0, 80.0)
    cost.check(2)
    with pytest.raises(HeadstartError, match=r"int8 loses 2.00 points, more than max_drop=1.*50 and 80 images/s"):
        cost.check(1)


def test_what_cannot_be_exported_is_told_before_any_work(
    made: dict[str, Path], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").touch()
    out = str(tmp_path / "out")
    for arguments, told in (
        ([str(run), "--format", "onx", "--out", out], "did you mean onnx?"),
        ([str(run), "--precision", "int9", "--out", out], "did you mean int8?"),
        ([str(run), "--out", str(tmp_path)], "holds other files but no export"),
        ([str(made["onnx"]), "--out", out], "already an export"),
        ([str(shutil.copytree(run / "bundle", tmp_path / "alone")), "--out", out], "a bundle without its run"),
    ):
        assert _main(["export", *arguments]) == 2
        assert told in capsys.readouterr().err
    with pytest.raises(UserError, match="averages 3 views"):
        folder = headstart.fit("digits", method="pixels", head="prototype", limit=20, augment="light", tta=3,
                               out=tmp_path / "run", store=False).folder  # fmt: skip
        headstart.export(folder, out)


def test_an_export_never_goes_among_the_pictures_of_its_run(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "photos").mkdir()
    two_colours(tmp_path / "photos", 6, 16)
    run = headstart.fit(tmp_path / "photos", method="pixels", head="prototype", out=tmp_path / "run").folder
    assert _main(["export", str(run / "bundle"), "--out", str(tmp_path / "photos/onnx")]) == 2
    assert "inside the picture folder" in capsys.readouterr().err


def test_a_run_is_exported_though_its_pictures_have_moved_and_others_came_or_went(tmp_path: Path) -> None:
    """The check takes those of the run that are left, in the parts that they had."""
    photos = tmp_path / "photos"
    photos.mkdir()
    two_colours(photos, 6, 16)
    run = headstart.fit(photos, method="pixels", head="prototype", evaluate="holdout", limit=10,
                        out=tmp_path / "run").folder  # fmt: skip
    listed = [line.split(",") for line in (run / "split.csv").read_text().splitlines()[1:]]
    test, train = ([name for name, _, part in listed if part == which] for which in ("test", "train"))
    assert len(test) == 2 and len(train) == 8
    (photos / test[0]).unlink()
    (photos / train[0]).unlink()
    for label in ("blue", "red", "violet"):
        (photos / label).mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), label).save(photos / label / "later.png")
    assert headstart.export(run, tmp_path / "onnx").parity.pictures == 1
    photos.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"write where they are now as `source` under \[data\] in .*recipe\.toml\.$"):
        headstart.export(run, tmp_path / "onnx")
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(photos), str(tmp_path / "moved")))
    (tmp_path / "moved" / test[1]).unlink()
    found = headstart.export(run, tmp_path / "onnx").parity
    assert (found.pictures, found.on) == (7, "pictures that it was fitted on")
    for name in train[1:]:
        (tmp_path / "moved" / name).unlink()
    with pytest.raises(UserError, match=r"holds none of the pictures that .*split\.csv lists"):
        headstart.export(run, tmp_path / "onnx")


@pytest.mark.slow
def test_quantising_opens_no_connection_and_tells_what_it_cost(run: Path, tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refused(*a, **k): print('CONNECTED', a); raise OSError\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused\n"
        "import headstart\n"
        f"for name in {list(EXPORTS)}:\n"
        f"    out = {str(tmp_path)!r} + '/' + name\n"
        f"    headstart.export({str(run)!r}, out, format=name, precision='int8', max_drop=10)\n"
        "print('TELEMETRY', sys.modules.get('openvino_telemetry'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "CONNECTED" not in found.stdout and "TELEMETRY None" in found.stdout, found.stderr
    for name in EXPORTS:
        content = exported.read(tmp_path / name)
        assert content.precision == "int8" and content.quantisation["drop_points"] <= 10
        assert content.quantisation["images_per_s_int8"] > 0


@pytest.mark.slow
def test_the_page_that_comes_along_says_in_a_browser_what_the_run_says(
    made: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    if not shutil.which("npm") or not Path("/usr/bin/chromium").is_file():
        pytest.skip("npm or /usr/bin/chromium is missing")
    files = [tmp_path / f"{i}.png" for i in range(20)]
    for file, pixels in zip(files, small_pictures()[:20], strict=True):
        Image.fromarray(pixels).convert("RGB").save(file)
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "export.py"))
    try:
        theirs = benchmark["browser"](shutil.copytree(made["onnx"], tmp_path / "page"), files)
    except subprocess.CalledProcessError:
        pytest.skip("npm cannot install onnxruntime-web here")
    np.testing.assert_allclose(theirs, headstart.predict(run, files).probabilities, atol=1e-4)
