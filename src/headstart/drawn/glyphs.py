"""Letters and signs from fonts. Digits are not among them, so that digits stay something new for `sprout`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from headstart.drawn import fonts
from headstart.drawn.sheet import Mask, Sheet

LATIN = "cC oO sS vV wW xX zZ uU kK pP yY Il A B D E F G H J L M N Q R T a b d e f g h i j m n q r t"
GREEK = "Γ Δ Θ Λ Ξ Π Σ Φ Ψ Ω α β γ δ ε ζ η θ λ μ ξ π σ φ χ ψ ω"
CYRILLIC = "Б Д Ж З И Й Л Ц Ч Ш Щ Ъ Ы Ь Э Ю Я Ф У б в д ж ц ч ш ю я ф э Є Љ Ћ"
OTHERS = "Æ æ Œ œ ß þ Þ ð Ø ø ł Ŋ ŋ ə ? ! & @ # $ % § ¶ £ € ¥ † ‡ * + = ~ { } [ ] < > / © ® « ¿ ∞ ∑ √ ∫ ∂ ◊ ≠ ≈ ± µ"
HEBREW = "א ב ג ד ה ז ח ט כ ל מ נ ס ע פ צ ק ר ש ת"
ARMENIAN = "Ա Բ Գ Դ Ե Զ Է Ը Թ Ժ Ի Խ Ծ Կ Հ Ձ Ճ Մ Յ Շ Չ Պ Ջ Ռ Վ Տ Ց Փ Ք Ֆ ա բ գ դ զ է ը թ ժ խ ծ ձ ճ մ յ շ պ ռ փ ք"
GEORGIAN = "ა ბ გ დ ე ვ ზ თ ი კ ლ მ ნ ო პ ჟ რ ს ტ უ ფ ქ ღ ყ შ ჩ ც ძ წ ჭ ხ ჯ ჰ"
CLASSES = tuple(" ".join((LATIN, GREEK, CYRILLIC, OTHERS, HEBREW, ARMENIAN, GEORGIAN)).split())
"""A class is the characters of a word: those that differ in size alone are one class."""
FEWEST = 8
"""A class that fewer fonts can draw is left out."""


def draw_glyphs(files: Iterable[Path]) -> Sheet:
    """The classes, each drawn once by every font that has it."""
    return Sheet.of(_figures(tuple(files)))


def _figures(files: tuple[Path, ...]) -> Iterator[tuple[str, Mask]]:
    for name in CLASSES:
        drawn = [(name, found) for path in files for c in name if (found := fonts.mask(path, c)) is not None]
        if len(drawn) >= FEWEST:
            yield from drawn
