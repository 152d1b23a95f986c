"""Parquet: row batches whose columns become text, as every other format has it.

Belongs here: Parquet to blocks. Does not belong here: types of a contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from voiceai_assets.lake.reading.block import Block, UnreadableFileError

BATCH_ROWS = 100_000


def parquet_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a Parquet file; the line is the row's number from 1.

    Instants become RFC 3339 text in UTC, nested values JSON text.

    Raises:
        UnreadableFileError: when it is no Parquet file, or not a whole one.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"{path.name}: no whole Parquet file: {error}") from error
    names = tuple(file.schema_arrow.names)
    if len(set(names)) != len(names):
        raise UnreadableFileError(f"{path.name}: a column stands twice: {', '.join(names)}")
    select = ", ".join(_as_text(f"c{i}", field.type) for i, field in enumerate(file.schema_arrow))
    line = 1
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        try:
            for batch in file.iter_batches(BATCH_ROWS):
                source = pa.Table.from_batches([batch]).rename_columns([f"c{i}" for i in range(len(names))])
                db.register("batch", source)
                texts: pa.Table = db.sql(f"SELECT {select or 'NULL AS nothing'} FROM batch").to_arrow_table()
                count = texts.num_rows
                numbers = pa.array(range(line, line + count), pa.int64())
                rows = texts.append_column("line", numbers).append_column("problem", pa.nulls(count, pa.string()))
                line += count
                yield Block(rows, names)
        except (pa.ArrowException, OSError) as error:
            raise UnreadableFileError(f"{path.name}: damaged after row {line - 1:,}: {error}") from error


def _as_text(column: str, kind: pa.DataType) -> str:
    if pa.types.is_nested(kind):
        return f"CAST(to_json({column}) AS VARCHAR) AS {column}"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return f"TRY(decode({column})) AS {column}"
    return f"replace(CAST({column} AS VARCHAR), chr(0), chr(65533)) AS {column}"
