"""Explain an answer: which parts of the picture spoke for it, and which training pictures are nearest.

Read it in this order: `linear` (a head as weights and a bias for one picture), `placement` (which cell of a map each
feature comes from), `exact`, `gradient` with `differentiable`, and `occlusion` (three ways to a map), `explainer`
(which of them, for one picture after another), `nearest` (the training pictures), `overlay` (a map drawn over its
picture), `mistakes` (those of a run, for its report), `explained`, `sheet` and `files` (what `headstart explain`
writes).
"""
