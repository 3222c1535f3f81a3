"""The options of every command in panels, by what they are about: one table for all commands."""

from __future__ import annotations

from typing import Any

PANELS = {
    "Data": "classes limit train_per_class test limit_test evaluate split sizes seed follow_links "
    "image_column label_column split_column group_column max_pixels decode strict allow_empty_classes folds",
    "Network": "backbone backbones all_local weights weights_folder layer method image_size grey arms engine device "
    "precision",
    "Head": "head head_option class_weight",
    "Training": "unfreeze epochs batch_size learning_rate train find_rate resume workers",
    "Augmentation": "augment views tta",
    "Evidence": "repeats trained_repeats margin plan why target",
    "Output": "out store cluster",
}
"""Panel -> the parameters of commands that it shows; what is in none stands under `Options`."""

_FEW = 8
"""A command with fewer options shows them in one panel."""


def arrange(command: Any) -> None:
    """Put the options of a command and of the commands below it into their panels."""
    for below in getattr(command, "commands", {}).values():
        arrange(below)
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    if len(options) < _FEW:
        return
    found = {name: panel for panel, names in PANELS.items() for name in names.split()}
    for option in options:
        option.rich_help_panel = found.get(option.name)
    order = list(found)
    command.params.sort(key=lambda each: order.index(each.name) if each in options and each.name in order else -1)
