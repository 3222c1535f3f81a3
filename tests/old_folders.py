"""Files of finished folders, as version 0.2.0 wrote them before it had `headstart.schema`; shortened, line by line."""

from __future__ import annotations

VERDICTS = """
{"schema": 1, "headline": "Transfer helped: with 2 labelled pictures a class, sprout, last 1 blocks fine-tuned,
answers 95.0% of the test pictures right, raw pixels 72.5%; 2 pictures a class do what takes raw pixels at least
4.", "study": {"data": "digits", "seed": 0, "repeats": 2, "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8",
"9"], "n_test": 40, "margin": 0.01, "head": "logistic", "sizes": [{"name": "2", "n": 2.0}, {"name": "5", "n": 5.0}],
"name": "trained", "created": "2026-11-26T04:01:25+00:00", "seconds": 119.9}, "arms": [{"name": "pixels", "words":
"raw pixels", "kind": "pixels", "transfer": false, "backbone": null, "layer": null, "image_size": [8, 8],
"features": 64, "trained_parameters": 651, "network_parameters": null, "extraction": {"images": 126, "computed":
126, "reused": 0, "seconds": 0.035, "images_per_s": 3709.0}, "fit_s": [0.1794, 0.3139], "total_s": 1.02, "budget":
"8 settings, one chosen by cross-validation", "measures": {"dead_share": 0.09375, "saturated_share": 0.0,
"scale_spread": 53.56}, "curve": [{"size": "2", "n": 2.0, "accuracy": 0.725, "low": 0.6427, "high": 0.7982,
"repeats": [0.725, 0.725], "learnt": true}, {"size": "5", "n": 5.0, "accuracy": 0.825, "low": 0.6175, "high": 1.0,
"repeats": [0.85, 0.8], "learnt": true}], "notes": [], "failed": null}, {"name": "sprout+finetune=1", "words":
"sprout, last 1 blocks fine-tuned", "kind": "finetune", "transfer": true, "backbone": "sprout", "layer": null,
"image_size": [32, 32], "features": 960, "trained_parameters": 343690, "network_parameters": 657144, "extraction":
null, "fit_s": [21.86, 22.86], "total_s": 89.45, "budget": "top solved first, one learning rate, 3 epochs (3 steps),
the last one kept, pictures as they are at the smallest size, top solved first, one learning rate, 3 epochs (6
steps), the last one kept, pictures as they are at the largest", "measures": {}, "curve": [{"size": "2", "n": 2.0,
"accuracy": 0.95, "low": 0.8955, "high": 0.9936, "repeats": [0.95, 0.95], "learnt": true}, {"size": "5", "n": 5.0,
"accuracy": 0.9875, "low": 0.8229, "high": 1.0, "repeats": [0.975, 1.0], "learnt": true}], "notes": [], "failed":
null}, {"name": "sprout@broken", "words": "features of sprout@broken", "kind": "features", "transfer": true,
"backbone": null, "layer": null, "image_size": null, "features": null, "trained_parameters": null,
"network_parameters": null, "extraction": null, "fit_s": [null, null], "total_s": 0.0, "budget": "", "measures": {},
"curve": [], "notes": [], "failed": "no weights"}], "comparisons": [{"first": "sprout+finetune=1", "second":
"pixels", "margin": 0.01, "verdict": {"word": "helped", "difference": {"value": 0.1938, "low": 0.04669, "high":
0.3502}, "low90": 0.09335, "high90": 0.3001, "discordance": 0.2188, "needed": null, "more_repeats": false, "n":
null, "unlearnt": false}, "by_size": [{"word": "helped", "difference": {"value": 0.225, "low": 0.1518, "high":
0.3073}, "low90": 0.1615, "high90": 0.2976, "discordance": 0.25, "needed": null, "more_repeats": false, "n": 2.0,
"unlearnt": false}, {"word": "inconclusive", "difference": {"value": 0.1625, "low": -0.1504, "high": 0.49}, "low90":
-0.02482, "high90": 0.3585, "discordance": 0.1875, "needed": 14700, "more_repeats": false, "n": 5.0, "unlearnt":
false}], "slope": {"first": {"value": 0.02837, "low": -0.09614, "high": 0.1546}, "second": {"value": 0.07565, "low":
-0.08432, "high": 0.2459}, "difference": {"value": -0.04728, "low": -0.3308, "high": 0.2208}}, "x90": {"first":
4.562, "second": 4.562}, "asymptote": {"first": null, "second": null, "difference": null}, "area": {"first":
{"value": 0.9688, "low": 0.9091, "high": 1.0}, "second": {"value": 0.775, "low": 0.6584, "high": 0.8803},
"difference": {"value": 0.1938, "low": 0.04669, "high": 0.3502}}, "ratio": {"value": 1.25, "low": 1.06, "high":
1.528}, "equivalence": [{"n": 2.0, "value": null, "low": 3.851, "high": null, "beyond": 5.0, "multiple": null},
{"n": 5.0, "value": null, "low": 4.333, "high": null, "beyond": 5.0, "multiple": null}], "p": null, "sentence":
"Transfer helped: with 2 labelled pictures a class, sprout, last 1 blocks fine-tuned, answers 95.0% of the test
pictures right, raw pixels 72.5%; 2 pictures a class do what takes raw pixels at least 4.", "details": ["At the
start, with 2 labelled pictures a class, the difference (jumpstart) is +22.5 percentage points (95% interval +15.2
to +30.7): helped.", "At the end, with 5 labelled pictures a class, it is +16.3 percentage points (95% interval
-15.0 to +49.0): inconclusive.", "Each doubling of the labelled pictures a class adds +2.8 percentage points (95%
interval -9.6 to +15.5) with sprout, last 1 blocks fine-tuned (90% of its rise at 5), +7.6 percentage points (95%
interval -8.4 to +24.6) with raw pixels (90% of its rise at 5).", "Where the curves level off (asymptote) is not
estimated: that takes 4 sizes.", "Mean accuracy over the logarithm of size (area) is 96.9% (95% interval 90.9 to
100.0) with sprout, last 1 blocks fine-tuned and 77.5% (95% interval 65.8 to 88.0) with raw pixels: a difference of
+19.4 percentage points (95% interval +4.7 to +35.0), a transfer ratio of 1.25 (95% interval 1.06 to 1.53).", "What
sprout, last 1 blocks fine-tuned does with 2 labelled pictures a class takes raw pixels more than 5 (95% interval:
at least 4).", "What sprout, last 1 blocks fine-tuned does with 5 labelled pictures a class takes raw pixels more
than 5 (95% interval: at least 4).", "The two differ on 21.9% of the test pictures (discordance)."]}], "training":
[{"arm": "sprout+finetune=1", "size": "5", "part": "test", "points": [{"epoch": 0, "step": 0.0, "accuracy": 0.9875,
"low": 0.8287, "high": 1.0}, {"epoch": 1, "step": 2.0, "accuracy": 0.9875, "low": 0.8287, "high": 1.0}, {"epoch": 2,
"step": 4.0, "accuracy": 0.9875, "low": 0.8287, "high": 1.0}], "start": {"value": 0.9875, "low": 0.8287, "high":
1.146}, "slope": {"value": -1.11e-16, "low": -1.11e-16, "high": -1.11e-16}, "x90": null, "asymptote": {"value":
0.9875, "low": 0.8287, "high": 1.146}, "reached": true, "sentence": "Sprout, last 1 blocks fine-tuned began at 98.8%
before any update and had not risen at the end."}], "per_class": [{"first": "sprout+finetune=1", "second": "pixels",
"size": "5", "classes": [{"class": "0", "n": 4, "first": 1.0, "second": 1.0, "difference": 0.0, "low": 0.0, "high":
0.0}, {"class": "1", "n": 4, "first": 1.0, "second": 0.5, "difference": 0.5, "low": -0.475, "high": 1.475}]}],
"reasons": [{"first": "sprout+finetune=1", "second": "pixels", "reasons": [{"key": "random", "measured": 1.0,
"sentence": "The weights of sprout@none are random, all of them: nothing was transferred."}, {"key": "enlargement",
"measured": 4.0, "sentence": "Pictures of 8 pixels are enlarged 4.0 times to the input of 32: they have no detail of
the size that the network looks for."}]}], "notes": ["2 subsets a size make wide intervals; repeats=5 or more
narrows them.", "Every arm is fitted on all labelled pictures of a size. Test accuracy by epoch is there to be
looked at: it chose nothing."], "command": "x"}
"""

RANKING = """
{"schema": 1, "created": "2026-11-26T04:02:04+00:00", "command": "headstart rank digits --backbones
sprout,sprout@none --seed 0 --folds 5 --limit 200", "data": {"source": "digits", "title": "digits", "n": 200,
"classes": {"0": 20, "1": 20, "2": 20, "3": 21, "4": 20, "5": 20, "6": 20, "7": 20, "8": 19, "9": 20}, "refused":
0}, "settings": {"folds": 5, "seed": 0, "limit": 200, "image_size": null, "cores": 2}, "advice": {"best": "sprout",
"fastest_not_worse": "sprout", "headline": "sprout is the best of 2 backbones here: 98.5% right in cross-validation
(95% interval 95.7 to 99.5%).", "sentences": ["Every other backbone is measurably worse; use sprout."], "warnings":
[]}, "baseline": {"backbone": "raw pixels", "accuracy": 0.945, "accuracy_low": 0.9042, "accuracy_high": 0.969,
"correct": 189, "n": 200, "points_to_best": -4.0, "only_best": 9, "only_this": 1, "p": 0.02148, "told_apart": true,
"on_front": null, "images_per_s": null, "features": 64, "logme": 0.1393, "h_score": 6.22, "leep": null,
"parameters": null, "multiply_adds": null, "height": 8, "width": 8, "licence": "", "written": "", "notes": []},
"backbones": [{"backbone": "sprout", "accuracy": 0.985, "accuracy_low": 0.9568, "accuracy_high": 0.9949, "correct":
197, "n": 200, "points_to_best": 0.0, "only_best": 0, "only_this": 0, "p": 1.0, "told_apart": null, "on_front":
true, "images_per_s": 1188.0, "features": 960, "logme": 0.6035, "h_score": 8.881, "leep": null, "parameters":
657144, "multiply_adds": 24551424, "height": 32, "width": 32, "licence": "Apache-2.0", "written": "sprout", "notes":
[]}, {"backbone": "sprout@none", "accuracy": 0.915, "accuracy_low": 0.8681, "accuracy_high": 0.9463, "correct": 183,
"n": 200, "points_to_best": -7.0, "only_best": 14, "only_this": 0, "p": 0.0001221, "told_apart": true, "on_front":
false, "images_per_s": 614.0, "features": 960, "logme": 0.2577, "h_score": 8.876, "leep": null, "parameters":
657144, "multiply_adds": 24551424, "height": 32, "width": 32, "licence": "none: random weights", "written":
"sprout@none", "notes": []}], "failed": [], "hints": [{"hint": "LogME", "n": 2, "tau": 1.0, "first": "sprout"},
{"hint": "the regularised H-score", "n": 2, "tau": 1.0, "first": "sprout"}], "notes": ["The data bring no test part,
so every labelled picture took part in this choice: judge the classifier on pictures that are not among them, or
allow that its accuracy on these is a little flattering."], "seconds": 25.33, "environment": {"cpu": "a processor",
"packages": {"numpy": "2.1"}}}
"""

SCORES = """
{"schema": 1, "run": {"name": "tuned", "created": "2026-11-26T04:02:47+00:00", "data": "digits", "test": null,
"method": "finetune", "backbone": "sprout", "weights": "pretrained", "layer": "pooled", "image_size": [32, 32],
"engine": "openvino (cpu, float32)", "head": "logistic", "n_features": 960, "classes": ["0", "1"]}, "before":
{"test": {"n": 30, "correct": 3, "accuracy": 0.1, "log_loss": 2.303, "brier": 0.9, "macro_f1": 0.01818, "roc_auc":
0.5, "ece": 1.85e-18, "ece_null_mean": 0.0415, "accuracy_low": 0.0346, "accuracy_high": 0.2562, "per_class":
[{"class": "0", "n": 3, "precision": 0.1, "recall": 1.0, "f1": 0.1818}, {"class": "1", "n": 3, "precision": 0.0,
"recall": 0.0, "f1": 0.0}], "confusion": [[3, 0], [3, 0]]}}, "after": {"test": {"n": 30, "correct": 30, "accuracy":
1.0, "log_loss": 0.03272, "brier": 0.009268, "macro_f1": 1.0, "roc_auc": 1.0, "ece": 0.02975, "ece_null_mean":
0.03823, "accuracy_low": 0.8865, "accuracy_high": 1.0, "per_class": [{"class": "0", "n": 3, "precision": 1.0,
"recall": 1.0, "f1": 1.0}, {"class": "1", "n": 3, "precision": 1.0, "recall": 1.0, "f1": 1.0}], "confusion": [[3,
0], [0, 3]], "log_loss_uncalibrated": 0.03272, "ece_uncalibrated": 0.02975}}, "leaks": {"test": {"copies": 2,
"same": 1, "without": {"n": 28, "accuracy": 0.9286, "accuracy_low": 0.7735, "accuracy_high": 0.9802, "log_loss":
0.3011}}}, "fitted_on": ["train"], "calibration": {"temperature": 1.0, "n": 0, "fitted_on": null}, "head": {"name":
"logistic", "parameters": 9610, "best_epoch": 2, "epochs": 2, "choice_told": ""}, "training": {"trained_from":
"stages.1.1", "blocks": 3, "whole": false, "parameters": 593098, "parameters_of_network": 657144, "rows": 120,
"augment": "none", "stored_mb": 3.686, "trunk_runs_saved": 240, "plan": {"epochs": 2, "batch_size": 32, "optimiser":
"adamw", "learning_rate": 0.0001, "weight_decay": 0.01, "momentum": 0.9, "warmup": 0.1, "clip": 1.0,
"label_smoothing": 0.0, "mixup": 0.0, "ema": 0.0, "patience": 0, "seed": 0, "threads": 1, "device": "cpu",
"precision": "float32"}, "gradual": 0, "sampler": "shuffle", "choices": [{"name": "batch_size", "value": 32,
"source": "as asked"}, {"name": "epochs", "value": 2, "source": "as asked"}], "best_epoch": 2, "blend": 0.5,
"resumed_at": null, "train_s": 2.355, "test": [{"step": "frozen", "accuracy": 1.0, "accuracy_low": 0.8865,
"accuracy_high": 1.0}, {"step": "trained", "accuracy": 1.0, "accuracy_low": 0.8865, "accuracy_high": 1.0, "mended":
0, "made": 0, "p": 1.0}], "frozen": {"train": {"n": 120, "accuracy": 1.0, "accuracy_low": 0.969, "accuracy_high":
1.0, "log_loss": 0.002031}, "test": {"n": 30, "accuracy": 1.0, "accuracy_low": 0.8865, "accuracy_high": 1.0,
"log_loss": 0.03516}}}, "augment": {"name": "digits", "transforms": [{"name": "RandomAffine", "degrees": 12,
"translate": [0.08, 0.08], "scale": [0.85, 1.12], "shear": 10}, {"name": "RandomPerspective", "distortion_scale":
0.25, "p": 0.5}], "views": 1, "tta": 2, "computed": 200, "reused": 0, "seconds": 1.111, "steps": [{"step": "plain",
"accuracy": 1.0, "accuracy_low": 0.9124, "accuracy_high": 1.0}, {"step": "views", "accuracy": 1.0, "accuracy_low":
0.9124, "accuracy_high": 1.0, "mended": 0, "made": 0, "p": 1.0}]}, "timings": {"decode_s": 0.037, "infer_s": 0.238,
"open_s": 1.579, "extract_s": 1.753, "fit_s": 3.694, "total_s": 11.83, "images_per_s": 866.9}, "counts": {"images":
150, "computed": 150, "reused": 0, "repeated": 0, "refused": 0, "decoded": 150, "corrupt": 0, "train": 120, "val":
0, "calibration": 0, "test": 30}, "notes": ["No validation pictures: all 2 epochs were run and the last one kept.",
"The weights are half way from the frozen to the fine-tuned ones (WiSE-FT), as without validation."], "memory":
{"peak_mb": 1152.0}}
"""
