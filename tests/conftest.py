"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a worker for each core: threads would wait for each other


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is exhaustive or needs real data is slow too, whether its test says so or not."""
    for item in items:
        if item.get_closest_marker("exhaustive") or item.get_closest_marker("data"):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """The million objects of the libraries that were imported stay: to look through them again takes half a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What was imported is freed in order at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data named by HEADSTART_DATA; tests that need it are skipped without it."""
    name = os.environ.get("HEADSTART_DATA", "")
    if not name or not Path(name).is_dir():
        pytest.skip("HEADSTART_DATA names no folder of real data")
    return Path(name).resolve()


@pytest.fixture(scope="session")
def weights_dir(data_dir: Path) -> Path:
    """The folder of real ImageNet weights beside the real data."""
    folder = data_dir.parent / "weights"
    if not folder.is_dir():
        pytest.skip("no folder `weights` beside HEADSTART_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tests have a cache of their own, which all workers share because converting networks is slow.

    A test about the store names a folder of its own.
    """
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "cache"
    before = os.environ.get("HEADSTART_CACHE")
    os.environ["HEADSTART_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["HEADSTART_CACHE"]
    else:
        os.environ["HEADSTART_CACHE"] = before


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread of PyTorch's in the modules whose networks and pictures are small."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
