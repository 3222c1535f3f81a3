"""What an option or an extra would have admitted: sentences for the notes, the terminal and the errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headstart.phrases import plural

if TYPE_CHECKING:
    from headstart.images.imageset import Refusal

LINK = "a link to "
"""What the detail of a refused link out of the folder begins with."""
TABLES = (".csv", ".tsv", ".parquet")


def list_cures(refused: Iterable[Refusal]) -> tuple[str, ...]:
    """Links that are not followed, values out of range, and pictures that need another reader: how many, what to do."""
    from headstart.images.formats import READERS, VALUES

    listed = list(refused)
    said = []
    links = sum(r.reason == "outside-the-folder" and r.detail.startswith(LINK) for r in listed)
    if links:
        said.append(
            "1 link leads out of the folder and is not followed; follow_links=True follows it."
            if links == 1
            else f"{links:,} links lead out of the folder and are not followed; follow_links=True follows them."
        )
    if tables := sum(r.name.lower().endswith(TABLES) for r in listed):
        said.append(
            f"{plural(tables, 'file is a table', 'files are tables')}: a table is read only when it is given alone."
        )
    if strange := [r.detail for r in listed if r.reason == "unsupported-mode" and VALUES in r.detail]:
        values = strange[0].split(VALUES)[1].partition(" (")[0]
        said.append(
            f"{plural(len(strange), 'picture has', 'pictures have')} values out of range, such as {values}: scale "
            "them to 0..1, 0..255 or 0..65535, all pictures alike, and save them again."
        )
    for name, cure in READERS.items():
        count = sum(r.reason == "format-not-allowed" and r.detail.split(",")[0] == name for r in listed)
        if count:
            said.append(f"{count:,} picture{' is' if count == 1 else 's are'} {name}; {cure}.")
    return tuple(said)


def cured(refused: Iterable[Refusal]) -> str:
    """The same as the end of an error, with a space before it; '' where there is none."""
    return "".join(f" {sentence}" for sentence in list_cures(refused))
