"""Rows of many pictures as Parquet shards: each file whole or not there, the manifest written last.

    manifest.json                     see `schema.shards`
    part-000000-<mark>.parquet        the first pictures, and so on

The mark in a file's name stands for its pictures (names, labels, parts, sizes and times of files) and for all that the
rows depend on beside them; so a file that is there is one that need not be made again. A shard of features has the
columns name, label, split, content (16 bytes, the digest of a picture's content) and features (float32, d of them).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import documents
from headstart.errors import DataError, UserError, first_line
from headstart.features.extraction import DIGEST
from headstart.features.jobs import Job
from headstart.images import ImageSet, Refusal
from headstart.schema.files import MAX_BYTES, from_json, to_json
from headstart.schema.shards import FILE, FORMAT, RefusedPicture, Shard, ShardManifest
from headstart.storage import Storage

ABOUT = b"headstart"
"""The key of a Parquet file's metadata under which a shard says what it is."""


def write_shard(
    storage: Storage, job: Job, columns: Mapping[str, Any], refused: Sequence[Refusal]
) -> tuple[Shard, tuple[RefusedPicture, ...]]:
    """Write the shard of a job: columns of pyarrow arrays of one length. Raises OSError where the disk is full."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(dict(columns))
    shard = Shard(job.file, job.stop - job.start, table.num_rows, digest_of(table))
    left = tuple(RefusedPicture(r.name, r.reason, r.detail) for r in refused)
    about = json.dumps({"shard": to_json(shard), "refused": to_json(left)})
    content = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({ABOUT: about}), content)
    storage.write(job.file, content.getvalue())
    return shard, left


def written(storage: Storage, file: str) -> tuple[Shard, tuple[RefusedPicture, ...]] | None:
    """What a shard says of itself; None where there is none that can be read. Its rows are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open(file) as opened:
            told = documents.parse(pq.read_schema(opened).metadata[ABOUT])
        return from_json(Shard, told["shard"]), tuple(from_json(RefusedPicture, each) for each in told["refused"])
    except (OSError, pa.ArrowInvalid, ValueError, KeyError, TypeError):
        return None


def digest_of(table: Any) -> str:
    """32 hexadecimal digits over names and values of a pyarrow table, however it is cut into pieces."""
    found = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        found.update(f"{name} {len(column)}".encode())  # the type of a list has another name in a file
        if str(column.type).startswith("fixed_size_list"):
            found.update(np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False)).data)
        else:
            found.update(json.dumps(column.to_pylist(), default=bytes.hex).encode())
    return found.hexdigest()


def feature_columns(
    images: ImageSet, features: NDArray[np.float32], contents: NDArray[np.uint8], width: int
) -> dict[str, Any]:
    """The columns of a shard of features (m, d) of m pictures with their digests (m, 16); `width` is d."""
    import pyarrow as pa

    labels = [images.classes[k] if k >= 0 else "" for k in images.labels]
    flat = pa.array(np.ascontiguousarray(features).reshape(-1), type=pa.from_numpy_dtype(features.dtype))
    return {
        "name": pa.array(list(images.names), type=pa.string()),
        "label": pa.array(labels, type=pa.string()),
        "split": pa.array([str(part) for part in images.parts], type=pa.string()),
        "content": pa.array([row.tobytes() for row in contents], type=pa.binary(DIGEST)),
        "features": pa.FixedSizeListArray.from_arrays(flat, width),
    }


def write_manifest(storage: Storage, manifest: ShardManifest) -> None:
    """Write it, which says that all is there."""
    text = json.dumps(to_json(manifest), indent=1, ensure_ascii=False, allow_nan=False)
    storage.write(FILE, text.encode("utf-8", "backslashreplace") + b"\n")


def read_manifest(storage: Storage) -> ShardManifest | None:
    """The manifest; None where there is none: the shards are not complete. Raises DataError for a damaged one."""
    try:
        content = storage.read(FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is over {MAX_BYTES:,} bytes")
        values = documents.parse(content)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            return None
        return from_json(ShardManifest, values)
    except ValueError as error:
        raise DataError(f"{storage}/{FILE} cannot be read ({error}); run the command that made it again.") from error


@dataclass(frozen=True)
class FeatureShards:
    """A finished folder of features."""

    storage: Storage
    manifest: ShardManifest

    @classmethod
    def at(cls, place: str | Path) -> FeatureShards | None:
        """Those in a folder; None where it holds no finished shards. Raises UserError for shards of another kind."""
        storage = Storage.of(place)
        manifest = read_manifest(storage)
        if manifest is None:
            return None
        if manifest.kind != "features" or not manifest.columns:
            raise UserError(f"{place} holds {manifest.kind}, but features are needed.")
        return cls(storage, manifest)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """The shards as pyarrow tables, in order; whole ones are checked against their digests. Raises DataError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for shard in self.manifest.shards:
            try:
                with self.storage.open(shard.file) as file:
                    table = pq.read_table(file, columns=columns and list(columns))
                if table.num_rows != shard.rows or (columns is None and digest_of(table) != shard.digest):
                    raise ValueError("its content was changed")
            except (OSError, pa.ArrowInvalid, ValueError) as error:
                raise DataError(
                    f"The shard {self.storage}/{shard.file} cannot be used ({first_line(error)}): delete it, and "
                    "run the command that made it again."
                ) from error
            yield table

    @cached_property
    def about(self) -> dict[str, list[Any]]:
        """The columns name, label and split of all m rows."""
        found: dict[str, list[Any]] = {"name": [], "label": [], "split": []}
        for table in self.tables(list(found)):
            for key, values in found.items():
                values += table.column(key).to_pylist()
        return found

    def rows(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
        """Features (b, d) and digests of contents (b, 16) of each shard."""
        width = self.manifest.columns or 0
        for table in self.tables():
            flat = table.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
            contents = b"".join(table.column("content").to_pylist())
            yield flat.reshape(-1, width), np.frombuffer(contents, np.uint8).reshape(-1, DIGEST)
