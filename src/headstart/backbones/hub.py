"""Downloads of pretrained weights by timm and torchvision: quick to give up, and one sentence when they fail."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from headstart.backbones.licences import marked
from headstart.backbones.weights_files import weights_file_in
from headstart.errors import Offline, UserError, WeightsError, first_line
from headstart.paths import weights_folder

ADDRESS = "https://huggingface.co"
PAGE = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)

SECONDS = 10.0
"""How long to wait for the hub's first answer, and then for each further piece."""
WAY_OUT = "use backbone=sprout, which comes with Headstart, or weights=FILE"
"""What works without a network, in the words of the command line and of Python."""
NETWORK_PACKAGES = {
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "huggingface_hub",
    "requests",
    "urllib3",
    "urllib",
    "ssl",
}
OWN_DISK = {errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EPERM, errno.EDQUOT}


@contextlib.contextmanager
def downloading(what: str, url: str, licence: Callable[[], str] = str) -> Iterator[None]:
    """Run a library's own download of `what` from `url`; what it stored before is used without the network.

    The hub's own login is used; what the library prints goes to standard error, for what a command prints may be read
    by a program. Raises Offline when the network does not give it, WeightsError when the hub refuses it,
    with its licence where `licence()` knows it, UserError when the disk does not take it.
    """
    try:
        with _patience(), _hugging_face(url), contextlib.redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        chain = list(_chain(error))
        if any(isinstance(e, OSError) and e.errno in OWN_DISK for e in chain):
            raise UserError(f"The weights of {what} could not be stored: {first_line(chain[-1])}.") from error
        if refused := _refusal(chain, what, url, licence):
            raise WeightsError(refused) from error
        if any(_is_network(e) for e in chain):
            raise Offline(
                f"The weights of {what} are not on this machine and could not be downloaded from "
                f"{urlsplit(url).hostname} ({_reason(chain)})",
                _way_out(what),
            ) from error
        raise


def _way_out(what: str) -> str:
    """What works without a network: first of all the user's own folder of weights, where that has them."""
    folder = weights_folder()
    if folder is None:
        return WAY_OUT
    try:
        weights_file_in(what, folder)
    except (WeightsError, OSError):
        return WAY_OUT
    return f"the folder in HEADSTART_WEIGHTS has them: give weights={folder}"


def download(repository: str, file: str) -> Path | None:
    """A file of a model page `ORG/NAME`, from the hub's cache or the hub; None where the page has no such file.

    Raises as `downloading` does.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if not PAGE.fullmatch(repository):
        raise UserError(f"hf-hub:{repository} is not the name of a model page; write hf-hub:ORG/NAME.")
    with downloading(f"hf-hub:{repository}", f"{ADDRESS}/{repository}", lambda: _licence(repository)):
        try:
            return Path(hf_hub_download(repository, file))
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):  # not in the cache, and the hub was not reached
                raise
            return None


def _licence(repository: str) -> str:
    """The licence that a model page states, to everybody; empty where it does not say."""
    from huggingface_hub import model_info

    try:
        card = model_info(repository, timeout=SECONDS).card_data
    except Exception:  # whatever goes wrong, the refusal itself is what is told
        return ""
    return str(getattr(card, "license_name", None) or getattr(card, "license", None) or "")


def _refusal(chain: list[BaseException], what: str, url: str, licence: Callable[[], str]) -> str | None:
    """What a user is told where the hub knows the weights and does not give them; None for any other failure."""
    kinds = {type(error).__name__ for error in chain}
    codes = {getattr(getattr(error, "response", None), "status_code", None) for error in chain}
    login = "log in with `hf auth login` or set HF_TOKEN"
    if "GatedRepoError" in kinds or 403 in codes:
        name = licence()
        terms = f"the licence {marked(name)}" if name else "their licence"
        return (
            f"The hub only gives the weights of {what} to users who have accepted {terms}: accept it on {url}, then "
            f"{login}."
        )
    if "RepositoryNotFoundError" in kinds or 401 in codes:
        return f"The hub has no weights of {what}, or they are not public: check the name, or {login}."
    return None


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """A time limit for sockets that set none themselves (torch.hub reads with urllib)."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _hugging_face(url: str) -> Iterator[None]:
    """One attempt to reach the hub; if it fails only its cache is read (huggingface_hub would retry for 50 s)."""
    if not url.startswith(ADDRESS):
        yield
        return
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    reached = _answers()
    constants.HF_HUB_OFFLINE = before or reached is not None
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except Exception as error:
        if reached is not None:
            raise reached from error
        raise
    finally:
        constants.HF_HUB_OFFLINE = before
        logger.setLevel(level)


def _answers() -> Exception | None:
    """None when the hub answers anything at all within `SECONDS`, else what went wrong.

    A library's own limit holds for each address of the hub's in turn, so the time is kept here.
    """
    found: list[Exception | None] = []
    asking = threading.Thread(target=lambda: found.append(_asked()), name="hub", daemon=True)
    asking.start()
    asking.join(SECONDS)
    return found[0] if found else TimeoutError(f"no answer in {SECONDS:g} s")


def _asked() -> Exception | None:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception as error:  # whatever its HTTP library raises: the type differs between versions
        return error
    return None


def _is_network(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    return package in NETWORK_PACKAGES or isinstance(error, ConnectionError | TimeoutError | socket.gaierror)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _reason(chain: list[BaseException]) -> str:
    """The operating system's own words where there are any, else those of the outermost error."""
    return first_line(next((e for e in chain if isinstance(e, OSError) and e.strerror), chain[0]))
