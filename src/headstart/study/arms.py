"""Arms of a study as people write them.

pixels                            logistic regression on raw pixels
scratch                           a small convolutional network from random weights
NAME+scratch                      a network of that name from random weights
NAME[:LAYER][@WEIGHTS]            features of a frozen network; WEIGHTS is a file or `none` (random)
NAME[@WEIGHTS]+finetune[=BLOCKS]  the last BLOCKS blocks, or `all`, trained on (3 when left out)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.backbones import spelling
from headstart.errors import UnknownName, UserError
from headstart.recipe import Recipe
from headstart.study.recipe import StudyRecipe

SCRATCH = "small_cnn"
WAYS = ("finetune", "scratch")


@dataclass(frozen=True)
class Arm:
    """One way to a classifier: `name` is short and unique in its study, `words` are what sentences call it."""

    name: str
    words: str
    recipe: Recipe

    @property
    def trained(self) -> bool:
        """Whether a network is trained, not only a head."""
        return self.recipe.method in WAYS

    @property
    def transfer(self) -> bool:
        """Whether it uses what a network learnt on other pictures."""
        return self.recipe.method in ("features", "finetune") and self.recipe.backbone.weights != "none"


def arms_of(study: StudyRecipe) -> tuple[Arm, ...]:
    """The arms of a study. Raises UserError for one that is written wrongly or twice."""
    found = tuple(_arm(text.strip(), study) for text in study.arms)
    names = [arm.name for arm in found]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise UserError(f"--arms: '{study.arms[i]}' is there twice, as {name}; leave one out.")
    return found


def _arm(text: str, study: StudyRecipe) -> Arm:
    if text == "pixels":
        return _made(study, "pixels", "raw pixels", "pixels", {})
    if text == "scratch":
        return _made(study, "scratch", f"{SCRATCH} from scratch", "scratch", {"name": SCRATCH})
    spelled, way, blocks = _way(text)
    backbone = spelling.parse(spelled)
    name = spelling.short(backbone)
    if way == "scratch":
        if "@" in spelled:
            raise UserError(f"--arms {text}: an arm from scratch has no weights to begin with; leave @... out.")
        return _made(study, f"{name}+scratch", f"{name} from scratch", "scratch", backbone)
    if way == "finetune":
        many = "" if blocks is None else f"={blocks}"
        words = f"{name}, {'all blocks' if blocks == 'all' else f'last {blocks or 3} blocks'} fine-tuned"
        return _made(study, f"{name}+finetune{many}", words, "finetune", backbone, blocks)
    random = " (random weights)" if backbone["weights"] == "none" else ""
    return _made(study, name, f"features of {name.removesuffix('@none')}{random}", "features", backbone)


def _way(text: str) -> tuple[str, str | None, int | str | None]:
    """`NAME@FILE+finetune=2` -> its backbone, `finetune`, 2. A `+` elsewhere belongs to a file's name."""
    spelled, plus, last = text.rpartition("+")
    way, equals, blocks = last.partition("=")
    if not plus or "/" in last or "@" in last:
        return text, None, None
    if way not in WAYS:
        raise UnknownName("way to train an arm", way, WAYS, f"(in {text})")
    if equals and way == "scratch":
        raise UserError(f"--arms {text}: from scratch the whole network is trained; leave ={blocks} out.")
    return spelled, way, int(blocks) if blocks.isdigit() else blocks or None


def _made(
    study: StudyRecipe, name: str, words: str, method: str, backbone: dict[str, Any], blocks: int | str | None = None
) -> Arm:
    training = study.training.model_dump(exclude_none=True) if method in WAYS else {}
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
    }
    return Arm(name, words, Recipe.from_dict(sections, f"arm {name}"))
