"""Where pictures come from: one file for each source; adding one is a file and a line in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.images.imageset import ImageSet
from headstart.images.options import LoadOptions
from headstart.images.sources import builtin, folder, idx, listed, npz, remote, table, zipped


@dataclass(frozen=True)
class Source:
    """accepts(data): whether the data are of this kind; load(data, options) reads them; `example` is for messages."""

    accepts: Callable[[Any], bool]
    load: Callable[[Any, LoadOptions], ImageSet]
    example: str


SOURCES: dict[str, Source] = {
    "builtin": Source(builtin.accepts, builtin.load, "a name: " + ", ".join(builtin.BUILTINS)),
    "remote": Source(remote.accepts, remote.load, "the address of such a folder (s3://, gs://, file://)"),
    "zip": Source(zipped.accepts, zipped.load, "a zip of such a folder"),
    "table": Source(table.accepts, table.load, "a table with image,label[,split,group] (.csv, .tsv, .txt, .parquet)"),
    "npz": Source(npz.accepts, npz.load, "an .npz with x_train, y_train, x_test, y_test"),
    "idx": Source(idx.accepts, idx.load, "a folder of IDX files"),
    "folder": Source(folder.accepts, folder.load, "a folder with one folder for each class"),  # after idx: any folder
    "listed": Source(listed.accepts, listed.load, "pictures in memory or a list of paths"),
}
