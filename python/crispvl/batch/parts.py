"""The table's files: parts of some dozens of pages, each written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from crispvl.batch.job import Job, PartFormat
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder

if TYPE_CHECKING:
    import pyarrow as pa

IDENTITY = ("key", "source", "version", "n_pages", "page", "model", "settings", "error_type")
"""What a later run needs to know of a row."""

ROWS_PER_PART = 64
"""At most this many finished pages are lost, and read again, when the driver is killed."""


def schema() -> pa.Schema:
    """Columns of the table."""
    import pyarrow as pa

    line = pa.struct(
        [("text", pa.string()), ("box", pa.list_(pa.float32())), ("confidence", pa.float32())]
    )
    return pa.schema(
        [
            ("key", pa.string()),
            ("source", pa.string()),
            ("page", pa.int32()),
            ("text", pa.string()),
            ("lines", pa.list_(line)),
            ("confidence", pa.float32()),
            ("flags", pa.list_(pa.string())),
            ("error", pa.string()),
            ("error_type", pa.string()),
            ("finish_reason", pa.string()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("timings", pa.map_(pa.string(), pa.float64())),
            ("document", pa.string()),
            ("version", pa.string()),
            ("n_pages", pa.int32()),
            ("model", pa.string()),
            ("settings", pa.string()),
        ]
    )


def part_name(rows: Sequence[Row], kind: PartFormat) -> str:
    """Name of the part that holds these rows: the same rows, written again, replace themselves."""
    digest = hashlib.blake2b("".join(sorted(row["key"] for row in rows)).encode(), digest_size=16)
    return f"part-{digest.hexdigest()}.{kind}"


def write_part(folder: Folder, rows: Sequence[Row], kind: PartFormat) -> str:
    """Writes rows as one part and returns its name."""
    name = part_name(rows, kind)
    folder.write(name, _parquet(rows) if kind == "parquet" else _json_lines(rows))
    return name


def _parquet(rows: Sequence[Row]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    maps = [row | {"timings": list(row["timings"].items())} for row in rows]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(maps, schema=schema()), buffer, compression="zstd")
    return buffer.getbuffer()


def _json_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def drop_failed(folder: Folder, job: Job) -> None:
    """Takes the failed pages of a job out of the table, so that they are read again.

    Each part is replaced at once: a run that is killed in between leaves every other page.
    """
    for name in folder.files(f".{job.format}"):
        rows = _read_part(folder, name, job.format)
        kept = [row for row in rows if row["error_type"] is None or not _is_of(job, row)]
        if not kept:
            folder.remove(name)
        elif len(kept) < len(rows):
            folder.write(name, _parquet(kept) if job.format == "parquet" else _json_lines(kept))


def _is_of(job: Job, row: Row) -> bool:
    return (row["model"], row["settings"]) == (job.model_hash, job.settings_hash)


def _read_part(folder: Folder, name: str, kind: PartFormat) -> list[Row]:
    with folder.open(name) as file:
        if kind == "jsonl":
            return [json.loads(line) for line in file.read().decode().splitlines()]
        import pyarrow.parquet as pq

        rows: list[Row] = pq.read_table(file).to_pylist()
        return [row | {"timings": dict(row["timings"])} for row in rows]


def identities(folder: Folder, kind: PartFormat) -> Iterator[Row]:
    """Yields `IDENTITY` of every row that is in the folder, part by part."""
    for name in folder.files(f".{kind}"):
        with folder.open(name) as file:
            if kind == "parquet":
                import pyarrow.parquet as pq

                yield from pq.read_table(file, columns=list(IDENTITY)).to_pylist()
                continue
            for line in file.read().decode().splitlines():
                row = json.loads(line)
                yield {column: row[column] for column in IDENTITY}
