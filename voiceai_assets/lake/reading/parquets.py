"""Parquet: row batches whose columns become text, as every other format has it.

Belongs here: Parquet to blocks. Does not belong here: types of a contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from voiceai_assets.lake.reading.block import Block, UnreadableFileError
from voiceai_assets.lake.reading.bytes import BLOCK_BYTES
from voiceai_assets.lake.reading.lines import BATCH_LINES


def parquet_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a Parquet file; the line is the row's number from 1.

    Instants become text with their offset, nested values JSON text. A row with text that is not UTF-8 has the problem
    ``encoding``, whether the file calls the column a string or bytes.

    Raises:
        UnreadableFileError: when it is no Parquet file, or not a whole one.
    """
    try:
        file = pq.ParquetFile(path, pre_buffer=False)  # what is fetched ahead is kept until the file's end
        schema = file.schema_arrow
        names = tuple(schema.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: of a column's name
        raise UnreadableFileError(f"{path.name}: no whole Parquet file: {error}") from error
    if len(set(names)) != len(names):
        # by place, as in CSV: Parquet made of a file without a header names its columns after somebody's data
        places = [str(index) for index, name in enumerate(names, 1) if names.count(name) > 1]
        raise UnreadableFileError(f"{path.name}: a column stands twice: columns {' and '.join(places)}")
    values = tuple(_as_text(f"c{i}", _readable(field.type)) for i, field in enumerate(schema))
    line = 1
    try:
        for batches in _groups(file.iter_batches(BATCH_LINES)):
            rows, problems = _texts_checked(pa.Table.from_batches(batches))
            rows = rows.rename_columns([f"c{i}" for i in range(len(names))])
            numbers = pa.array(range(line, line + rows.num_rows), pa.int64())
            line += rows.num_rows
            yield Block(rows.append_column("line", numbers).append_column("problem", problems), names, values)
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


def _readable(kind: pa.DataType) -> pa.DataType:
    """The type as which DuckDB reads a column: bytes are text, and two kinds of numbers it does not know."""
    types = pa.types
    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return pa.large_string()
    if any(is_a(kind) for is_a in (types.is_binary, types.is_binary_view, types.is_string_view, types.is_decimal256)):
        return pa.string()
    return pa.float32() if types.is_float16(kind) else kind


def _texts_checked(rows: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
    """The rows with columns of readable types, and for each row the problem ``encoding`` or none."""
    problems = pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
    for index, field in enumerate(rows.schema):
        column, kind = rows.column(index), _readable(field.type)
        try:
            column = column if kind == field.type else column.cast(kind)
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                column.validate(full=True)  # whether it is UTF-8: Parquet's writers promise it, and Arrow believes them
        except pa.ArrowInvalid:
            found = column.cast(pa.large_binary()).to_pylist()
            texts = [None if value is None else value.decode(errors="replace") for value in found]
            wrong = [text is not None and text.encode() != value for text, value in zip(texts, found, strict=True)]
            column = pa.chunked_array([pa.array(texts, kind)])
            problems = pc.if_else(pa.array(wrong), f"encoding: {field.name} is not UTF-8", problems)
        rows = rows.set_column(index, field.with_type(kind), column)
    return rows, problems


def _as_text(column: str, kind: pa.DataType) -> str:
    if pa.types.is_nested(kind):
        text = f"CAST(to_json({column}) AS VARCHAR)"
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = f"CAST({column} AS VARCHAR)"
    else:
        return f"CAST({column} AS VARCHAR)"  # a number or a time holds no NUL
    # as ``bytes.storable`` does for files of text: also escaped, in a document or by ``to_json``
    mended = f"replace(replace({text}, chr(0), chr(65533)), '\\u0000', '\\ufffd')"
    return f"CASE WHEN contains({text}, chr(0)) OR contains({text}, '\\u0000') THEN {mended} ELSE {text} END"
