"""The peak of memory that is printed is that of the work itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from headstart.machine import peak_memory_mb

SAID = "from headstart.machine import peak_memory_mb; print(peak_memory_mb())"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no such figure")
def test_memory_that_was_given_back_counts_and_that_of_the_process_that_started_this_one_does_not() -> None:
    block = np.ones(300 * 2**20, np.uint8)
    here = peak_memory_mb()
    del block
    assert peak_memory_mb() == pytest.approx(here, rel=0.05) and here > 300
    if sys.platform == "linux":
        said = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True)
        assert float(said.stdout) < 250
