"""Parquet: row batches whose columns become text, as every other format has it.

Belongs here: Parquet to blocks. Does not belong here: types of a contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from voiceai_assets.lake.reading.block import Block, UnreadableFileError

BATCH_ROWS = 20_000  # as lines.py: a scan is parallel over batches
BLOCK_BYTES = 64 * 2**20


def parquet_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a Parquet file; the line is the row's number from 1.

    Instants become text with their offset, nested values JSON text.

    Raises:
        UnreadableFileError: when it is no Parquet file, or not a whole one.
    """
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        names = tuple(schema.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: of a column's name
        raise UnreadableFileError(f"{path.name}: no whole Parquet file: {error}") from error
    if len(set(names)) != len(names):
        raise UnreadableFileError(f"{path.name}: a column stands twice: {', '.join(names)}")
    values = tuple(_as_text(f"c{i}", field.type) for i, field in enumerate(schema))
    line = 1
    try:
        for batches in _groups(file.iter_batches(BATCH_ROWS)):
            rows = pa.Table.from_batches(batches).rename_columns([f"c{i}" for i in range(len(names))])
            count = rows.num_rows
            numbers = pa.array(range(line, line + count), pa.int64())
            rows = rows.append_column("line", numbers).append_column("problem", pa.nulls(count, pa.string()))
            line += count
            yield Block(rows, names, values)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"{path.name}: damaged after row {line - 1:,}: {error}") from error


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += batch.nbytes
        if size >= BLOCK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _as_text(column: str, kind: pa.DataType) -> str:
    if pa.types.is_nested(kind):
        text = f"CAST(to_json({column}) AS VARCHAR)"
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        text = f"TRY(decode({column}))"
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        text = f"CAST({column} AS VARCHAR)"
    else:
        return f"CAST({column} AS VARCHAR)"  # a number or a time holds no NUL
    return f"CASE WHEN contains({text}, chr(0)) THEN replace({text}, chr(0), chr(65533)) ELSE {text} END"
