"""Extraction computes each picture once, whatever the order, the batch, the crash or the change."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import feature_files
from headstart.backbones import resolve
from headstart.engines import choose
from headstart.engines.int8 import Calibration
from headstart.errors import DataError, UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings, extract
from headstart.features.soundness import mark
from headstart.features.source import FeatureSource
from headstart.images import from_arrays, load
from headstart.preprocess import Preprocess
from headstart.recipe import Recipe

NETWORK = "test_resnet"  # timm's smallest: the same code paths in milliseconds


def source(**changes: object) -> FeatureSource:
    """Features of a tiny untrained network at 48 px."""
    seed = int(changes.pop("seed", 0))  # type: ignore[call-overload]
    layer = str(changes.pop("layer", "pooled"))
    engine = choose(str(changes.pop("engine", "openvino")), "cpu")
    backbone = resolve(NETWORK, "none", seed=seed)
    preprocess = replace(backbone.preprocess, height=48, width=48, crop_pct=0.9)
    return FeatureSource(replace(preprocess, **changes), backbone, layer, engine)  # type: ignore[arg-type]


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(n, 60, 50, 3), dtype=np.uint8)


def write_pictures(folder: Path, n: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(noise(n, seed)):
        Image.fromarray(pixels).save(folder / f"{i:04d}.png")
    return folder


def unlabelled(folder: Path):
    return load(folder, labelled=False)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_row_depends_on_its_own_picture_alone_to_the_last_bit(engine: str) -> None:
    pictures, made = noise(21), source(engine=engine)
    together = extract(from_arrays(pictures), made).features
    order = np.random.default_rng(1).permutation(21)
    shuffled = extract(from_arrays(pictures[order]), made).features
    assert shuffled.tobytes() == together[order].tobytes()
    alone = extract(from_arrays(pictures[5:6]), made).features
    assert alone.tobytes() == together[5:6].tobytes()


@pytest.mark.parametrize("layer", ["pooled", "layer2"])
def test_both_engines_agree_within_1e_4(layer: str) -> None:
    images = from_arrays(noise(6))
    one = extract(images, source(layer=layer)).features
    other = extract(images, source(layer=layer, engine="torch")).features
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max()


def test_the_second_extraction_computes_decodes_and_opens_nothing(tmp_path: Path) -> None:
    images, settings = from_arrays(noise(30)), Settings(tmp_path)
    first = extract(images, source(), settings)
    second = extract(images, source(), settings)
    assert (first.counts.computed, first.counts.decoded, first.counts.reused) == (30, 30, 0)
    assert (second.counts.computed, second.counts.decoded, second.counts.reused) == (0, 0, 30)
    assert second.open_s == 0
    assert first.features.tobytes() == second.features.tobytes()


def test_pictures_with_equal_content_are_computed_once(tmp_path: Path) -> None:
    pictures = noise(4)
    done = extract(from_arrays(np.concatenate([pictures, pictures[::-1]])), source(), Settings(tmp_path))
    assert (done.counts.computed, done.counts.repeated) == (4, 4)
    assert done.features[:4].tobytes() == done.features[4:][::-1].tobytes()


def test_a_refused_picture_is_left_out_listed_and_not_replaced(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 6)
    (folder / "0002.png").write_bytes((folder / "0002.png").read_bytes()[:200])
    (folder / "0004.png").write_bytes(b"")
    (folder / "0005.png").write_bytes((folder / "0002.png").read_bytes())
    images = unlabelled(folder)
    done = extract(images, source())
    assert [images.names[i] for i in done.kept] == ["0000.png", "0001.png", "0003.png"]
    listed = {r.name: r.reason for r in (*images.refused, *done.refused)}
    assert set(listed) == {"0002.png", "0004.png", "0005.png"}
    assert listed["0002.png"] == listed["0005.png"] == "truncated"
    whole = extract(from_arrays(noise(6)[[0, 1, 3]]), source()).features
    np.testing.assert_array_equal(done.features, whole)


def test_strict_stops_at_a_refused_picture_and_names_it(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 3)
    (folder / "0001.png").write_bytes((folder / "0001.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"0001\.png.*truncated"):
        extract(unlabelled(folder), source(), Settings(strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"height": 64, "width": 64},
        {"crop_pct": 1.0},
        {"interpolation": "nearest"},
        {"mean": (0.4, 0.5, 0.5)},
        {"std": (0.4, 0.5, 0.5)},
        {"seed": 1},
        {"layer": "layer2"},
        {"engine": "openvino"},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_change_of_any_setting_computes_anew(tmp_path: Path, change: dict) -> None:
    """By PyTorch, which converts no network for each of the settings."""
    images, settings = from_arrays(noise(3)), Settings(tmp_path)
    extract(images, source(engine="torch"), settings)
    assert extract(images, source(engine="torch"), settings).counts.reused == 3
    changed = extract(images, source(**{"engine": "torch", **change}), settings)
    assert (changed.counts.computed, changed.counts.reused) == (3, 0)


def test_changed_content_under_the_same_name_size_and_time_is_computed_anew(tmp_path: Path) -> None:
    folder, settings = tmp_path / "p", Settings(tmp_path / "store")
    folder.mkdir()
    for i, pixels in enumerate(noise(3)):
        Image.fromarray(pixels).save(folder / f"{i}.bmp")
    extract(unlabelled(folder), source(), settings)
    before = (folder / "1.bmp").stat()
    data = bytearray((folder / "1.bmp").read_bytes())
    data[500] ^= 64
    (folder / "1.bmp").write_bytes(data)
    os.utime(folder / "1.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    again = extract(unlabelled(folder), source(), settings)
    assert (again.counts.computed, again.counts.reused) == (1, 2)


def test_moved_and_touched_files_are_not_computed_again(tmp_path: Path) -> None:
    folder, settings = write_pictures(tmp_path / "p", 4), Settings(tmp_path / "store")
    extract(unlabelled(folder), source(), settings)
    moved = shutil.move(folder, tmp_path / "elsewhere")
    (Path(moved) / "0000.png").rename(Path(moved) / "renamed.png")
    os.utime(Path(moved) / "0001.png", (1, 1))
    assert extract(unlabelled(Path(moved)), source(), settings).counts.computed == 0


def test_a_store_that_cannot_be_written_costs_a_note_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = extract(from_arrays(noise(3)), source(), Settings(tmp_path / "file" / "store"))
    assert done.counts.computed == 3
    assert len(done.notes) == 1 and "not stored" in done.notes[0]


def test_no_usable_picture_is_an_error_that_names_the_first_and_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"a\.png"):
        extract(unlabelled(tmp_path), source())


def test_features_are_of_the_kind_that_the_ending_says_in_any_case(tmp_path: Path) -> None:
    asked = Recipe.from_dict({"method": "pixels", "data": {"source": "digits", "limit": 20}}, "")
    feature_files.features(asked, tmp_path / "F.NPZ")
    assert len(np.load(tmp_path / "F.NPZ")["features"]) > 0


def test_raw_pixels_are_the_picture_itself_scaled_to_one() -> None:
    pictures = noise(3)
    plain = replace(source().preprocess, height=60, width=50, crop_pct=1.0)
    rows = extract(from_arrays(pictures), FeatureSource(plain)).features
    np.testing.assert_allclose(rows, pictures.reshape(3, -1) / 255, rtol=1e-6)


CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell starts its children deaf to it
sys.path.insert(0, sys.argv[3])
from pathlib import Path
import headstart.features.store as s
s.COMMIT_ROWS, s.COMMIT_SECONDS = 16, 0.02
from headstart.features.extract import Extractor, Settings, extract
from test_extract import source, unlabelled
def tell(stage, done, total):
    if done == 60:
        print("sixty", flush=True)
try:
    extract(unlabelled(Path(sys.argv[1])), source(), Settings(Path(sys.argv[2])), tell)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.exhaustive)])
def test_after_a_kill_or_an_interrupt_the_rest_is_computed_and_equals_a_clean_run(
    tmp_path: Path, how: signal.Signals
) -> None:
    folder = write_pictures(tmp_path / "p", 600)
    arguments = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "store"), str(Path(__file__).parent)]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None and child.stdout.readline() == b"sixty\n"
    time.sleep(0.1)
    child.send_signal(how)
    assert child.wait(60) == (-9 if how == signal.SIGKILL else 130)
    child.stdout.close()
    resumed = extract(unlabelled(folder), source(), Settings(tmp_path / "store"))
    clean = extract(unlabelled(folder), source())
    assert 0 < resumed.counts.reused < 600
    assert resumed.counts.reused + resumed.counts.computed == 600
    assert resumed.features.tobytes() == clean.features.tobytes()


def test_an_extractor_held_open_opens_its_engine_once_and_gives_what_a_new_one_gives(tmp_path: Path) -> None:
    first, second, opened = from_arrays(noise(6)), from_arrays(noise(6, seed=1)), []
    others = set(threading.enumerate())

    def progress(stage: str, done: int, total: int) -> None:
        opened.extend([stage] * (stage == "open" and done))

    with Extractor(source(), Settings(tmp_path)) as extractor:
        together = [extractor.extract(images, progress) for images in (first, second, first)]
        threads = threading.active_count()
        extractor.extract(second, progress)
        assert threading.active_count() == threads
    assert opened == ["open"]
    assert [done.counts.computed for done in together] == [6, 6, 0]
    for done, images in zip(together, (first, second, first), strict=True):
        assert done.features.tobytes() == extract(images, source()).features.tobytes()
    left = set(threading.enumerate()) - others
    assert not [thread for thread in left if thread.name.startswith(("decode", "feature-store"))]


def test_what_an_open_extractor_has_stored_is_whole_and_marked_as_sound(tmp_path: Path) -> None:
    """A process that is killed with an extractor open, in a training of hours say, leaves nothing to be checked."""
    with Extractor(source(), Settings(tmp_path)) as extractor:
        extractor.extract(from_arrays(noise(5)))
        (space,) = tmp_path.iterdir()
        assert json.loads((space / "sound.json").read_text()) == mark(space / "data.mdb")
        assert extract(from_arrays(noise(5)), source(), Settings(tmp_path)).counts.reused == 5


def test_a_copy_of_an_open_extractor_opens_for_itself_what_it_needs() -> None:
    images = from_arrays(noise(3))
    with Extractor(source()) as extractor:
        features = extractor.extract(images).features
        with copy.deepcopy(extractor) as other:
            assert other.pool is not extractor.pool
            assert other.extract(images).features.tobytes() == features.tobytes()


def photos(folder: Path, side: int) -> Path:
    """A coloured slope of this many pixels a side as a JPEG and as a PNG."""
    folder.mkdir()
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    pixels = np.stack([*np.broadcast_arrays(ramp, ramp[:, None]), np.full((side, side), 90, np.uint8)], -1)
    Image.fromarray(pixels).save(folder / "a.jpg", quality=95)
    Image.fromarray(pixels).save(folder / "b.png")
    return folder


def test_decoding_fast_changes_large_jpegs_alone_and_by_little(tmp_path: Path) -> None:
    exact, fast = FeatureSource(Preprocess(48, 48)), FeatureSource(Preprocess(48, 48, decode="fast"))
    small = unlabelled(photos(tmp_path / "small", 200))  # less than twice 2 x 55
    assert extract(small, fast).features.tobytes() == extract(small, exact).features.tobytes()
    large = unlabelled(photos(tmp_path / "large", 230))
    one, other = extract(large, exact).features, extract(large, fast).features
    assert one[1].tobytes() == other[1].tobytes(), "a PNG is decoded whole"
    assert 0 < np.abs(one[0] - other[0]).max() < 0.02


def test_what_was_decoded_fast_is_stored_and_sketched_by_itself(tmp_path: Path) -> None:
    images = unlabelled(photos(tmp_path / "large", 230))
    for decode in ("exact", "fast"):
        source = FeatureSource(Preprocess(48, 48, decode=decode))  # type: ignore[arg-type]
        done = extract(images, source, Settings(tmp_path / "store"), sketches=10)
        assert done.counts.computed == 2
        assert done.sketches is not None
        assert done.sketches.facts["height"].tolist() == [230, 230], "the picture's own size, whatever was decoded"


@pytest.mark.slow
def test_features_in_eight_bits_are_near_and_lie_in_a_space_of_their_calibration(tmp_path: Path) -> None:
    pictures = from_arrays(noise(12))
    exact = source(engine="openvino")
    in_int8 = replace(exact, engine=choose(precision="int8"), calibration=Calibration.of(pictures))
    one = extract(pictures, exact, Settings(tmp_path)).features
    other = extract(pictures, in_int8, Settings(tmp_path))
    assert other.counts.computed == 12 and one.tobytes() != other.features.tobytes()
    assert np.corrcoef(one.ravel(), other.features.ravel())[0, 1] > 0.95
    again = extract(pictures, in_int8, Settings(tmp_path))
    assert (again.counts.reused, again.open_s) == (12, 0)
    elsewhere = replace(in_int8, calibration=Calibration.of(pictures.take(np.arange(6))))
    assert elsewhere.space() != in_int8.space()
    assert in_int8.exactly() == exact


def test_features_are_stored_once_however_a_network_is_spelt() -> None:
    spellings = [resolve(name, "none") for name in ("MobileNetV2", "mobilenetv2_100", "timm:mobilenetv2_100")]
    spaces = [FeatureSource(one.preprocess, one, "pooled", choose("torch")).space() for one in spellings]
    assert spaces[0] == spaces[1] == spaces[2]


def test_eight_bits_are_for_frozen_features_on_a_cpu() -> None:
    assert (choose(precision="int8").name, choose(precision="int8").device) == ("openvino", "cpu")
    with pytest.raises(UserError, match="use mixed on a GPU"):
        choose("torch", "cpu", "int8")
    recipe = {"method": "finetune", "data": {"source": "digits"}, "engine": {"precision": "int8"}}
    with pytest.raises(UserError, match="is for frozen features; method=finetune"):
        feature_source(Recipe.from_dict({**recipe, "backbone": {"name": NETWORK, "weights": "none"}}), load("digits"))
