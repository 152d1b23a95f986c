"""Blocks put together: a question takes DuckDB milliseconds, and a day may be ten thousand files, or a file of blocks.

Belongs here: which blocks go together. Does not belong here: reading them, and what is asked of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import Table
from voiceai_assets.lake.reading import Block
from voiceai_assets.lake.reading.lines import BATCH_LINES

#: Of records, with which a block is worth a question of its own.
_ENOUGH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Gathered:
    """Records that are read in the same way, of one file or of many.

    Attributes:
        block: as of ``lake.reading``; its rows have a column ``file`` besides, the path below landing.
        tables: what the files feed.
        path: the first of the files.
        is_of_one_file: whether it is the only one.
        keys: what the records call their values; those before them in the file are counted in.
    """

    block: Block
    tables: tuple[Table, ...]
    path: str
    is_of_one_file: bool = True
    keys: frozenset[str] = frozenset()

    @property
    def likeness(self) -> Hashable:
        """What neighbours have in common if one query can read them in a stream; otherwise like nothing else."""
        if not self.is_of_one_file or len(self.tables) != 1 or not self.tables[0].takes_each_once:
            return object()
        block = self.block
        return (self.path, self.keys, block.columns, block.values, block.is_whole, str(block.rows.schema))


class Stream:
    """Neighbours of one likeness as DuckDB reads them, one behind the other and only as it asks for them.

    Attributes:
        first: of them; alone it can be read several times.
        error: what went wrong where they come from. DuckDB would pass on the text of an exception and nothing more, so
            the stream ends there, and whoever read it must look here.
    """

    def __init__(self, neighbours: Iterator[Gathered]) -> None:
        self.first = next(neighbours)
        self.error: BaseException | None = None
        self._others = neighbours

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A stream of record batches, as Arrow's PyCapsule interface has it."""
        reader = pa.RecordBatchReader.from_batches(self.first.block.rows.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for found in itertools.chain([self.first], self._others):
                # a scan is parallel over batches
                yield from found.block.rows.to_batches(max_chunksize=BATCH_LINES)
        except BaseException as error:  # noqa: BLE001  # Ctrl-C, too: whoever reads the stream raises it again
            self.error = error


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
    is_of_one_file = all(other.path == first.path for other in found)
    return replace(first, block=replace(first.block, rows=rows), is_of_one_file=is_of_one_file)
