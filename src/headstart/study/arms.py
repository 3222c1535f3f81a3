"""Arms of a study as people write them.

pixels                            logistic regression on raw pixels
scratch                           a small convolutional network from random weights
NAME+scratch                      a network of that name from random weights
NAME[:LAYER][@WEIGHTS]            features of a frozen network; WEIGHTS is a file or `none` (random)
NAME[@WEIGHTS]+finetune[=BLOCKS]  the last BLOCKS blocks, or `all`, trained on (3 when left out)

Any of those with a NAME may end in +grey=POLICY: how grey pictures fill three channels, see `preprocess.Preprocess`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from headstart.backbones import spelling
from headstart.errors import UnknownName, UserError, nearest
from headstart.recipe import TRAINED, Recipe
from headstart.study.recipe import StudyRecipe

SOURCE_FREE = ("pixels", "scratch")
"""Arms that name no network."""
SCRATCH = "small_cnn"
GREYS = {"repeat": "grey repeated", "first": "grey in one channel", "colormap": "grey in false colours"}


@dataclass(frozen=True)
class Arm:
    """One way to a classifier: `name` is short and unique in its study, `words` are what sentences call it."""

    name: str
    words: str
    recipe: Recipe

    @property
    def trained(self) -> bool:
        """Whether a network is trained, not only a head."""
        return self.recipe.method in TRAINED

    @property
    def transfer(self) -> bool:
        """Whether it uses what a network learnt on other pictures."""
        return self.recipe.method in ("features", "finetune") and self.recipe.backbone.weights != "none"


def arms_of(study: StudyRecipe) -> tuple[Arm, ...]:
    """The arms of a study. Raises UserError for one that is written wrongly or twice, and for two of one name."""
    found = tuple(_arm(text.strip(), study) for text in study.arms)
    for (one, first), (other, second) in combinations(zip(study.arms, found, strict=True), 2):
        if first.words == second.words and first.recipe.backbone == second.recipe.backbone:
            raise UserError(f"`arms` lists one arm twice: {one} and {other}; leave one of them out.")
        if first.name == second.name:
            raise UserError(f"`arms`: {one} and {other} would both be called {first.name}; rename one of the files.")
    return found


def _arm(text: str, study: StudyRecipe) -> Arm:
    if text not in SOURCE_FREE and nearest(text, SOURCE_FREE, alike=0.8):
        raise UnknownName("arm", text, SOURCE_FREE)  # and no network, which would be looked for in every library
    if text == "pixels":
        return _made(study, "pixels", "raw pixels", "pixels", {})
    if text == "scratch":
        return _made(study, "scratch", f"{SCRATCH} from scratch", "scratch", {"name": SCRATCH})
    text, grey = _grey(text)
    spelled, way, blocks = _way(text)
    backbone: dict[str, Any] = spelling.parse(spelled)
    name = spelling.short(backbone)
    end, said = (f"+grey={grey}", f", {GREYS[grey]}") if grey else ("", "")
    backbone |= {"grey": grey} if grey else {}
    if way == "scratch":
        if "@" in spelled:
            raise UserError(f"arms={text}: an arm from scratch starts without weights; leave @... out.")
        return _made(study, f"{name}+scratch{end}", f"{name} from scratch{said}", "scratch", backbone)
    if way == "finetune":
        many = "" if blocks is None else f"={blocks}"
        trained = {"all": "all blocks", 1: "last block"}.get(blocks or 3, f"last {blocks or 3} blocks")
        words = f"{name}, {trained} fine-tuned{said}"
        return _made(study, f"{name}+finetune{many}{end}", words, "finetune", backbone, blocks)
    random = " (random weights)" if backbone["weights"] == "none" else ""
    words = f"features of {name.removesuffix('@none')}{random}{said}"
    return _made(study, f"{name}{end}", words, "features", backbone)


def primary_of(study: StudyRecipe, arms: Sequence[Arm], before: Sequence[str] = ()) -> list[str]:
    """The names of the arms of the primary claim: as asked, as named `before`, or by the order of the arms.

    A transfer arm first, then source-free ones; empty where the study has not both. An arm that is added to a study
    does not join its claim. Raises UserError for an arm that is not in the study, or of the wrong kind.
    """
    names = {arm.name: arm for arm in arms}
    if study.primary:
        for i, name in enumerate(study.primary):
            if name not in names:
                raise UnknownName("arm", name, names, "(in primary)")
            if names[name].transfer != (i == 0):
                raise UserError("primary: name one transfer arm, then the source-free arms to compare it with.")
        return list(study.primary)
    kept = [name for name in before if name in names]
    if len(kept) > 1 and kept[0] == before[0]:
        return kept
    first = next((name for name in before[:1] if name in names), None)
    first = first or next((arm.name for arm in arms if arm.transfer), None)
    others = [arm.name for arm in arms if not arm.transfer]
    return [first, *others] if first and others else []


def rewritten(text: str, backbone: dict[str, str]) -> str:
    """The arm `text` with other values for the keys of `backbone`: `name`, `weights`, `layer`.

    Pixels and the small network from scratch stay as they are, and random weights stay random.
    """
    if text in SOURCE_FREE:
        return text
    rest, grey = _grey(text)
    spelled, way, blocks = _way(rest)
    found = spelling.parse(spelled)
    random = way == "scratch" or found["weights"] == "none"
    found |= {key: value for key, value in backbone.items() if key != "weights" or not random}
    many = "" if blocks is None else f"={blocks}"
    return spelling.spell(found) + (f"+{way}{many}" if way else "") + (f"+grey={grey}" if grey else "")


def _grey(text: str) -> tuple[str, str | None]:
    """`NAME+grey=colormap` -> `NAME`, `colormap`."""
    rest, _, grey = text.rpartition("+grey=")
    if not rest or "/" in grey or "@" in grey:
        return text, None
    if grey not in GREYS:
        raise UnknownName("grey policy", grey, GREYS, f"(in {text})")
    return rest, grey


def _way(text: str) -> tuple[str, str | None, int | str | None]:
    """`NAME@FILE+finetune=2` -> its backbone, `finetune`, 2. A `+` elsewhere belongs to a file's name or a layer."""
    spelled, plus, last = text.rpartition("+")
    way, equals, blocks = last.partition("=")
    if not plus or "/" in last or "@" in last:
        return text, None, None
    if way not in TRAINED and spelling.parse(spelled)["layer"] != "auto":
        return text, None, None  # two layers side by side
    if way not in TRAINED:
        raise UnknownName("way to train an arm", way, TRAINED, f"(in {text})")
    if equals and way == "scratch":
        raise UserError(f"arms={text}: from scratch the whole network is trained; leave ={blocks} out.")
    if blocks == "0":
        raise UserError(f"arms={text}: train at least 1 block; for none, name {spelled} alone.")
    return spelled, way, int(blocks) if blocks.isdecimal() else blocks or None


def _made(
    study: StudyRecipe, name: str, words: str, method: str, backbone: dict[str, Any], blocks: int | str | None = None
) -> Arm:
    training = study.training.model_dump(exclude_none=True) if method in TRAINED else {}
    size = {"image_size": study.image_size} if study.image_size and method != "pixels" else {}
    # Weights that no cell shares are not worth compiling: from scratch each cell has its own.
    engine = {"name": "torch"} if method == "scratch" else {}
    sections: dict[str, Any] = {
        "method": method,
        "seed": study.seed,
        "data": study.data.model_dump(exclude_none=True),
        "backbone": {**backbone, **size},
        "engine": study.engine.model_dump() | engine,
        "head": study.head.model_dump(),
        "training": training | ({"unfreeze": blocks} if blocks is not None else {}),
        "augment": study.augment.model_dump(exclude_none=True) if method in TRAINED else {"name": "none"},
    }
    return Arm(name, words, Recipe.from_dict(sections, f"arm {name}"))
