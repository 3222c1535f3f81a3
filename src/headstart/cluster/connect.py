"""A connection to a cluster of Ray, and its errors in words."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headstart.errors import HeadstartError, UserError, first_line
from headstart.shared import full

MISSING = "`cluster` needs Ray, which is not installed: pip install 'headstart[cluster]'."
ANSWERS_S = 5.0
"""Seconds in which a cluster takes a call, or there is none."""
KEPT = "What was done is kept: run the same command again to continue."


def load_ray() -> Any:
    """The package. Raises UserError where it is not installed. Ray sends no report of its use to anybody."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of what Ray Data itself does
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError(MISSING) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The package `ray`, connected to a cluster; left again at the end, unless the caller was connected before.

    `address` is `local` (one that is started here, for this command), `auto` (the one that this machine is part of),
    `HOST:PORT` or `ray://HOST:PORT`. Raises UserError where there is none, HeadstartError for what fails in it.
    """
    ray = load_ray()
    if ray.is_initialized():
        with in_words(ray):
            yield ray
        return
    _check_answers(address)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        quiet |= {"include_dashboard": False}
    try:
        with _hushed():
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(_unreachable(address, error)) from error
    try:
        with in_words(ray):
            yield ray
    finally:
        ray.shutdown()


def is_client(ray: Any) -> bool:
    """Whether this process is outside of the cluster, connected by `ray://`."""
    return bool(ray.util.client.ray.is_connected())


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing to standard error, where a library not written in Python says which log level it was given."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _check_answers(address: str) -> None:
    """Raise UserError where nothing listens at `HOST:PORT`: Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_S).close()
        except (OSError, OverflowError) as error:
            raise UserError(_unreachable(address, error)) from error


def _unreachable(address: str, error: Exception) -> str:
    if address == "auto":
        return (
            "cluster=auto: this machine is not part of a Ray cluster; start one with `ray start`, or use cluster=local."
        )
    return f"cluster={address}: no cluster can be reached there ({first_line(error)})."


@contextmanager
def in_words(ray: Any) -> Iterator[None]:
    """Whatever Ray raises in the block as one of our errors, whose message is one sentence."""
    try:
        yield
    except Exception as error:
        told = told_of(ray, error)
        if told is None or told is error:
            raise
        raise told from error


def told_of(ray: Any, error: BaseException) -> HeadstartError | None:
    """One of our errors for what Ray raised: a task's own, or what became of its worker; None for what is neither."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, HeadstartError) and not isinstance(each, ray.exceptions.RayError):
            return each
        if isinstance(each, OSError) and not isinstance(each, ray.exceptions.RayError) and full(each) is not None:
            return HeadstartError(disk_full(each))
    for each in chain:
        if isinstance(each, ray.exceptions.OutOfMemoryError | MemoryError):
            return HeadstartError(
                f"A worker of the cluster ran out of memory and was stopped: use fewer workers, so that each has "
                f"more. {KEPT}"
            )
        if isinstance(each, ray.exceptions.OutOfDiskError):
            return HeadstartError(
                f"The disk of Ray's object store is full on a node of the cluster: free some space. {KEPT}"
            )
    for each in chain:
        if isinstance(each, _lost(ray)):
            return HeadstartError(
                f"A worker of the cluster was lost and could not be replaced ({first_line(each)}). {KEPT}"
            )
    inner = next((e for e in reversed(chain) if not isinstance(e, ray.exceptions.RayError)), None)
    if inner is None or not any(isinstance(each, ray.exceptions.RayError) for each in chain):
        return None
    return HeadstartError(f"A worker of the cluster failed ({type(inner).__name__}: {first_line(inner)}). {KEPT}")


def disk_full(error: OSError) -> str:
    """The sentence on a disk that is full."""
    where = f" of {error.filename}" if error.filename else ""
    return f"The disk{where} is full on a node of the cluster: free some space there. {KEPT}"


def _lost(ray: Any) -> tuple[type[BaseException], ...]:
    known = ray.exceptions
    return (
        known.WorkerCrashedError, known.RayActorError, known.NodeDiedError, known.ObjectLostError,
        known.LocalRayletDiedError, known.ActorUnschedulableError, known.TaskUnschedulableError,
    )  # fmt: skip


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that are behind it, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [getattr(each, "cause", None), each.__cause__, each.__context__]
