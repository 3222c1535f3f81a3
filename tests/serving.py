"""A run that is served: what the tests of the server and of its page share."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from headstart import Classifier, TransferClassifier
from headstart.bundle import save

PIXELS = (load_digits().images * 15).astype(np.uint8)
NAMES = load_digits().target.astype(str)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def digits_classifier(**choices: Any) -> Classifier:
    """By the nearest class mean of 200 digits, in sprout's features or as they are."""
    model = TransferClassifier(**{"backbone": "sprout", "head": "prototype", "cache": False, **choices})
    found: Classifier = model.fit(PIXELS[:200], NAMES[:200]).classifier_
    return found


def digits_bundle(folder: Path, **choices: Any) -> Path:
    return save(digits_classifier(**choices), folder / "digits")


@contextmanager
def served(bundle: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own and its address, killed at the end where it still runs."""
    with started("serve", str(bundle), "--port", "0", *options) as found:
        yield found


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves, and the address that its first line names; killed at the end where it still runs."""
    command, env = [sys.executable, "-c", "from headstart.cli import main; main()"], {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"http://\S+", first)
            assert found, first + process.stdout.read()
            yield process, found[0]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
