"""Parquet of the lake, written in place. Not here: what stands in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from voiceai_assets.lake.ahead import one_ahead
from voiceai_assets.lake.reading.block import literal

_ROWS_OF_A_GROUP = 40_960  # twenty of DuckDB's vectors; of three times as many a day takes 200 MB more


def from_parquet(path: Path, *, with_row_number: bool = False) -> str:
    """DuckDB: the file as a relation, with a column ``file_row_number`` if asked for, and none of the folder's name."""
    return f"read_parquet({literal(str(path))}, hive_partitioning = false, file_row_number = {with_row_number})"


def rewrite(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Put the result of a query in the place of a file; readers see the old file or the new one.

    Arrow encodes while DuckDB makes the next rows: DuckDB's own writer takes half as long again, most of it for the
    columns that an emitter does not fill. Compressed lightly: at the usual level files are as small.
    """
    result = db.sql(query)
    json = {name for name, kind in zip(result.columns, result.types, strict=True) if kind == "JSON"}
    with batches_of(result) as (found, batches):
        schema = pa.schema([f.with_type(pa.json_(f.type)) if f.name in json else f for f in found])
        write(path, schema, (_of_schema(batch, schema) for batch in batches))


@contextmanager
def batches_of(result: duckdb.DuckDBPyRelation) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Schema and rows of a result, a row group at a time; the next one is made while the caller works on this one.

    Closed whatever happens: while a result is open DuckDB takes no other question.
    """
    with result.to_arrow_reader(_ROWS_OF_A_GROUP) as rows, closing(one_ahead(rows)) as batches:
        yield rows.schema, batches


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Put rows in the place of a file, each batch as a row group; readers see the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    options = {"compression": "zstd", "compression_level": 1, "store_schema": False, "store_decimal_as_integer": True}
    try:
        with pq.ParquetWriter(draft, schema, **options) as file:
            for batch in batches:
                file.write_batch(batch)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _of_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same columns, those of JSON under their type."""
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
