"""`headstart label`: open the album and its session, and serve the page until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.features.extract import Settings
from headstart.labelling.album import Looks, open_album
from headstart.labelling.session import Session
from headstart.labelling.tables import for_pictures
from headstart.outputs import check_file
from headstart.progress import Progress, silent

STOP_S = 8.0


@dataclass(frozen=True)
class LabelRequest:
    """What to label, where the labels go, what is known of them, and who looks; `port` 0 is any that is free."""

    data: Any
    out: Path
    classes: Sequence[str] = ()
    labels: str | Path | None = None
    looks: Looks = field(default_factory=Looks)
    port: int = 8000


def label(
    request: LabelRequest,
    settings: Settings | None = None,
    started: Callable[[str], None] = lambda address: None,
    progress: Progress = silent,
) -> None:
    """Serve the page on this computer alone; see `headstart.api.label`."""
    from headstart.labelling.app import application
    from headstart.serve import shell

    check_file(request.out, (".csv",), request.data)
    looks = for_pictures(request.looks, request.data, request.labels)
    album = open_album(request.data, looks, settings, progress)
    session = Session(album, request.out, request.classes)
    try:
        if request.labels is not None:
            session.take(request.labels, request.looks.reading)
        session.mention(request.data, request.looks.reading)
        app = application(session, album.images.title)
        shell.run(app, "127.0.0.1", request.port, STOP_S, started)
    finally:
        session.close()
