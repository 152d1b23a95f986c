"""What every adapter provides.

Belongs here: the shape of an adapter. Does not belong here: knowledge of any one format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

#: A block of records: line number in the file (from 1), its text, and why it could not be read (null = it could).
BLOCK = pa.schema([("line", pa.int64()), ("text", pa.string()), ("problem", pa.string())])


@dataclass(frozen=True)
class Adapter:
    """A foreign format: which files it reads, how to cut them into records, how a record becomes contract fields.

    Attributes:
        name: the folder in landing.
        version: raised when the mapping changes, which makes new load ids.
        suffixes: endings of the file names it reads.
        blocks: yields tables of schema ``BLOCK``.
        record_sql: DuckDB expression over a block's ``text``: a struct that holds every contract field and alias as
            VARCHAR (``derived`` and ``extra`` as JSON); null where the text is no record.
        keys_sql: DuckDB expression over ``text``: list of the record's keys, or null.
        unknown_sql: DuckDB expression over ``text``: JSON object of the keys that the contract does not know, or null.
        timestamp_sql: DuckDB expression over ``text``: the record's timestamp alone, as VARCHAR (for the index).
    """

    name: str
    version: str
    suffixes: tuple[str, ...]
    blocks: Callable[[Path], Iterator[pa.Table]]
    record_sql: str
    keys_sql: str
    unknown_sql: str
    timestamp_sql: str

    def reads(self, path: Path) -> bool:
        """Whether this adapter knows the format, judged by the file's name."""
        return path.name.lower().endswith(self.suffixes)
