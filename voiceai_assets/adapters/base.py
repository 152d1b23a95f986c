"""What an adapter is: a foreign format, said as data.

Belongs here: the shape of an adapter. Does not belong here: any one format, how files are read (``lake.reading``).

A mapping is written in DuckDB's SQL over ``s``, one record of the source: a struct whose members are the source's
columns, each as text (``VARCHAR``), those in ``json`` as ``JSON``. It gives text too: types, required fields, choices,
pseudonyms and redaction are the contract's business, and the same for every adapter. So an adapter reads JSON lines,
CSV and Parquet alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

from voiceai_assets.contracts.fields import Contract

#: Formats by ending; each may also be compressed (``.gz``, ``.zst``), Parquet compresses itself.
FORMATS: Mapping[str, str] = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "document",
    ".csv": "csv",
    ".parquet": "parquet",
}
COMPRESSIONS: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class DayOf:
    """Another file in the same folder that says which day a row belongs to.

    Attributes:
        files: the pattern of that file's table; what is not read as that table says no days.
        key: its column that is looked up.
        date: its column with the day (a date, or an RFC 3339 time, which has its day in the source's zone).
        by: expression over ``s`` that gives the key of a row.
    """

    files: str
    key: str
    date: str
    by: str


@dataclass(frozen=True, eq=False)
class Table:
    """How the records of some files become rows of one dataset.

    Attributes:
        files: pattern of the file's name without its endings (``voice_turns*``), or, with a slash in it, of its path
            below the adapter's folder (``sessions/*``).
        contract: the dataset.
        mapping: contract field -> expression over ``s`` (and ``item``); a field that is absent is null.
        required: columns without which a file cannot be read at all; the error names file and column.
        json: columns whose value is a JSON document.
        columns: further columns that are known and not mapped; what is neither goes to ``extra``.
        where: which records are rows of this dataset.
        explode: expression over ``s`` that gives a list of structs; each becomes a row, seen as ``item``.
        day_of: where the day stands when it is not the record's own.
    """

    files: str
    contract: Contract
    mapping: Mapping[str, str]
    required: tuple[str, ...]
    json: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    where: str = "true"
    explode: str | None = None
    day_of: DayOf | None = None

    @property
    def takes_each_once(self) -> bool:
        """Whether every record is one row, and says by itself of which day."""
        return self.where == "true" and self.explode is None and self.day_of is None


@dataclass(frozen=True)
class Adapter:
    """A foreign format.

    Attributes:
        name: the folder in landing.
        version: raised when a mapping changes, which makes new load ids.
        doc: what system writes it and what is worth knowing, for people.
        tables: the first pattern that fits a file chooses; several tables may share it. A record that cannot be read
            at all is booked on the first of them.
        formats: endings it reads.
    """

    name: str
    version: str
    doc: str
    tables: tuple[Table, ...]
    formats: tuple[str, ...] = field(default=(".jsonl", ".ndjson", ".csv", ".parquet"))

    def tables_of(self, path: str) -> tuple[Table, ...]:
        """The tables that a file feeds, by its path below the adapter's folder; none when nobody reads it."""
        name, ending = split_name(path)
        if ending not in self.formats:
            return ()
        base = name.rsplit("/", 1)[-1]
        fitting = [t.files for t in self.tables if fnmatch(name if "/" in t.files else base, t.files)]
        return tuple(t for t in self.tables if t.files == fitting[0]) if fitting else ()


def is_utf8(name: str) -> bool:
    """Whether a file's name is text: names are bytes, and others can be stored nowhere but in a directory."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_name(path: str) -> tuple[str, str]:
    """Path without compression and format, and the format's ending in lower case."""
    stem = path
    for ending in COMPRESSIONS:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    dot = stem.rfind(".")
    return (stem[:dot], stem[dot:].lower()) if dot > stem.rfind("/") else (stem, "")
