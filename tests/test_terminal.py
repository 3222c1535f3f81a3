"""What the commands print fits the terminal, says the headline first, and tells a pipe how far it is."""

from __future__ import annotations

import doctest
import re

import pytest

from headstart import cli
from headstart.cli import commands, panels, progress, study
from headstart.schema.files import from_json
from headstart.schema.verdicts import Verdicts
from test_study_report import verdicts


@pytest.mark.parametrize("columns", [60, 80, 100, 300])
def test_a_study_s_table_fits_the_terminal_and_breaks_no_number(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten sizes stand in as many tables as it takes; every accuracy is whole in one of them."""
    monkeypatch.setenv("COLUMNS", str(columns))
    told = from_json(Verdicts, verdicts(sizes=[(str(n), float(n)) for n in range(2, 12)]))
    study.accuracies(told)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines()[1:])) <= columns  # the line above them is a sentence
    for arm in told.arms:
        for point in arm.curve:
            assert f"{100 * point.accuracy:.1f}" in printed
    assert ("±" in printed) == (columns < 250)


def test_no_interval_is_written_as_if_it_went_beyond_all_or_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = verdicts(sizes=[("2", 2.0), ("5", 5.0)])
    told["arms"][1]["curve"][1] |= {"accuracy": 0.992, "low": 0.974, "high": 0.999}
    for arm, (accuracy, low, high) in zip(
        told["arms"], [(1.0, 0.962, 1.0), (0.9, 0.85, 0.93), (0, 0, 0.1)], strict=True
    ):
        arm["curve"][0] |= {"accuracy": accuracy, "low": low, "high": high}
    study.accuracies(from_json(Verdicts, told))
    printed = capsys.readouterr().out
    assert all(each in printed for each in ("100.0 ≥96.2", "90.0 ±5.0", "99.2 ≥97.4", "0.0 ≤10.0"))


def test_a_reason_is_said_once_with_the_comparisons_that_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    told = verdicts()
    first, second = told["reasons"]
    first["reasons"].append({"key": "unlearnt", "measured": 0.1, "sentence": "Raw pixels did not learn."})
    study.reasons(from_json(Verdicts, told))
    pairs = [f"{each['first']} against {each['second']}" for each in (first, second)]
    assert capsys.readouterr().out.splitlines() == [
        f"Reason ({pairs[0]} and {pairs[1]}): All pictures are grey; the source had colour.",
        f"Reason ({pairs[0]} and {pairs[1]}): Each picture is enlarged before the network.",
        f"Reason ({pairs[0]}): Raw pixels did not learn.",
    ]


def test_help_shows_options_by_what_they_are_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The panels of `fit`, in order; no flag is cut at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    assert cli._main(["fit", "--help"]) == 0
    printed = capsys.readouterr().out
    panels = re.findall(r"─ ([A-Z]\w+) ─", printed)
    assert panels[:3] == ["Arguments", "Options", "Data"]
    assert panels[3:] == ["Network", "Head", "Training", "Augmentation", "Evidence", "Output"]
    flags = re.findall(r"│ (--\S+)", printed)
    assert "--allow-empty-classes" in flags and not [flag for flag in flags if "…" in flag]


def test_every_parameter_in_a_panel_is_one_of_a_command() -> None:
    """A renamed option cannot fall out of its panel unseen."""
    assert {name for names in panels.PANELS.values() for name in names.split()} <= commands.parameters()


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_list_of_commands_says_how_the_help_of_each_begins(name: str) -> None:
    """The list has words of its own, so that no command is imported for it."""
    command = commands.load(name)
    assert (command.name, command.help.partition("\n\n")[0].replace("\n", " ")) == (name, commands.COMMANDS[name][1])


def test_a_wrong_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence each, no full stop behind a question mark."""
    assert cli._main(["fitt"]) == 2
    assert capsys.readouterr().err == "Error: No such command 'fitt'. Did you mean 'fit'? See: headstart --help\n"


def test_a_pipe_is_told_how_far_work_is_every_so_many_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """The example of `Lines` prints what it says; what takes less than that prints nothing."""
    told = doctest.testmod(progress)
    assert told.attempted and not told.failed
    with progress.progress_bar() as quick:
        quick("extract", 1, 100)
        quick("extract", 100, 100)
    assert capsys.readouterr().err == ""
