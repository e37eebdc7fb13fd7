"""The table's files: parts of some dozens of pages, each written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

from crispvl.batch.job import PartFormat
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder
from crispvl.errors import OutputError

if TYPE_CHECKING:
    import pyarrow as pa

IDENTITY = ("key", "source", "version", "n_pages", "page", "model", "settings", "error_type")
"""What a later run needs to know of a row."""

ROWS_PER_PART = 64
"""At most this many finished pages are lost, and read again, when the driver is killed."""

_PREFIX = "part-"
_READ_AHEAD = 16
"""Parts that are opened together: an object store takes its time for each."""


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
            ("read_at", pa.timestamp("ms", tz="UTC")),
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
    return f"{_PREFIX}{digest.hexdigest()}.{kind}"


def write_part(folder: Folder, rows: Sequence[Row], kind: PartFormat) -> str:
    """Writes rows as one part and returns its name."""
    name = part_name(rows, kind)
    _write(folder, name, rows, kind)
    return name


def check_format(folder: Folder, kind: PartFormat) -> None:
    """Refuses parts of a second format: no run would see the rows of the first.

    Raises:
        OutputError: The folder has parts of another format.
    """
    for other in set(get_args(PartFormat)) - {kind}:
        for name in folder.files(f".{other}"):
            if name.startswith(_PREFIX):
                raise OutputError(
                    f"[{folder.name}] expected a table of {kind} files; found {name}; give "
                    f"--format {other}, or another folder"
                )


def keep_rows(folder: Folder, name: str, kind: PartFormat, kept: Sequence[bool]) -> None:
    """Takes rows out of a part, which is replaced at once; without a row left, it is deleted.

    Args:
        folder: Of the table.
        name: Of the part.
        kind: Its format.
        kept: For each row, whether it stays.
    """
    rows = [row for row, stays in zip(_read(folder, name, kind), kept, strict=True) if stays]
    if rows:
        _write(folder, name, rows, kind)
    else:
        folder.remove(name)


def identities(folder: Folder, kind: PartFormat) -> Iterator[tuple[str, list[Row]]]:
    """Yields the name of each part with `IDENTITY` of its rows; some parts are read ahead.

    Raises:
        OutputError: A file is no part of a table.
    """
    names = folder.files(f".{kind}")
    with ThreadPoolExecutor(_READ_AHEAD) as pool:
        while some := list(islice(names, 2 * _READ_AHEAD)):
            found = pool.map(partial(_identity, folder, kind), some)
            yield from zip(some, found, strict=True)


def _identity(folder: Folder, kind: PartFormat, name: str) -> list[Row]:
    try:
        return _read(folder, name, kind, IDENTITY)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise OutputError(
            f"[{folder.name}] expected parts of a batch's table; found {name}, which cannot be "
            f"read as one ({error}); move it away, or give another folder"
        ) from error


def _read(
    folder: Folder, name: str, kind: PartFormat, columns: Sequence[str] | None = None
) -> list[Row]:
    with folder.open(name) as file:
        if kind == "jsonl":
            rows = map(json.loads, file.read().rstrip(b"\n").split(b"\n"))
            return [row if columns is None else {c: row[c] for c in columns} for row in rows]
        import pyarrow.parquet as pq

        found: list[Row] = pq.read_table(file, columns=columns and list(columns)).to_pylist()
        return found


def _write(folder: Folder, name: str, rows: Sequence[Row], kind: PartFormat) -> None:
    folder.write(name, _parquet(rows) if kind == "parquet" else _json_lines(rows))


def _parquet(rows: Sequence[Row]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist(list(map(_as_arrow, rows)), schema=schema()),
        buffer,
        compression="zstd",
    )
    return buffer.getbuffer()


def _as_arrow(row: Row) -> Row:
    read_at = row["read_at"]
    if isinstance(read_at, str):
        read_at = datetime.fromisoformat(read_at)
    timings = row["timings"]
    return row | {"timings": list(dict(timings).items()), "read_at": read_at}


def _json_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
