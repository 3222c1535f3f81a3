"""`ArmFacts`: what reasons for little or much transfer may rest on."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.evidence.overlap import Overlap


@dataclass(frozen=True, kw_only=True)
class ArmFacts:
    """All that was measured about one arm on these pictures. The defaults give no reason: nothing was measured.

    name: how sentences call the network
    pretrained: False for random weights
    grey_share: share of grey pictures; colour_source: the weights were trained on colour photographs
    picture_side, input_side: median shorter side of the pictures and of the network's input, in pixels; own_side: of
        the input that the network learnt on
    constant_share: mean share of a picture that has its border's colour; cuts: share that the centre crop removes
    overlap: of the class names with the source's, None where unknown
    rows: labelled pictures used for fitting; features: width of the head's input
    penalised: by a finite C of at most 1e6; standardised: features were, so that their scales do not matter
    scale_spread, dead_share, saturated_share: of the features (`study.measures`)
    converged: share of the fits that converged; fits: their number
    """

    name: str
    pretrained: bool = True
    grey_share: float = 0.0
    colour_source: bool = False
    picture_side: float = 0.0
    input_side: float = 0.0
    own_side: float = 0.0
    constant_share: float = 0.0
    overlap: Overlap | None = None
    rows: int = 0
    features: int = 0
    penalised: bool = True
    standardised: bool = True
    scale_spread: float = 1.0
    dead_share: float = 0.0
    saturated_share: float = 0.0
    converged: float = 1.0
    fits: int = 0
    cuts: float = 0.0
