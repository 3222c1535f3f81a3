"""The report: one self-contained page that says what the run folder's files say, and nothing that they smuggle in."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from headstart import records
from headstart.errors import Refused, UserError
from headstart.heads import make_head
from headstart.metrics import score
from headstart.phrases import NOTHING, percent
from headstart.report import write_report
from headstart.report.charts.confusion import by_likeness
from headstart.report.charts.lines import LinesDisplay
from headstart.report.curves import history
from headstart.report.examples import data_uri
from headstart.report.files import read_run
from headstart.report.numbers import count, decimal, duration, shown
from headstart.report.parts import by_use
from headstart.report.rates import rate_charts
from headstart.report.story import steps
from headstart.report.tables import score_groups
from headstart.schema.files import from_json
from headstart.schema.scores import RunScores
from reading import Page

SECTIONS = [
    "done", "scores", "confusion", "classes", "examples", "reliability", "history", "balance", "refused", "resources",
    "notes", "recipe", "use",
]  # fmt: skip
PARTS = {"train": 90, "val": 30, "calibration": 30, "test": 60}
HISTORY = [
    {"C": 10.0**p, "train_log_loss": 0.9 / (p + 5), "val_log_loss": 0.3 + 0.1 * (p + 1) ** 2, "val_accuracy": 0.9}
    for p in range(-4, 3)
]


def blobs(n: int, classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """True classes and softmax probabilities by distance to the class means, of n noisy points."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    points = np.eye(classes)[labels] + rng.normal(scale=0.45, size=(n, classes))
    logits = -6 * ((points[:, None, :] - np.eye(classes)[None]) ** 2).sum(axis=2)
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, proba / proba.sum(axis=1, keepdims=True)


def write_run(
    folder: Path,
    classes: tuple[str, ...] = ("ant", "bee", "cat"),
    *,
    parts: dict[str, int] = PARTS,
    refused: list[tuple[str, str, str]] | None = None,
    file: str = "{part}/{i:03d}.png",
    **run: Any,
) -> dict[str, Any]:
    """A run folder with real scores of simulated predictions; returns what is in scores.json."""
    folder.mkdir(parents=True, exist_ok=True)
    before, after, rows = {}, {}, []
    for seed, (part, n) in enumerate(parts.items()):
        labels, proba = blobs(n, len(classes), seed)
        before[part] = score(labels, np.full_like(proba, 1 / len(classes)), classes)
        after[part] = score(labels, proba, classes) | {"log_loss_uncalibrated": 0.4321, "ece_uncalibrated": 0.0987}
        cells = records.prediction_cells(proba, classes)
        rows += [[file.format(part=part, i=i), part, classes[labels[i]], *cells[i]] for i in range(n)]
    scores = {
        "schema": 1,
        "run": {
            "name": folder.name, "created": "2026-01-02T03:04:05+00:00", "data": "insects", "method": "features",
            "backbone": "mobilenetv2_100", "weights": "imagenet", "layer": "pooled", "image_size": [224, 224],
            "engine": "openvino (cpu, float32)", "head": "logistic", "n_features": 1280,
            "classes": list(classes), **run,
        },
        "before": before,
        "after": after,
        "calibration": {"temperature": 1.25, "n": parts.get("calibration", 0), "fitted_on": "calibration"},
        "head": {"name": "logistic", "C": 0.1, "converged": True, "n_train": 90, "n_refit": 120},
        "timings": {"decode_s": 2.5, "infer_s": 80.0, "extract_s": 41.0, "fit_s": 0.25, "total_s": 43.0},
        "counts": {"images": sum(parts.values()), "computed": 150, "reused": 60, "refused": len(refused or [])},
        "memory": {"peak_mb": 1234.5},
        "notes": ["The classes are balanced."],
    }  # fmt: skip
    records.write_json(folder / "scores.json", scores)
    records.write_csv(
        folder / "predictions.csv", ["name", "split", "label", *records.prediction_columns(classes)], rows
    )
    records.write_csv(folder / "refused.csv", ["name", "reason", "detail"], refused or [])
    records.write_history(folder / "history.csv", HISTORY)
    records.write_json(folder / "environment.json", {"python": "3.11.9", "cores": 2, "packages": {"numpy": "2.4.6"}})
    records.write_text(folder / "recipe.toml", 'version = 1\n\n[data]\nsource = "insects"\n')
    return scores


def picture(name: str) -> Image.Image:
    """A photo-sized picture whose colour depends on the name."""
    return Image.new("RGB", (400, 300), (len(name) * 7 % 256, 90, 160))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "insects", refused=[("train/broken.jpg", "truncated", "ends at byte 411")])
    return tmp_path / "insects"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report and pictures, which no test changes."""
    folder = tmp_path_factory.mktemp("written") / "insects"
    write_run(folder, refused=[("train/broken.jpg", "truncated", "ends at byte 411")])
    write_report(folder, picture)
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written / "report.html")


def story(folder: Path) -> str:
    """The sentences under “What was done”."""
    return re.sub(r"\s+", " ", " ".join(text for _, text in steps(read_run(folder))))


def test_every_section_is_on_the_page_with_a_heading(page: Page) -> None:
    """Each thing the page promises is a section with its own heading, and every link in the page leads to one."""
    sections = {section["id"]: section for section in page.all("section")}
    assert list(sections) == SECTIONS
    headings = {heading.get("id") for heading in page.all("h2")}
    assert {section["aria-labelledby"] for section in sections.values()} == headings
    assert {link["href"] for link in page.all("a")} <= {f"#{each['id']}" for _, each in page.tags if "id" in each}
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("alt" in image for image in page.all("img"))


def test_the_headline_says_the_test_accuracy_its_interval_and_chance(page: Page, written: Path) -> None:
    """The headline's figures are those of the test part in scores.json."""
    test = json.loads((written / "scores.json").read_text())["after"]["test"]
    expected = (
        f"{100 * test['accuracy']:.1f}% of 60 test pictures named correctly (95% interval "
        f"{100 * test['accuracy_low']:.1f} to {100 * test['accuracy_high']:.1f}); guessing: 33.3%."
    )
    assert expected in page.text


def test_a_run_judged_by_cross_validation_says_who_named_each_picture(run: Path) -> None:
    """Its pictures are no test part: each was named by a classifier that had not seen it, and counted once."""
    scores = json.loads((run / "scores.json").read_text())
    cv = scores["after"]["test"] | {"accuracy": 0.84, "n": 500, "correct": 420, "folds": 10}
    cv |= {"accuracy_low": 0.806, "accuracy_high": 0.87}
    scores["after"], scores["before"] = {"train": scores["after"]["train"], "cv": cv}, {}
    records.write_json(run / "scores.json", scores)
    with (run / "predictions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[name, "cv" if part == "test" else part, *rest] for name, part, *rest in rows]
    records.write_csv(run / "predictions.csv", header, rows)
    page = Page(write_report(run))
    assert (
        "84.0% of 500 pictures named correctly, each by a classifier that had not seen it (95% interval 80.6 to 87.0); "
        "guessing: 33.3%." in page.text
    )
    assert "500 pictures in 3 classes" in page.text
    assert (
        "judged by 10-fold cross-validation: each of the 500 pictures was predicted by a classifier fitted without it, "
        "on the pictures of the other 9 folds. The final classifier was fitted on all 500." in page.text
    )
    assert "80 of 500 pictures were named wrongly by classifiers that had not seen them" in page.text
    assert page.text.count("All pictures, each named by a classifier that had not seen it.") == 3
    assert "test/000.png" in page.text and "interval that is wider for cross-validation" in page.text
    assert " cv " not in page.text and "Wilson" not in page.text
    assert "est pictures" not in page.text.replace("as many test pictures", "")


@pytest.mark.parametrize("left", [("train",), ("train", "val"), ("train", "val", "calibration")])
def test_pictures_that_were_fitted_on_or_chosen_by_are_never_presented_as_a_test(run: Path, left: tuple[str]) -> None:
    """Without a test part there is no accuracy in the headline, and no confusions, classes or examples."""
    scores = json.loads((run / "scores.json").read_text())
    scores["after"] = {part: scores["after"][part] for part in left}
    records.write_json(run / "scores.json", scores)
    page = Page(write_report(run, picture))
    assert "No pictures were held out to test this classifier" in page.source.split("<h1>")[1].split("</h1>")[0]
    assert "No confusion matrix was recorded" in page.text and not page.all("img")


def test_parts_that_were_fitted_on_are_set_apart_from_the_test(page: Page) -> None:
    """The test comes first; what the head was fitted on is last, faint, and said to be no test."""
    table = page.source.split('<table class="scores">')[1].split("</table>")[0]
    parts = re.findall(r'<tbody(?: class="(\w+)")?>\s*<tr class="before"><th[^>]*>(\w+)(?:<small>([^<]*))?', table)
    assert parts == [
        ("", "test", ""),
        ("choices", "calibration", "used for choices"),
        ("seen", "validation", "seen in fitting"),
        ("seen", "training", "seen in fitting"),
    ]
    assert "has seen the validation and training pictures: their figures say nothing of other ones" in page.text
    seen = [label for label in charts_of(page).values() if "seen in fitting" in label]
    assert seen and all(label.index("Test ") < label.index("seen in fitting") for label in seen)


@pytest.mark.parametrize(
    ("head", "listed", "seen"),
    [
        ({"n_train": 90, "n_refit": 120}, None, ["val", "train"]),
        ({"n_train": 90, "n_refit": 90}, None, ["train"]),
        ({}, None, ["train"]),
        ({"n_train": 90, "n_refit": 90}, ["train", "val"], ["val", "train"]),
        ({"n_train": 90, "n_refit": 120}, ["train"], ["train"]),
    ],
)
def test_which_parts_were_fitted_on_is_listed_or_follows_from_the_counts(
    run: Path, head: dict[str, int], listed: list[str] | None, seen: list[str]
) -> None:
    """`fitted_on` in scores.json goes before the counts of rows, which older folders have alone."""
    scores = json.loads((run / "scores.json").read_text()) | {"head": head}
    scores |= {"fitted_on": listed} if listed else {}
    assert by_use(from_json(RunScores, scores))["seen"] == seen


def test_the_numbers_shown_are_those_in_the_scores(page: Page, written: Path) -> None:
    """Every score of every part, before and after, every cell of the confusion matrix and every class row is shown."""
    scores = json.loads((written / "scores.json").read_text())
    for block in (scores["before"], scores["after"]):
        for part, s in block.items():
            for key in ("log_loss", "brier", "macro_f1", "roc_auc", *(["ece"] if part != "calibration" else [])):
                assert f" {s[key]:.4f} " in page.text, key
    test = scores["after"]["test"]
    for row in test["per_class"]:
        cells = f"{row['class']} {row['n']} {row['precision']:.3f} {row['recall']:.3f} {row['f1']:.3f}"
        assert cells in re.sub(r"\s+", " ", page.text)
    shown_cells = [int(n) for n in re.findall(r'<td class="(?:right|wrong)[^>]*><a [^>]*>(\d+)<', page.source)]
    assert shown_cells == [n for row in test["confusion"] for n in row if n]
    assert f"{test['ece']:.3f}" in page.text and f"{test['ece_null_mean']:.3f}" in page.text


def test_the_page_tells_what_was_done(page: Page) -> None:
    """The story names the data, the split, the network and layer, the choice on validation and the temperature."""
    text = page.text
    for words in (
        "210 pictures in 3 classes (“ant”, “bee”, “cat”) from insects.",
        "1 file could not be used",
        "90 to train, 30 to choose settings (validation)",
        "every class has 20 pictures",
        "resized and cropped to 224 × 224 pixels and passed once through mobilenetv2_100 with its ImageNet weights",
        "its layer “pooled” gave 1,280 numbers per picture",
        "60 of 210 feature rows were reused",
        "C = 0.1 was chosen among 7 values by the log loss on the 30 validation pictures",
        "fitted again on all 120 training and validation pictures",
        "divided by a temperature of 1.250, fitted on 30 calibration pictures",
        "The whole run took 43 s.",
        "The classes are balanced.",
    ):
        assert words in text


def test_a_raw_pixel_run_does_not_claim_a_network(tmp_path: Path) -> None:
    """With `method = pixels` the story says so and names no backbone."""
    write_run(
        tmp_path / "r", method="pixels", backbone=None, weights=None, layer=None, image_size=[8, 8], n_features=64
    )
    text = Page(write_report(tmp_path / "r")).text
    assert "The pixels themselves, at 8 × 8 pixels, were the features: 64 numbers per picture" in text
    assert "mobilenet" not in text and "None" not in text.replace("None: every file", "").replace("None of", "")


def test_unequal_classes_are_compared_with_the_commonest_one(run: Path) -> None:
    """Where one class is commoner, the headline compares with always answering it, on the judged part."""
    scores = json.loads((run / "scores.json").read_text())
    for part, sizes in (("train", (60, 15, 15)), ("test", (45, 10, 5))):
        for row, n in zip(scores["after"][part]["per_class"], sizes, strict=True):
            row["n"] = n
    records.write_json(run / "scores.json", scores)
    assert "; guessing (always “ant”): 75.0%." in Page(write_report(run)).text


def test_hostile_names_are_escaped_everywhere(tmp_path: Path) -> None:
    """Markup, newlines, bytes that are not UTF-8 and direction marks in any name are shown, never obeyed."""
    evil = "</style><script>alert(1)</script>"
    folder = tmp_path / "r"
    refused = [(f"a\nb{evil}.jpg", "<b>reason</b>", "<img src=x onerror=alert(3)>"), ("\u202egpj.exe", "truncated", "")]
    write_run(
        folder,
        (evil, '" onmouseover="alert(2)', "{{ 7 * 7 }}"),
        refused=refused,
        file="{part}/{i:03d}<svg onload=alert(4)>\n.png",
        data="<iframe src=//example.org>", backbone="<object>", name="<h1>run</h1>",
    )  # fmt: skip
    records.write_text(folder / "recipe.toml", 'source = "</pre><script>alert(5)</script>"\n')
    with (folder / "refused.csv").open("ab") as file:
        file.write(b"train/\xff\xfe.jpg,unreadable,\xff\n")
    page = Page(write_report(folder, picture))
    assert {"script", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert len(page.all("h1")) == 1 and len(page.all("style")) == 1
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert evil in page.text and "{{ 7 * 7 }}" in page.text
    assert "train/\\xff\\xfe.jpg" in page.text and "\\u202egpj.exe" in page.text and "a\\nb" in page.text
    page.source.encode("utf-8")


def test_the_page_needs_nothing_from_outside(page: Page) -> None:
    """No script, no address, no imported or linked file: everything is inside the page."""
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    rest = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page.source)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|javascript:", rest)


def test_equal_files_give_an_equal_page(run: Path) -> None:
    """Writing the report twice changes no byte, and leaves no other file behind."""
    first = write_report(run, picture).read_bytes()
    assert write_report(run, picture).read_bytes() == first
    assert len(list(run.iterdir())) == 7


@pytest.mark.parametrize(
    "missing",
    [
        "predictions.csv",
        "all",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("refused.csv", "history.csv", "environment.json", "recipe.toml")
        ),
    ],
)
def test_every_file_but_the_scores_may_be_missing(run: Path, missing: str) -> None:
    """A run folder with scores.json alone still gives all sections."""
    for path in run.iterdir():
        if path.name == missing or (missing == "all" and path.name != "scores.json"):
            path.unlink()
    page = Page(write_report(run, picture))
    assert [section["id"] for section in page.all("section")] == SECTIONS


def test_scores_of_the_future_or_the_past_may_lack_blocks(run: Path) -> None:
    """Only `run` and `after` are needed; a missing figure is a dash and never an error."""
    scores = json.loads((run / "scores.json").read_text())
    slim = {"run": {"classes": scores["run"]["classes"]}, "after": {"test": scores["after"]["test"]}}
    slim["after"]["test"]["roc_auc"] = None
    records.write_json(run / "scores.json", slim)
    page = Page(write_report(run))
    assert NOTHING in page.text
    assert "without a temperature" in page.text


def test_a_folder_without_scores_is_not_a_finished_run(tmp_path: Path) -> None:
    """The error says which file is missing; a broken one is named too; no half report is left."""
    with pytest.raises(UserError, match=r"no scores\.json"):
        write_report(tmp_path)
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(UserError, match=r"scores\.json cannot be read"):
        write_report(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_the_most_confident_mistakes_come_first(page: Page, written: Path) -> None:
    """The first examples are the test mistakes in order of falling confidence, and no picture is shown twice."""
    with (written / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row["label"] != row["predicted"]]
    rows.sort(key=lambda row: -float(row["confidence"]))
    assert rows, "the simulated classifier must make mistakes for this test to mean anything"
    texts = [image["alt"] for image in page.all("img") if image["alt"]]
    wanted = [f"{row['name']}: true class {row['label']}, predicted {row['predicted']}" for row in rows[:12]]
    assert texts[: len(wanted)] == wanted
    assert len(set(texts)) == len(texts)


def test_pictures_that_cannot_be_had_leave_their_names(run: Path) -> None:
    """Without a callback, with None, and with a refused or deleted picture the examples are text."""

    def refuse(name: str) -> Image.Image | None:
        if name.endswith("0.png"):
            raise Refused("truncated")
        if name.endswith("1.png"):
            raise FileNotFoundError(name)
        return None

    for thumbnail in (None, refuse):
        page = Page(write_report(run, thumbnail))
        assert not page.all("img") and "test/0" in page.text


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_a_small_picture_is_enlarged_in_whole_steps_without_loss(mode: str) -> None:
    """An 8x8 picture becomes 144x144 whose blocks are the original pixels exactly."""
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    small = Image.fromarray(pixels).convert(mode)
    uri, enlarged = data_uri(small)
    shown_picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert enlarged and shown_picture.size == (144, 144)
    assert np.array_equal(np.asarray(shown_picture.convert("RGB"))[9::18, 9::18], np.asarray(small.convert("RGB")))


def test_a_large_picture_is_a_small_jpeg_and_the_callers_picture_is_left_alone() -> None:
    """At most 150 pixels a side, with the aspect kept; extreme shapes do not fail."""
    for size in ((3000, 2000), (4000, 3), (65, 65)):
        original = Image.new("RGB", size, "orange")
        uri, enlarged = data_uri(original)
        small = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
        assert uri.startswith("data:image/jpeg") and not enlarged
        assert max(small.size) <= 150 and original.size == size


def test_the_page_stays_under_a_megabyte_and_a_half(tmp_path: Path) -> None:
    """300 classes with long names, 20,000 refused files and pictures of pure noise do not make it grow further."""
    noise = np.random.default_rng(0)
    classes = tuple(f"{i:04d} " + "a long class name " * 8 for i in range(300))
    refused = [
        (f"train/{'deep/' * 30}{i}.jpg", "truncated" if i % 3 else "not-an-image", "x" * 300) for i in range(20000)
    ]
    write_run(tmp_path / "r", classes, parts={"test": 300}, refused=refused)
    path = write_report(
        tmp_path / "r", lambda _: Image.fromarray(noise.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    )
    assert path.stat().st_size < 1_500_000
    text = Page(path).text
    assert "20,000 files were left out" in text
    assert "more, listed in refused.csv" in text
    assert "The other 100 classes are in scores.json" in text


def test_every_refused_file_is_listed_with_its_reason(tmp_path: Path) -> None:
    """Few or many: each refused file's name and detail is on the page, and each reason is counted."""
    for n in (3, 500):
        refused = [(f"train/broken {i}.jpg", ["truncated", "empty-file"][i % 2], f"detail {i}") for i in range(n)]
        write_run(tmp_path / str(n), refused=refused)
        text = Page(write_report(tmp_path / str(n))).text
        assert all(f"broken {i}.jpg" in text and f"detail {i} " in text for i in range(n))
        assert f"{n} files were left out" in text
    assert "truncated · 250" in text


def test_many_classes_give_the_worst_confusions_as_a_list(tmp_path: Path) -> None:
    """Up to 30 classes there is a matrix; with 31 the list holds the true and the named class and how often."""
    for k in (30, 31):
        names = tuple(f"kind{i:02d}" for i in range(k))
        scores = write_run(tmp_path / str(k), names, parts={"train": 310, "test": 310})
        page = Page(write_report(tmp_path / str(k)))
        assert any("matrix" in table.get("class", "") for table in page.all("table")) == (k == 30)
    confusion = np.array(scores["after"]["test"]["confusion"])
    np.fill_diagonal(confusion, 0)
    i, j = np.unravel_index(confusion.argmax(), confusion.shape)
    share = percent(confusion[i, j] / sum(scores["after"]["test"]["confusion"][i]))
    assert f"kind{i:02d} kind{j:02d} {confusion[i, j]} {share}" in page.text


def test_many_classes_are_drawn_with_those_that_are_confused_side_by_side(tmp_path: Path) -> None:
    """Of 40 classes, each is taken for one other that is far from it in the alphabet."""
    counts = np.diag(np.full(40, 8))
    for i in range(20):
        counts[i, i + 20] = counts[i + 20, i] = 2
    order = by_likeness(counts).tolist()
    assert sorted(order) == list(range(40))
    assert {frozenset(order[i : i + 2]) for i in range(0, 40, 2)} == {frozenset((i, i + 20)) for i in range(20)}
    write_run(tmp_path, tuple(f"kind{i:02d}" for i in range(40)), parts={"train": 400, "test": 400})
    page = Page(write_report(tmp_path))
    assert "Confusion matrix of 40 classes" in page.source and "too many" not in page.text


def test_the_pictures_that_a_temperature_was_fitted_on_show_no_calibration_error(tmp_path: Path) -> None:
    """It would be of answers that were made to fit; the test part keeps its own."""
    write_run(tmp_path)
    told = {group.part: group.rows[-1].cells for group in score_groups(read_run(tmp_path))}
    assert told["calibration"][-1] == "–" and told["test"][-1] != "–"


def test_many_classes_are_told_alike_from_counts_and_from_a_table_of_an_earlier_version(tmp_path: Path) -> None:
    names = tuple(f"kind{i:03d}" for i in range(120))
    scores = write_run(tmp_path, names, parts={"train": 240, "test": 240})
    listed = [Page(write_report(tmp_path)).text]
    for block in (scores["before"], scores["after"]):
        for part in block.values():
            table = np.zeros((120, 120), int)
            for i, j, n in part["confusion"]:
                table[i, j] = n
            part["confusion"] = table.tolist()
    records.write_json(tmp_path / "scores.json", scores)
    listed.append(Page(write_report(tmp_path)).text)
    assert listed[0] == listed[1] and "no training: the probabilities of every picture are" in listed[0]


def test_the_reliability_table_agrees_with_the_predictions(page: Page, written: Path) -> None:
    """Bins hold all test pictures, and the ECE computed from the table equals the one in scores.json."""
    source = page.source
    section = re.sub(r"<[^>]+>", " ", source.split('id="reliability"')[1].split("</section>")[0])
    rows = re.findall(r"\d+% to \d+%\s+(\d+)\s+([\d.<>]+)%\s+([\d.<>]+)%", section)
    n = [int(row[0]) for row in rows]
    assert sum(n) == 60
    gaps = [int(m) / 60 * abs(float(c.strip("<>")) - float(a.strip("<>"))) / 100 for m, c, a in rows]
    assert sum(gaps) == pytest.approx(
        json.loads((written / "scores.json").read_text())["after"]["test"]["ece"], abs=1e-3
    )


def test_the_chosen_C_is_marked_in_the_history(page: Page, written: Path) -> None:
    """The search is drawn over a logarithmic axis and the chosen value has a mark and a legend."""
    assert "inverse penalty C = 0.1, chosen" in page.text
    charts = [svg for svg in page.all("svg") if "against Inverse penalty C" in svg.get("aria-label", "")]
    assert charts and all("marked" in chart["aria-label"] for chart in charts)
    chart = drawn_history(written)[0]
    assert chart.mark == 0.1 and len(chart.marked) == 2 and chart.plot().ax_.get_xscale() == "log"
    assert [at for at, _ in chart.lines[0].points] == [row["C"] for row in HISTORY]


@pytest.mark.parametrize(
    ("name", "by"), [("logistic", "log loss"), ("knn", "log loss"), ("ridge", "squared error"), ("prototype", "")]
)
def test_what_a_real_head_searched_is_told_and_drawn(run: Path, name: str, by: str) -> None:
    """The value the head kept, how many it tried and its criterion are in the story and in the charts."""
    labels, points = blobs(90, 3, seed=5)
    validation = (points[60:], labels[60:])
    for given, words in ((validation, "the 30 validation pictures"), (None, "-fold cross-validation")):
        head = make_head(name).fit(points[:60], labels[:60], validation=given)
        scores = json.loads((run / "scores.json").read_text())
        scores["run"]["head"], scores["head"] = name, {"name": name, **head.report_}
        records.write_json(run / "scores.json", scores)
        records.write_history(run / "history.csv", head.history_)
        text, drawn = story(run), history(read_run(run))
        if not by:
            assert "chosen among" not in text and "It used the scale of the distances" in text
            continue
        key = next(key for key in ("C", "k", "alpha") if key in head.report_)
        tried = len(head.history_) - 1  # row 0: before training
        assert tried > 2
        told = re.search(rf"chosen among {tried} (?:values )?by the {by} of ([^.:]*)", text)
        assert told and words in told[1]
        assert f"{key} = {head.report_[key]:.4g}" in text
        assert drawn and any(re.match(f"{by}.* against .*chosen", chart.words.lower()) for chart in drawn.charts)


def test_a_temperature_that_did_harm_is_said_to_have_done_harm(run: Path) -> None:
    """The story compares the log loss of the judged part with and without the temperature."""
    scores = json.loads((run / "scores.json").read_text())
    loss = scores["after"]["test"]["log_loss"]
    for raw, harmed in ((loss - 0.2, True), (loss + 0.2, False)):
        scores["after"]["test"]["log_loss_uncalibrated"] = raw
        records.write_json(run / "scores.json", scores)
        text = story(run)
        assert f"{raw:.4f} without it, {loss:.4f} with it" in text
        assert ("it made the probabilities worse" in text) == harmed


def test_a_C_that_was_given_is_not_said_to_be_chosen(run: Path) -> None:
    """A history without validation losses, as a head writes when nothing was searched, makes no claim of a choice."""
    records.write_history(run / "history.csv", [{"C": 0.0, "train_log_loss": 1.1}, {"C": 0.1, "train_log_loss": 0.2}])
    text = story(run)
    assert "It used the inverse penalty C = 0.1." in text and "was chosen" not in text


def test_an_epoch_history_shows_loss_and_accuracy_with_the_kept_epoch(run: Path) -> None:
    """Row 0 is drawn too, and the kept epoch is the one with the least validation loss."""
    epochs = [
        {"epoch": e, "train_loss": 1 / (e + 1), "val_loss": 0.5 + (e - 4) ** 2 / 50, "val_accuracy": 0.5 + e / 30}
        for e in range(9)
    ]
    records.write_history(run / "history.csv", epochs)
    scores = json.loads((run / "scores.json").read_text())
    records.write_json(run / "scores.json", scores | {"head": {"name": "mlp"}})
    page = Page(write_report(run))
    assert "It trained for 8 epochs; the weights of epoch 4, the best on validation, were kept." in page.text
    labels = [svg.get("aria-label", "") for svg in page.all("svg")]
    assert sum("against Epoch" in label for label in labels) == 2
    assert [len(line.points) for chart in drawn_history(run) for line in chart.lines] == [9, 9, 9]
    records.write_history(
        run / "history.csv", [{"epoch": row["epoch"], "train_loss": row["train_loss"]} for row in epochs]
    )
    assert "without validation pictures, the last weights were kept" in story(run)


def test_a_head_without_a_history_says_so(run: Path) -> None:
    """No history, one row, or a row without numbers give a sentence in place of a chart."""
    for rows in ([], [{"C": 1.0, "val_log_loss": 0.5}], [{"C": float("nan"), "val_log_loss": float("inf")}]):
        records.write_history(run / "history.csv", rows)
        assert history(read_run(run)) is None
    page = Page(write_report(run))
    assert "no learning history" in page.text and not any(" against " in label for label in charts_of(page))


def test_the_commands_shown_name_this_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are typed from where the report was written: relative below it, and quoted where a shell needs it."""
    monkeypatch.chdir(run.parent)
    text = Page(write_report(run)).text
    assert "headstart predict insects PATHS..." in text
    assert "headstart evaluate insects OTHER_PICTURES" in text
    assert "headstart run insects/recipe.toml" in text
    assert 'load_classifier("insects/bundle")' in text
    write_run(run.parent / "my run")
    assert "headstart run 'my run/recipe.toml'" in Page(write_report(Path("my run"))).text


def test_the_notes_the_recipe_and_the_environment_are_copied_as_they_are(page: Page) -> None:
    """The recipe keeps its lines; package versions and the processor count are there."""
    assert html.escape('version = 1\n\n[data]\nsource = "insects"', quote=False) in html.unescape(page.source)
    assert "numpy 2.4.6" in page.text and "cores 2" in page.text


def test_percentages_never_round_to_all_or_nothing() -> None:
    """Only everything is 100% and only nothing is 0%."""
    assert [percent(x) for x in (1.0, 0.99999, 0.5, 0.00001, 0.0)] == ["100%", ">99.9%", "50.0%", "<0.1%", "0%"]
    assert percent(0.99985, 2) == "99.98%" or percent(0.99985, 2) == "99.99%"
    assert decimal(-1e-17) == "0.0000" and decimal(float("inf")) == NOTHING
    assert percent(None) == percent(float("nan")) == count(None) == duration(None) == NOTHING


def test_durations_and_names_read_as_people_write_them() -> None:
    """Seconds, minutes and hours; hidden characters become visible, ordinary letters of any script stay."""
    assert [duration(s) for s in (0.42, 7.13, 42.4, 200, 7500)] == [
        "0.42 s",
        "7.1 s",
        "42 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert shown("chat écorché 猫 🐱") == "chat écorché 猫 🐱"
    assert shown("a\tb\x00\u2028c") == "a\\tb\\x00\\u2028c"
    assert len(shown("x" * 300)) == 121


TRAINING: dict[str, Any] = {
    "trained_from": "blocks.5.2", "blocks": 3, "whole": False, "parameters": 1208642, "parameters_of_network": 3504872,
    "rows": 90, "stored_mb": 12.5, "trunk_ms": 5.0, "trunk_runs_saved": 600,
    "plan": {
        "epochs": 10, "batch_size": 32, "optimiser": "adamw", "learning_rate": 3e-4, "weight_decay": 0.05,
        "momentum": 0.9, "warmup": 0.1, "clip": 1.0, "patience": 5, "seed": 7, "threads": 2, "device": "cpu",
    },
    "gradual": 0, "sampler": "shuffle",
    "choices": [
        {"name": "batch_size", "value": 32, "source": "small batches: Masters and Luschi 2018"},
        {"name": "epochs", "value": 10, "source": "as asked"},
        {"name": "learning_rate", "value": 3e-4, "source": "small steps: Kumar et al. 2022"},
        {"name": "head_first", "value": True, "source": "LP-FT: Kumar et al. 2022"},
    ],
    "best_epoch": 2, "blend": 0.6, "resumed_at": None, "train_s": 20.0, "steepest_rate": 8.6e-5,
}  # fmt: skip
EPOCHS = [
    {"epoch": 0, "phase": 0, "train_loss": 0.693, "train_accuracy": 0.5, "val_loss": 0.693, "val_accuracy": 0.5},
    {"epoch": 0, "phase": 1, "val_loss": 0.2, "val_accuracy": 0.9},
    *(
        {
            "epoch": e, "phase": 2, "train_loss": 0.1 / e, "train_accuracy": 0.99, "val_loss": 0.15 + (e - 2) ** 2 / 50,
            "val_accuracy": 0.95, "images_per_s": 45.0, "data_s": 0.5, "compute_s": 1.5, "evaluate_s": 0.25,
            "learning_rate": 1e-4, "learning_rate_head": 1e-4, "learning_rate_blocks.5.2": 4.2e-5,
        }
        for e in range(1, 5)
    ),
]  # fmt: skip


def write_trained(folder: Path, **changes: Any) -> dict[str, Any]:
    """A run folder of a network that was fine-tuned; `changes` are to the block `training`."""
    scores = write_run(folder, method="finetune")
    kept = ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss")
    frozen = {part: {key: s[key] for key in kept} for part, s in scores["after"].items()}
    frozen["test"] |= {"accuracy": 0.75, "accuracy_low": 0.627, "accuracy_high": 0.842}
    scores["training"] = {**TRAINING, "frozen": frozen, **changes}
    scores["head"] = {"name": "logistic", "best_epoch": 2, "epochs": 4}
    records.write_json(folder / "scores.json", scores)
    records.write_history(folder / "history.csv", EPOCHS)
    return scores


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network that was fine-tuned, with its report, which no test changes."""
    folder = tmp_path_factory.mktemp("trained") / "r"
    write_trained(folder)
    write_report(folder)
    return folder


def drawn_history(folder: Path) -> list[LinesDisplay]:
    """The charts of a run's learning history."""
    found = history(read_run(folder))
    assert found is not None
    return found.charts


def charts_of(page: Page) -> dict[str, str]:
    """Title and axis of each drawing -> its whole label."""
    labels = [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"]
    return {label.split(";")[0].split(".")[0]: label for label in labels}


def test_a_trained_network_is_not_said_to_be_unchanged(trained: Path) -> None:
    """The story names the blocks that were trained, their parameters, the start, the epochs and the blend."""
    text = Page(trained / "report.html").text
    assert "which was not changed" not in text and "was fitted" not in text
    for words in (
        "resized and cropped to 224 × 224 pixels for mobilenetv2_100 with its ImageNet weights",
        "Its part before “blocks.5.2” stayed frozen.",
        "The last 3 blocks, from blocks.5.2 on, and a new head were trained: 1,208,642 parameters "
        "(the network with its own head has 3,504,872).",
        "a multinomial logistic regression, was solved on the frozen features first (LP-FT)",
        "It trained for 4 epochs; the weights of epoch 2, the best on validation, were kept.",
        "60% of the way from the frozen to these (WiSE-FT)",
        "It learnt from 45 pictures a second: 6.0 s of computing and 2.0 s of waiting for data (25.0%)",
        "Training the network and the head",
    ):
        assert words in text, words


def test_training_from_scratch_claims_no_frozen_part_and_no_weights(tmp_path: Path) -> None:
    """Without a frozen network there is no comparison with it, whatever weights the recipe's default names."""
    scores = write_trained(tmp_path / "r", whole=True, trained_from="conv_stem", blocks=19, blend=None)
    scores["run"] |= {"method": "scratch", "weights": "pretrained"}
    del scores["training"]["frozen"]
    scores["training"]["choices"] = scores["training"]["choices"][:3]
    records.write_json(tmp_path / "r" / "scores.json", scores)
    text = Page(write_report(tmp_path / "r")).text
    assert "mobilenetv2_100 with random weights." in text and "pretrained weights" not in text
    assert "The whole network and a new head were trained" in text and "Nothing was frozen" in text
    assert "stayed frozen" not in text and "with the network frozen" not in text
    assert "What training the network changed" not in text and "LP-FT" not in text


def test_frozen_and_trained_are_compared_on_the_test_pictures(trained: Path, tmp_path: Path) -> None:
    """Headline, sentence and chart have the frozen accuracy of scores.json; with averaging, that of the plain ones."""
    scores = write_trained(tmp_path / "r")
    test = scores["after"]["test"]
    more = test["correct"] - 45
    text = Page(trained / "report.html").text
    assert "; guessing: 33.3%; with the network frozen: 75.0%." in text
    assert "With the network frozen, 75.0% (62.7 to 84.2%) of the 60 test pictures were named correctly" in text
    assert f"; with it trained, {100 * test['accuracy']:.1f}% (" in text
    assert f": {more} more ({100 * more / 60:.2f} points)." in text
    plain = {"step": "views", "accuracy": 0.7, "accuracy_low": 0.57, "accuracy_high": 0.8}
    scores["augment"] = {
        "name": "light", "views": 2, "tta": 2, "transforms": [], "computed": 0, "reused": 0, "seconds": 1.0,
        "steps": [plain, plain | {"step": "averaging", "accuracy": 0.9, "mended": 12, "made": 0, "p": 0.0005}],
    }  # fmt: skip
    records.write_json(tmp_path / "r" / "scores.json", scores)
    page = Page(write_report(tmp_path / "r"))
    assert (
        "pictures, each seen once, were named correctly; with it trained, 70.0% (57.0 to 80.0%): 3 fewer (5"
        in page.text
    )
    plot = charts_of(page)["Accuracy, with 95% interval"]
    assert "Frozen 75.0%, interval 62.7% to 84.2%. Trained 70.0%, interval 57.0% to 80.0%." in plot


@pytest.mark.parametrize(
    ("changes", "counts", "words"),
    [
        ({}, {"computed": 200, "reused": 0}, "ran once for each picture, 200 ms with decoding (12.5 MB stored). "
         "Without stored activations it would have run another 600 times, about 2 min 0 s."),
        ({}, {"computed": 20, "reused": 180}, "ran for 20 pictures, 2.0 s with decoding; 180 are of an earlier run"),
        ({}, {"computed": 0, "reused": 200}, "The output of the frozen part for all 200 pictures is of an earlier run "
         "(12.5 MB stored). Without stored activations it would have run another 600 times."),
        ({"stored_mb": 0.0}, {}, "was not stored, so it ran anew in every epoch."),
        ({"whole": True}, {}, "Nothing was frozen; the decoded pictures were stored (12 MB)."),
    ],
)  # fmt: skip
def test_what_storing_saved_is_told_as_it_was(
    tmp_path: Path, changes: dict[str, Any], counts: dict[str, int], words: str
) -> None:
    """How often the frozen part ran, for which pictures, and how often it would have run; 41 s of wall, 1 s opening."""
    scores = write_trained(tmp_path / "r", **changes)
    scores["counts"] |= counts
    scores["timings"]["open_s"] = 1.0
    records.write_json(tmp_path / "r" / "scores.json", scores)
    assert words in story(tmp_path / "r")


def test_every_setting_of_a_training_is_in_a_table_with_its_source(trained: Path) -> None:
    """Rules with their papers, what was asked for as asked, and the rest as defaults unless they differ from them."""
    text = Page(trained / "report.html").text
    for choice in TRAINING["choices"]:
        value = "yes" if choice["value"] is True else f"{choice['value']:g}"
        assert f" {choice['name']} {value} {choice['source']} " in text
    for words in (
        "optimiser adamw default", "weight_decay 0.05 as asked", "clip 1 default", "seed 7 the run's",
        "sampler shuffle default", "gradual 0 default", "threads 2 the fastest here, unless one was asked for",
    ):  # fmt: skip
        assert words in text, words
    assert "momentum" not in text, "it is of the optimiser that was not used"


def test_the_epochs_are_drawn_from_the_solved_head_on(trained: Path) -> None:
    """Epoch 0 is the solved head; the head of zeros is told, not drawn; ticks are whole epochs; one epoch is kept."""
    page = Page(trained / "report.html")
    labels = charts_of(page)
    assert "epoch 2, kept" in labels["Log loss against Epoch"] and "epoch 2, kept" in labels["Accuracy against Epoch"]
    charts = drawn_history(trained)
    assert [len(line.points) for chart in charts for line in chart.lines] == [4, 5, 4, 5]
    assert "a head of zeros had 0.693" in page.text and "a head of zeros had 50.0%" in page.text
    assert "Epoch 0 is the head fitted on frozen features" in page.text
    ticks = [tick for chart in charts for tick in chart.plot().ax_.get_xticks()]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


def test_the_schedule_rises_through_the_warm_up_and_marks_an_early_end(trained: Path) -> None:
    """The head's rate is highest at a tenth of 10 epochs and ends at 0; the slowest block's is 0.42 of it."""
    page = Page(trained / "report.html")
    assert "stopped after epoch 4" in charts_of(page)["Learning rate (× 10⁻⁴) against Epoch"]
    head, block = (line.points for line in rate_charts(read_run(trained))[0].lines)
    top = max(head, key=lambda point: point[1])
    assert top == (pytest.approx(1, abs=0.1), pytest.approx(3)) and head[-1] == (10, pytest.approx(0, abs=0.01))
    assert max(y for _, y in block) / top[1] == pytest.approx(0.42, abs=0.01)


@pytest.mark.parametrize(("settings", "named"), [
    ({"label_smoothing": 0.1, "mixup": 0.0}, "label smoothing"),
    ({"label_smoothing": 0.1, "mixup": 0.2}, "label smoothing and mixup"),
])  # fmt: skip
def test_a_training_loss_that_is_not_like_the_others_is_said_so(
    settings: dict[str, float], named: str, trained: Path, tmp_path: Path
) -> None:
    """With smoothed labels or mixed pictures it lies above the others."""
    write_trained(tmp_path / "r", plan=TRAINING["plan"] | settings)
    assert f"The training loss is computed with {named}, the other" in Page(write_report(tmp_path / "r")).text
    assert "The training loss is computed with" not in Page(trained / "report.html").text


def test_the_rates_that_were_tried_are_drawn_with_the_steepest_marked(trained: Path, tmp_path: Path) -> None:
    """Over a logarithmic axis, from learning_rates.csv; without that file there is no such chart and no such claim."""
    write_trained(tmp_path / "r")
    text = Page(trained / "report.html").text
    assert "tried on a copy" not in text and "On a copy" not in text
    rows = [[10.0**p, loss] for p, loss in zip(range(-6, 0), (0.9, 0.88, 0.4, 0.3, 0.29, 0.6), strict=True)]
    records.write_csv(tmp_path / "r" / "learning_rates.csv", ["learning_rate", "loss"], rows)
    page = Page(write_report(tmp_path / "r"))
    assert (
        "0.000086, where the loss fell most steeply"
        in charts_of(page)["Learning rates tried on a copy against Learning rate"]
    )
    assert (
        "the loss fell most steeply at 0.000086; the training used 0.0003; trying rates does not change it" in page.text
    )
    chart = rate_charts(read_run(tmp_path / "r"))[-1]
    assert chart.lines[0].points == [tuple(row) for row in rows] and chart.plot().ax_.get_xscale() == "log"
    assert chart.marked == [(1e-4, 0.4)]


def test_a_training_without_validation_pictures_still_has_its_curves(tmp_path: Path) -> None:
    """Then the start of zeros is the only epoch 0 with a loss, and is drawn."""
    write_trained(tmp_path / "r", blend=None)
    rows = [{k: v for k, v in row.items() if not k.startswith("val_")} for row in EPOCHS]
    records.write_history(tmp_path / "r" / "history.csv", rows)
    page = Page(write_report(tmp_path / "r"))
    assert "without validation pictures, the last weights were kept" in page.text
    assert [len(line.points) for chart in drawn_history(tmp_path / "r") for line in chart.lines] == [5, 5]


def test_names_in_a_training_are_escaped(tmp_path: Path) -> None:
    """Blocks and settings are shown as text, whatever they hold."""
    evil = "<script>alert(1)</script>"
    write_trained(tmp_path / "r", trained_from=evil, choices=[{"name": evil, "value": evil, "source": evil}])
    records.write_history(tmp_path / "r" / "history.csv", [row | {f"learning_rate_{evil}": 1e-6} for row in EPOCHS])
    page = Page(write_report(tmp_path / "r"))
    assert not page.all("script") and page.text.count(evil) >= 4


def test_a_run_on_frozen_features_has_nothing_of_a_training(page: Page) -> None:
    """No table of settings, no schedule, no comparison."""
    text = page.text
    assert "Settings of the training" not in text and "Learning rate" not in text and "network frozen" not in text


@pytest.mark.parametrize(
    ("keys", "value"),
    [("after", []), ("after.test", "x"), ("after.test.n", {}), ("after.test.confusion", 7), ("run", "x"), ("notes", 7)],
)
def test_scores_that_no_run_writes_are_one_sentence_and_no_report(run: Path, keys: str, value: Any) -> None:
    """A folder that somebody sent: the figures may be anything; the report is written whole or not at all."""
    scores = json.loads((run / "scores.json").read_text())
    *outer, last = keys.split(".")
    block = scores
    for key in outer:
        block = block[key]
    block[last] = value
    records.write_json(run / "scores.json", scores)
    try:
        write_report(run)
    except UserError as error:
        assert "scores.json" in str(error) and not (run / "report.html").exists()


@pytest.mark.parametrize("text", ['{"run": NaN}', "[" * 10_000, "[]", '{"run": 1, "run": 2}'])
def test_scores_that_are_no_strict_json_are_refused(run: Path, text: str) -> None:
    for name in ("scores.json", "environment.json"):
        before = (run / name).read_text() if (run / name).exists() else "{}"
        (run / name).write_text(text)
        with pytest.raises(UserError, match=rf"{name} cannot be read"):
            write_report(run)
        (run / name).write_text(before)
