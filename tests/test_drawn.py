"""The drawn pictures: functions of a seed, letters without digits, and one sentence when fonts are missing."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ImageFont

from headstart.drawn import fonts, fractals, glyphs, scene, silhouettes, strokes, textures
from headstart.drawn.bank import Bank
from headstart.drawn.sheet import BOX, FINE, SIDE, Sheet, distance_field
from headstart.errors import UserError
from headstart.pretraining.sprout import DrawnBatches, SproutRecipe

torch.set_num_threads(1)
INVENTED = [strokes.draw_strokes, silhouettes.draw_silhouettes, fractals.draw_fractals]


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Figures that need no fonts."""
    sheets = {"strokes": strokes.draw_strokes(6, 2, 0), "silhouettes": silhouettes.draw_silhouettes(4, 2, 0)}
    return Bank(sheets, {"strokes": 0.7, "silhouettes": 0.3})


@pytest.fixture
def font(tmp_path: Path) -> Path:
    """The font that Pillow has within."""
    inside = ImageFont.load_default(20)
    if not isinstance(inside, ImageFont.FreeTypeFont) or not isinstance(inside.path, BytesIO):
        pytest.skip("Pillow was built without FreeType")
    path = tmp_path / "inside.ttf"
    path.write_bytes(inside.path.getvalue())
    return path


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_digit_is_among_the_glyphs() -> None:
    """Neither 0 to 9 nor a numeral of any script: digits stay unseen, so that MNIST measures transfer."""
    for character in "".join(glyphs.CLASSES):
        assert unicodedata.numeric(character, None) is None, character
        assert not unicodedata.category(character).startswith("N"), character


def test_a_character_belongs_to_one_class() -> None:
    """Otherwise the same picture would have two labels."""
    every = "".join(glyphs.CLASSES)
    assert len(every) == len(set(every))


@pytest.mark.parametrize("draw", INVENTED)
def test_a_figure_is_a_function_of_seed_class_and_number(draw: object) -> None:
    """More classes or more figures of each change none of those there were; another seed changes them."""
    few, many, other = draw(2, 2, 0), draw(3, 4, 0), draw(2, 2, 1)  # type: ignore[operator]
    assert few.fields.shape == (4, SIDE, SIDE)
    assert few.fields.dtype == np.uint8
    assert np.array_equal(few.fields, many.fields[[0, 1, 4, 5]])
    assert not np.array_equal(few.fields, other.fields)
    assert many.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(set(few.classes)) == 2


def test_a_field_says_how_far_the_edge_is() -> None:
    """Of a square: 128 lies on the edge, one cell is 127 / 6 grey levels, and inside is above."""
    mask = np.zeros((FINE, FINE), np.uint8)
    mask[24:72, 24:72] = 255
    field = distance_field(mask).astype(float)
    cells = (field[SIDE // 2] - 128) * 6 / 127
    np.testing.assert_allclose(cells[10:14], [-1.5, -0.5, 0.5, 1.5], atol=0.05)
    assert cells[0] == pytest.approx(-6, abs=0.1)
    assert field[SIDE // 2, SIDE // 2] == 255


def test_a_glyph_fills_its_box_and_a_missing_one_is_none(font: Path) -> None:
    """Every letter has the same larger side, in the middle of the canvas; what a font lacks is not drawn as a box."""
    for letter in "Agw":
        drawn = fonts.mask(font, letter)
        assert drawn is not None
        rows, columns = np.nonzero(drawn >= 128)
        sides = [int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1]
        assert max(sides) == pytest.approx(BOX, abs=4)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(FINE / 2, abs=3)
    assert fonts.mask(font, "\u10d0") is None


def test_a_usable_font_is_found_and_what_is_no_font_is_passed_over(font: Path) -> None:
    """A file that only has a font's name does not end the search."""
    (font.parent / "broken.ttf").write_bytes(b"no font")
    assert fonts.usable([font.parent], enough=1) == (font,)
    sheet = glyphs.draw_glyphs([font] * 8)
    assert "M" in sheet.classes
    assert len(sheet.fields) == len(sheet.labels) >= 8 * len(sheet.classes)


def test_too_few_fonts_are_one_sentence_that_names_packages(tmp_path: Path) -> None:
    """How many there are, where it looked, how many are needed, and what to install."""
    with pytest.raises(UserError, match=r"^0 usable fonts .* 60 are needed: .*apt-get install .*fonts-lato") as caught:
        fonts.usable([tmp_path])
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bank_draws_every_class_with_its_own_label(bank: Bank) -> None:
    """A drawn field is one of the figures of the class that its label names, the families one after another."""
    fields, labels = bank.draw(200, generator(0))
    assert set(labels.tolist()) == set(range(bank.classes)) == set(range(10))
    for field, label in zip(fields[:40], labels[:40].tolist(), strict=True):
        part = bank.parts[0] if label < 6 else bank.parts[1]
        begin, end = part.starts[label - part.first], part.starts[label - part.first + 1]
        assert any(torch.equal(field, known) for known in part.fields[begin:end])
    assert 100 < int((labels < 6).sum()) < 180  # 0.7 of 200


def test_a_batch_is_a_function_of_seed_epoch_and_step_alone(bank: Bank) -> None:
    """Whatever was drawn before; another seed, epoch or step gives other pictures."""
    shipped = SproutRecipe.shipped()
    small = replace(shipped, plan=replace(shipped.plan, batch_size=16))
    batches = DrawnBatches(bank, small)
    first = batches.batch(1, 2)
    others = [batches.batch(1, 3), batches.batch(2, 2)]
    seeded = DrawnBatches(bank, replace(small, plan=replace(small.plan, seed=1))).batch(1, 2)
    again = DrawnBatches(bank, small).batch(1, 2)
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert torch.equal(first.targets, again.targets)
    for other in [*others, seeded]:
        assert not torch.equal(first.inputs[0], other.inputs[0])


def test_pictures_are_rgb_between_black_and_white_of_any_size(bank: Bank) -> None:
    """Figures and textures, some of them in colour, none empty."""
    for size in (28, 32, 64):
        fields, _ = bank.draw(12, generator(1))
        drawn = scene.coloured(scene.figure_masks(fields, size, generator(2)), generator(3))
        woven = scene.textured(textures.recipes(4, generator(4)), size, generator(5))
        pictures = scene.camera(torch.cat([drawn, woven]), generator(6))
        assert pictures.shape == (16, 3, size, size)
        assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1
        assert float(pictures.flatten(1).std(1).min()) > 0.01
        assert float((pictures[:, 0] - pictures[:, 1]).abs().amax((1, 2)).max()) > 0.1


def test_figures_of_a_sheet_adjoin_by_class() -> None:
    """Labels count the classes in the order they come."""
    mask = np.full((FINE, FINE), 255, np.uint8)
    sheet = Sheet.of([("a", mask), ("a", mask), ("b", mask)])
    assert sheet.labels.tolist() == [0, 0, 1]
    assert sheet.classes == ("a", "b")
