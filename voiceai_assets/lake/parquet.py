"""Parquet of the lake, written in place. Not here: what stands in it."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from voiceai_assets.lake.reading.block import literal


def from_parquet(path: Path) -> str:
    """DuckDB: the file as a relation; the folder's name is not a column."""
    return f"read_parquet({literal(str(path))}, hive_partitioning = false)"


def rewrite(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Put the result of a query in the place of a file; readers see the old file or the new one.

    Compressed lightly: at the usual level files are as small, and 300,000 turns took 0.49 s in place of 0.38 to write.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    db.execute(f"COPY ({query}) TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
    draft.replace(path)
