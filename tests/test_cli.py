"""The command line: one clear line for a mistake, exit codes, and nothing heavy before it is needed."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from colours import two_colours
from headstart.cli import _main, commands

COMMANDS = ["fit", "run", "evaluate", "predict", "classify", "features", "figures", "backbones", "cache"]


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def headstart(*arguments: str, cwd: Path | None = None, **environment: str) -> Said:
    """The command in this process: one of its own would load every library anew."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.StringIO())
        if cwd is not None:
            patch.chdir(cwd)
        for name, value in environment.items():
            patch.setenv(name, value)
        code = _main(list(arguments))
    return Said(code, out.getvalue(), err.getvalue())


def modules_after(code: str, **environment: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running `code`."""
    tail = "\nimport sys; print('MODULES', *sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
    )
    return set(done.stdout.split("MODULES ")[1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "timm", "torchvision", "sklearn", "scipy", "openvino", "numpy", "PIL", "pydantic", "matplotlib"}
    assert not modules_after("import headstart") & heavy


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['headstart', '--help']\nfrom headstart.cli import _main; _main(['--help'])"
    assert not modules_after(code) & {"torch", "timm", "sklearn", "scipy", "openvino", "numpy", "pydantic"}


def test_the_list_of_commands_imports_none_of_them() -> None:
    """A process of its own: this one has imported them all."""
    code = "import sys\nfrom headstart.cli import _main, commands\n_main(['--help'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {f"headstart.cli.{module}" for module, _ in commands.COMMANDS.values()}
    assert len(modules) > 10 and not modules & set(done.stdout.splitlines()[-1].split())


def test_what_is_to_be_done_at_the_end_is_done_though_the_process_frees_nothing() -> None:
    """Handlers run, threads are waited for, and a pipe gets every line and the exit code."""
    code = (
        "import atexit, sys, threading, time\nfrom headstart.cli import main\natexit.register(print, 'handler')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
        "sys.argv[1:] = [sys.argv[1]]\nmain()"
    )
    for argument, returned, printed in (("--version", 0, [f"headstart {version('headstart')}"]), ("--nothing", 2, [])):
        done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=False)
        *lines, last = done.stdout.splitlines()
        assert done.returncode == returned and sorted(lines) == [*printed, "thread"] and last == "handler"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = headstart(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_every_name_of_the_public_surface_can_be_had() -> None:
    import headstart as package

    for name in package.__all__:
        assert getattr(package, name).__doc__
    assert sorted(package.__all__) == sorted(package._HOME)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit"], "Missing argument 'data'"),
        (["fti"], "Did you mean 'fit'"),
        (["fit", "digits", "--hed", "x"], "--head"),
        (["compare", "digits", "--arms", "pixels,sprout", "--train", "epochs=3"], "epochs: only for arms that train"),
        (["fit", "digits", "--method", "pixels", "--backbone", "sprout"], "leave --backbone out"),
        (["fit", "digits", "--method", "pixels", "--layer", "mean", "--grey", "first"], "leave --layer and --grey out"),
        (["fit", "digits", "--method", "scratch", "--set", "C=1"], "C: only for a head that is fitted on features"),
        (["fit", "digits", "--epochs", "1", "--train", "epochs=3"], "given twice: --epochs and --train epochs=3"),
        (["fit", "digits", "--limit", "-5"], "--limit -5 is not possible: it should be greater"),
        (["fit", "digits", "--engine", "cpp"], "--engine 'cpp' is not possible: it should be 'auto', 'openvino'"),
        (["compare", "digits", "--margin", "0"], "--margin 0: give percentage points above 0 and below 100"),
        (["fit", "nowhere"], "no file or folder 'nowhere'"),
        (["fit", "digits", "--method", "pixel"], "method"),
        (["fit", "digits", "--method", "pixels", "--head", "logistik"], "did you mean logistic"),
        (["fit", "digits", "--method", "pixels", "--set", "CC=1"], "no parameter 'CC'"),
        (["fit", "digits", "--backbone", "resnet5O", "--weights", "none"], "ResNet50"),
        (["fit", "digits", "--backbone", "test_resnet", "--weights", "none", "--layer", "pooledd"], "pooled"),
        (["fit", "digits", "--backbone", "test_resnet", "--weights", "no.safetensors"], "no such file"),
        (["run", "nowhere.toml"], "cannot be read"),
        (["predict", "nowhere", "a.jpg"], "There is no folder nowhere: name a run folder"),
        (["evaluate", "nowhere", "digits"], "There is no folder nowhere: name a run folder"),
        (["features", "digits", "--out", "x.txt"], ".npz, .parquet"),
        (["cache", "clear", "abcdef"], "Unknown space"),
        (["cache", "clear", ""], "Unknown space"),
        (["fit", ""], "no name"),
        (
            ["fit", "digits", "--precision", "mixed", "--device", "cpu", "--backbone", "vgg16", "--weights", "none"],
            "GPUs",
        ),
        (["evaluate", "nowhere", "digits", "--out", "x.csv"], ".json"),
        (["classify", "a.jpg", "--out", "x.txt"], ".png"),
        (["classify", "a.jpg", "--backbone", "sprout"], "no classifier"),
        (["backbones", "--sort", "sise"], "did you mean size"),
        (["backbones", "--max-params", "ten"], "10M"),
        (["backbones", "--fits", "8"], "raise --fits"),
        (
            ["fit", "digits", "--set", "C=1", "--set", "C=2"],
            "C is given twice: --set C=1 and --set C=2; leave one out.",
        ),
        (["run", "digits-sprout", "--set", "limit"], "write NAME=VALUE, for example --set limit=500."),
        (["run", "digits-sprout", "--set", "training.epochs=3"], "add --set method=finetune (or scratch)."),
        (["predict", "nowhere", ""], "There is no folder nowhere"),
        (
            ["features", "digits", "--method", "pixels", "--layer", "last_conv", "--weights", "none", "--out", "x.npz"],
            "leave --weights and --layer out",
        ),
        (["audit", "digits", "--test", ""], "no name"),
        (["run", "."], "The recipe . is a folder; name a file, as recipe.toml."),
        (["backbones", "--fits", "224", "show", "vgg16"], "after the command"),
        (["fit", "digits", "--method", "scratch", "--train", "threads=100000"], "less than or equal to 1024"),
        (["fit", "digits", "--backbone", "sprout", "--image-size", "1"], "too small for a network; give 8 or more"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = headstart(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not re.search("Warning|warn", line)]
    assert len(lines) == 1 and lines[0].startswith("Error: ") and said in lines[0]
    assert list(tmp_path.rglob("scores.json")) == []


def test_fit_evaluate_predict_and_run_work_from_the_shell(tmp_path: Path) -> None:
    store = {"HEADSTART_CACHE": str(tmp_path / "cache")}
    network = ["--backbone", "test_resnet", "--weights", "none", "--image-size", "32", "--head", "ridge"]
    fitted = headstart("fit", "digits", "--limit", "250", *network, "--out", "run", cwd=tmp_path, **store)
    assert fitted.returncode == 0, fitted.stderr
    assert "250 computed" in fitted.stdout and "Report: " in fitted.stdout
    again = headstart("run", "run/recipe.toml", "--out", "again", cwd=tmp_path, **store)
    assert "0 computed, 250 reused, 0 decoded" in again.stdout
    predictions = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("run", "again")]
    assert predictions[0] == predictions[1]

    Image.new("L", (8, 8), 200).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    answered = headstart("predict", "run", "good.png", "bad.png", cwd=tmp_path, **store)
    assert answered.returncode == 0
    assert answered.stdout.startswith("good.png\t")
    assert answered.stderr.splitlines() == ["refused: bad.png: not-an-image (no known signature)"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "link.png").symlink_to(tmp_path / "good.png")
    linked = headstart("predict", "run", "good.png", "more", cwd=tmp_path, **store)
    assert "--follow-links follows it" in linked.stdout + linked.stderr and "follow_links" not in linked.stdout
    assert headstart("predict", "run", "good.png", "bad.png", "--strict", cwd=tmp_path, **store).returncode == 2
    assert headstart("predict", "run", "good.png", "--strict", cwd=tmp_path, **store).returncode == 0

    scored = headstart("evaluate", "run", "digits", cwd=tmp_path, **store).stdout.splitlines()
    assert re.match(
        r"[\d.]+% of 1,797 pictures of digits named correctly \(95% interval [\d.]+ to [\d.]+\); ", scored[0]
    )
    assert scored[1].startswith("Note: 250 of 1,797 pictures were seen in fitting")

    info = headstart("cache", "info", cwd=tmp_path, **store)
    assert "test_resnet" in info.stdout and "32x32" in info.stdout
    assert headstart("cache", "verify", cwd=tmp_path, **store).returncode == 0
    assert headstart("cache", "clear", "--yes", cwd=tmp_path, **store).returncode == 0
    assert "0 spaces" in headstart("cache", "info", cwd=tmp_path, **store).stdout


def test_networks_are_listed_by_accuracy_within_limits() -> None:
    listed = headstart("backbones", "--sort", "accuracy", "--fits", "224", "--max-params", "10M").stdout
    again = headstart("backbones", "list", "--sort", "accuracy", "--fits", "224", "--max-params", "10M").stdout
    names = [
        line.split()[0].rpartition(":")[2] for line in listed.splitlines()[1:] if line.startswith(("timm", "torc"))
    ]
    assert names.index("tf_efficientnet_b0") < names.index("mobilenetv2_100") < names.index("squeezenet1_0")
    assert not {"vgg16", "resnet50", "inception_v3"} & set(names)
    assert listed == again


def test_classify_prints_a_table_and_writes_a_sheet(tmp_path: Path) -> None:
    from headstart.backbones import resolve

    weights = str(resolve("test_resnet", "none").save(tmp_path / "weights"))
    Image.new("RGB", (80, 60), "red").save(tmp_path / "n01440764_tench.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    store = {"HEADSTART_CACHE": str(tmp_path / "cache")}
    network = ["--backbone", "test_resnet", "--weights", weights, "--engine", "torch"]
    done = headstart("classify", "n01440764_tench.png", "bad.png", *network, cwd=tmp_path, **store)
    assert done.returncode == 0, done.stderr
    assert "n01440764_tench.png" in done.stdout and "of 1 picture." in done.stdout
    assert done.stderr.splitlines()[-1] == "refused: bad.png: not-an-image (no known signature)"
    arguments = ["n01440764_tench.png", "bad.png", *network, "--out", "sheet.webp", "--strict"]
    assert headstart("classify", *arguments, cwd=tmp_path, **store).returncode == 2
    assert Image.open(tmp_path / "sheet.webp").format == "WEBP"


LISTENING = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell starts its children deaf to it
def stop():  # when libraries are imported: what interrupts their C++ half-way ends in a message of its own
    while getattr(getattr(sys.modules.get("torchvision"), "__spec__", None), "_initializing", True):
        time.sleep(0.05)
    time.sleep({after})
    os.kill(os.getpid(), signal.{name})
threading.Thread(target=stop, daemon=True).start()
from headstart.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "word"),
    [("SIGINT", 130, "Interrupted"), pytest.param("SIGTERM", 143, "Ended by SIGTERM", marks=pytest.mark.exhaustive)],
)
def test_ctrl_c_and_sigterm_say_that_the_work_is_kept_and_leave_no_folder(
    tmp_path: Path, name: str, code: int, word: str
) -> None:
    arguments = ["fit", "digits", "--backbone", "vgg16", "--weights", "none", "--out", "run"]
    command = [sys.executable, "-c", LISTENING.format(name=name, after=0.3), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1].startswith(f"Error: {word}. What was computed is kept")
    assert "Traceback" not in done.stderr and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), pytest.param("SIGTERM", 143, marks=pytest.mark.exhaustive)]
)
def test_a_study_that_is_stopped_says_one_line_keeps_its_cells_and_leaves_no_worker(
    tmp_path: Path, name: str, code: int
) -> None:
    arguments = ["compare", "digits", "--arms", "scratch", "--sizes", "2,50", "--repeats", "4", "--out", "st"]
    arguments += ["--limit", "400", "--train", "epochs=20", "--train", "threads=1"]
    command = [sys.executable, "-c", LISTENING.partition("def stop")[0] + LISTENING.partition("start()\n")[2]]
    child = subprocess.Popen(
        [*command, *arguments], stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "HEADSTART_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    until = time.monotonic() + 300
    while not list((tmp_path / "st").glob("cells/*/2-*.json")) and child.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(child.pid, getattr(signal, name))  # a terminal sends it to all of the command's processes
    said = child.communicate(timeout=60)[1]
    assert child.returncode == code and len(said.splitlines()) == 1 and said.startswith("Error: ")
    assert list((tmp_path / "st").glob("cells/*/2-*.json"))
    running = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path / "st").encode() in _content(p)]
    assert running == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_refusing_to_clear_the_cache_deletes_nothing(tmp_path: Path) -> None:
    done = headstart("cache", "clear", HEADSTART_CACHE=str(tmp_path))
    assert done.returncode == 0 and "Nothing was deleted" in done.stdout


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"headstart \d+\.\d+\.\d+\n", headstart("--version").stdout)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [["--version"], ["recipes"], ["fit", "--help"]])
def test_an_output_that_takes_nothing_is_named_and_no_disk_is(words: list[str]) -> None:
    command, env = [sys.executable, "-m", "headstart", *words], {**os.environ, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: The output cannot be written (No space left on device): send it elsewhere.\n"


def test_the_command_runs_as_a_module_of_the_python_that_is_called() -> None:
    """`python -m headstart`, where a shell finds the command of another environment, or none."""
    command = [sys.executable, "-m", "headstart"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, headstart("--version").stdout)
    wrong = subprocess.run([*command, "fit", "nowhere"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and wrong.stderr.startswith("Error: There is no file or folder 'nowhere'")


def test_a_prediction_loads_no_library_that_only_fitting_needs(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    run, cache = tmp_path / "run", str(tmp_path / "cache")
    assert headstart("fit", "digits", "--method", "pixels", "--limit", "60", "--out", str(run)).returncode == 0
    arguments = ["predict", str(run), str(tmp_path / "a.png")]
    loaded = modules_after(f"from headstart.cli import _main\nassert _main({arguments!r}) == 0", HEADSTART_CACHE=cache)
    assert not loaded & {"sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "torch", "timm"}


def test_a_warm_run_with_a_sidecar_loads_neither_torch_nor_timm(tmp_path: Path) -> None:
    from headstart.backbones import resolve

    weights, photos = (
        resolve("test_resnet", "none").save(tmp_path / "weights"),
        two_colours(tmp_path / "photos", 12, 40),
    )
    arguments = ["fit", str(photos), "--backbone", "test_resnet", "--weights", str(weights)]
    arguments += ["--engine", "torch", "--image-size", "32", "--head", "ridge", "--out", str(tmp_path / "run")]
    store = {"HEADSTART_CACHE": str(tmp_path / "cache")}
    assert headstart(*arguments, **store).returncode == 0
    loaded = modules_after(f"from headstart.cli import _main\nassert _main({arguments!r}) == 0", **store)
    assert not loaded & {"torch", "timm", "torchvision", "openvino", "sklearn", "pandas"}
