"""Blocks of small files put together: a question takes DuckDB milliseconds, and ten thousand files may be one day.

Belongs here: which blocks go together. Does not belong here: reading them, and what is asked of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import Table
from voiceai_assets.lake.reading import Block

#: Of records, with which a block is worth a question of its own.
_ENOUGH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Gathered:
    """Records that are read in the same way, of one file or of many.

    Attributes:
        block: as of ``lake.reading``; its rows have a column ``file`` besides, the path below landing.
        tables: what the files feed.
        path: the first of the files.
    """

    block: Block
    tables: tuple[Table, ...]
    path: str


def gather(blocks: Iterable[tuple[str, Block]]) -> Iterator[Gathered]:
    """The same records in the same order, in as few blocks as need be; ``blocks``: path below landing, and a block."""
    waiting: list[Gathered] = []
    size = 0
    for path, block in blocks:
        found = Gathered(with_constant(block, "file", path), tables_for(path), path)
        if waiting and not _are_alike(waiting[0], found):
            yield _together(waiting)
            waiting, size = [], 0
        waiting.append(found)
        size += block.rows.nbytes
        if size >= _ENOUGH_BYTES:
            yield _together(waiting)
            waiting, size = [], 0
    if waiting:
        yield _together(waiting)


def with_constant(block: Block, name: str, value: str) -> Block:
    """The block with another column that says the same of every record."""
    places = pa.array(np.zeros(block.rows.num_rows, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(places, pa.array([value]))
    return replace(block, rows=block.rows.append_column(name, column))


def _are_alike(one: Gathered, other: Gathered) -> bool:
    """Whether the same question can be asked of both; where other files say the day, each file is asked alone."""
    return (
        one.tables == other.tables
        and (one.path == other.path or not any(table.day_of for table in one.tables))
        and (one.block.columns, one.block.values) == (other.block.columns, other.block.values)
        and one.block.rows.schema == other.block.rows.schema
    )


def _together(found: Sequence[Gathered]) -> Gathered:
    first = found[0]
    if len(found) == 1:
        return first
    rows = pa.concat_tables(g.block.rows for g in found).unify_dictionaries().combine_chunks()
    return replace(first, block=replace(first.block, rows=rows))
