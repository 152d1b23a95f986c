"""From a file to blocks of records, whatever its format. Nothing here knows a contract or an adapter's mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from voiceai_assets.adapters.base import FORMATS, split_name
from voiceai_assets.lake.reading.block import Block, UnreadableFileError
from voiceai_assets.lake.reading.csvs import csv_blocks
from voiceai_assets.lake.reading.documents import document_blocks
from voiceai_assets.lake.reading.lines import line_blocks
from voiceai_assets.lake.reading.parquets import parquet_blocks

__all__ = ["VERSION", "Block", "UnreadableFileError", "read_blocks"]

VERSION = 3  # raise it when files give other records than before: every day becomes stale

_READERS: Mapping[str, Callable[[Path], Iterator[Block]]] = {
    "lines": line_blocks,
    "document": document_blocks,
    "csv": csv_blocks,
    "parquet": parquet_blocks,
}


def read_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a file's records, by the ending of its name.

    Raises:
        UnreadableFileError: when the file as a whole cannot be read (no header, damaged Parquet, unknown format).
    """
    _, ending = split_name(path.name)
    if ending not in FORMATS:
        raise UnreadableFileError(f"{path.name}: no reader for {ending or 'a name without ending'}")
    yield from _READERS[FORMATS[ending]](path)
