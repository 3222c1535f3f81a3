"""Sensible numbers for a training, by the size of the data: small pure functions, each with its source.

What the user sets is kept; `Choice` records every number with where it comes from, for the report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BIT = "BiT HyperRule, Kolesnikov et al. 2020"
FROM_NOTHING = {500: 400, 2_000: 1_000, 20_000: 2_000}
"""Steps of a network from scratch on this many pictures or fewer."""
FEW = 500
"""Fewer pictures than this are fine-tuned more gently where no validation can say when it goes too far."""
TUNED, BLIND = 500, 100
"""Steps of fine-tuning on fewer than 20,000 pictures, with validation pictures and without."""


@dataclass(frozen=True)
class Choice:
    """A setting of a training, its value, and where it comes from."""

    name: str
    value: float | int | str | bool
    source: str


def batch_size(n: int) -> Choice:
    """32 under 2,000 training pictures, 64 under 20,000, else 128."""
    size = 32 if n < 2_000 else 64 if n < 20_000 else 128
    return Choice("batch_size", size, "small batches for few pictures: Masters and Luschi 2018")


def network_batch(method: str, n: int) -> Choice:
    """The same, from scratch 16 under 2,000 pictures; with few of them in batches as alike as can be, which is better
    for batch normalisation than a small last one."""
    rule = batch_size(n)
    if not 0 < n < 2_000:
        return rule
    most = 32 if method == "finetune" else 16
    return Choice(rule.name, math.ceil(n / math.ceil(n / most)), rule.source)


def steps(method: str, n: int, validated: bool) -> int:
    """Few where no validation can say when to stop, many where everything is to be learnt; more for many pictures."""
    if n >= 20_000:
        return 10_000 if n < 500_000 else 20_000
    if method != "finetune":
        return next(steps for most, steps in FROM_NOTHING.items() if n <= most)
    return TUNED if validated else BLIND


def epochs(method: str, n: int, batch: int, validated: bool) -> Choice:
    """As many as the rule's steps make, 3 at least; where a network that knows something is tuned 200 at most, 20
    without validation: a few dozen pictures are known by heart long before."""
    wanted = math.ceil(steps(method, n, validated) / math.ceil(max(1, n) / batch))
    most = wanted if method != "finetune" else 200 if validated else 20
    source = BIT if validated or n >= 20_000 else "measured, see decision 22"
    told = f"{steps(method, n, validated):,} steps for {n:,} pictures, at least 3 epochs: {source}"
    return Choice("epochs", max(3, min(wanted, most)), told)


def patience(method: str, epochs: int, validated: bool) -> Choice:
    """A quarter of the epochs, at least 3, where the start is good; none from scratch, where it is long in coming."""
    if not validated:
        return Choice("patience", 0, "without validation pictures nothing says when to stop")
    if method != "finetune":
        return Choice("patience", 0, "what begins at nothing is given all its epochs")
    return Choice("patience", max(3, epochs // 4), "a quarter of the epochs: Prechelt 1998, early stopping")


def mixup(n: int) -> Choice:
    """0.1 from 20,000 pictures on."""
    return Choice("mixup", 0.1 if n >= 20_000 else 0.0, f"0.1 from 20,000 pictures on: {BIT}")


def learning_rate(method: str, optimiser: str, few: bool = False) -> Choice:
    """Gentle for weights that know something, more so with `few` pictures and no validation; the optimiser's usual one
    for weights that know nothing."""
    if optimiser == "sgd":
        return Choice("learning_rate", 0.003 if method == "finetune" else 0.1, f"{BIT}; He et al. 2016 from scratch")
    if method == "finetune" and few:
        return Choice("learning_rate", 1e-4, "measured without validation, see decision 22")
    if method == "finetune":
        return Choice("learning_rate", 3e-4, "small steps keep what was learnt: Kumar et al. 2022")
    return Choice("learning_rate", 1e-3, "AdamW's own: Loshchilov and Hutter 2019")


def layer_decay() -> Choice:
    """0.75; ULMFiT's 1/2.6 (Howard and Ruder 2018) suits networks of few blocks."""
    return Choice("layer_decay", 0.75, "lower blocks know what all pictures share: Clark et al. 2020; ULMFiT has 0.385")


def l2sp() -> Choice:
    """0.01."""
    return Choice("l2sp", 0.01, "L2-SP: Li et al. 2018")


def batchnorm() -> Choice:
    """Stored statistics."""
    return Choice("batchnorm", "frozen", "few pictures spoil the statistics of many; Keras's guide to fine-tuning")
