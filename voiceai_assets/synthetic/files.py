"""Files of the world: every format and compression the platform reads, written in pieces, seen only when whole.

Belongs here: opening, writing a table at a time, closing, renaming. Does not belong here: what stands in the tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from voiceai_assets.synthetic.columns import Table, arrays, json_lines

FORMATS = ("jsonl", "csv", "parquet")
COMPRESSIONS: Mapping[str, str] = {"gz": "gzip", "zst": "zstd"}


def endings() -> tuple[str, ...]:
    """All endings that can be asked for: a format, and for text a compression behind it."""
    return (*FORMATS, *(f"{text}.{packed}" for text in ("jsonl", "csv") for packed in COMPRESSIONS))


class Draft:
    """One file that is being written under a hidden name."""

    def __init__(self, path: Path) -> None:
        self._path, self._draft = path, path.with_name(f".{path.name}.tmp")
        _, _, ending = path.name.partition(".")
        self._format, _, packed = ending.partition(".")
        self._sink: Any = pa.OSFile(str(self._draft), "wb")
        self._closing = contextlib.ExitStack()
        self._closing.callback(self._sink.close)
        if packed:
            self._sink = pa.CompressedOutputStream(self._sink, COMPRESSIONS[packed])
            self._closing.callback(self._sink.close)
        self._writer: Any = None

    def write(self, table: Table) -> None:
        """Append rows."""
        if self._format == "jsonl":
            for lines in json_lines(table):
                self._sink.write(_bytes_of(lines))
            return
        rows = pa.table(arrays(table))
        if self._writer is None:
            self._writer = self._opened(rows.schema)
            self._closing.callback(self._writer.close)
        self._writer.write_table(rows)

    def _opened(self, schema: pa.Schema) -> Any:
        if self._format == "parquet":
            return pq.ParquetWriter(self._sink, schema, compression="zstd")
        return pcsv.CSVWriter(self._sink, schema, write_options=pcsv.WriteOptions(quoting_style="needed"))

    def publish(self) -> Path:
        """Close the file and give it its name; whoever looks sees the whole file or none."""
        self._closing.close()
        self._draft.replace(self._path)
        return self._path

    def abandon(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(ValueError, pa.ArrowInvalid):  # half a file may refuse to be finished
            self._closing.close()
        self._draft.unlink(missing_ok=True)


class Drafts:
    """The files of a day, which appear together when all are whole."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder, self._ending = folder, ending
        self._open: dict[str, Draft] = {}

    def write(self, name: str, table: Table) -> None:
        """Append rows to the file of that name (without ending), which is begun when it is first named."""
        if name not in self._open:
            path = self._folder / f"{name}.{self._ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open[name] = Draft(path)
        self._open[name].write(table)

    def publish(self) -> list[Path]:
        """All of them, in the order in which they were begun."""
        return [draft.publish() for draft in self._open.values()]

    def abandon(self) -> None:
        """None of them."""
        for draft in self._open.values():
            draft.abandon()


@contextlib.contextmanager
def drafts(folder: Path, ending: str) -> Iterator[Drafts]:
    """Files that are published by hand, and removed on any way out without that (also Ctrl-C)."""
    files = Drafts(folder, ending)
    try:
        yield files
    except BaseException:
        files.abandon()
        raise


def _bytes_of(lines: pa.Array) -> memoryview:
    """The bytes of all texts, which lie one behind the other in an Arrow array without a copy."""
    _, offsets, data = lines.buffers()
    first, last = (int.from_bytes(offsets[at : at + 4], "little") for at in _ends(lines))
    return memoryview(data)[first:last]


def _ends(lines: pa.Array) -> tuple[int, int]:
    return 4 * lines.offset, 4 * (lines.offset + len(lines))
