"""A look into landed files: what they hold by day, and what went wrong.

Belongs here: checksums, counting, the day of a file. Does not belong here: which files there are and which are news
(``inbox``), typing of rows (``typing``, ``refine``).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import duckdb

from voiceai_assets.adapters import adapter_for, tables_for
from voiceai_assets.adapters.base import Table
from voiceai_assets.lake import reading
from voiceai_assets.lake.companions import Companions
from voiceai_assets.lake.gathering import gather
from voiceai_assets.lake.reading import UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import Block
from voiceai_assets.lake.typing import days_sql, known_columns, missing_columns
from voiceai_assets.privacy.redaction import redact
from voiceai_assets.stopping import is_stop

#: Records by dataset and ISO day, or None where a record has no day of its own.
_Counts: TypeAlias = Counter[tuple[str, str | None]]
_DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{2})-?(\d{2})-?(\d{2})(?!\d)")


@dataclass(frozen=True, order=True)
class FileStat:
    """A file as the directory shows it."""

    path: str
    size_bytes: int
    mtime_ns: int

    def is_quiet(self, now: float, quiet_seconds: float) -> bool:
        """Whether nobody has written to it for the quiet period (a file from the future counts as quiet)."""
        age = now - self.mtime_ns / 1e9
        return age >= quiet_seconds or age < -quiet_seconds


@dataclass(frozen=True)
class IndexedFile:
    """A file whose content has been looked at.

    Attributes:
        rows: dataset -> ISO day -> records; records without a readable day count on ``home_day``.
        home_day: the day that unreadable records, and the trouble with a broken file, are booked on; None where
            nobody reads the file.
        problem: why the file is not read, or None.
        companions: name and sha256 of the files that say which day its rows belong to.
        read_by: what looked into it, and in which zone.
    """

    path: str
    adapter: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    home_day: str | None = None
    problem: str | None = None
    companions: Mapping[str, str] = field(default_factory=dict)
    read_by: str = ""

    @property
    def stat(self) -> FileStat:
        """What the directory said when it was read."""
        return FileStat(self.path, self.size_bytes, self.mtime_ns)

    @property
    def days(self) -> frozenset[str]:
        """Every day that a record of this file, or the trouble with it, belongs to."""
        return frozenset(day for by_day in self.rows.values() for day in by_day) | (
            {self.home_day} if self.home_day else frozenset()
        )

    @property
    def records(self) -> int:
        """Rows of all datasets and days."""
        return sum(sum(by_day.values()) for by_day in self.rows.values())

    def feeds(self, dataset: str, day: str) -> bool:
        """Whether the dataset's rows of the day come from this file, among others."""
        return day in self.rows.get(dataset, {}) or (dataset in self.rows and self.home_day == day)


def sha256_of(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def index_files(landing: Path, stats: Sequence[FileStat], timezone: str) -> list[IndexedFile]:
    """Look into files: checksum and records by dataset and day; ``timezone`` is that of naive time stamps.

    Never raises for bad content: what cannot be read becomes ``problem``. Where reading fails in a way that no reader
    foresaw, the halves are tried apart until the file that it fails on is alone.

    Raises:
        OSError, MemoryError, duckdb.OperationalError: disk and memory fail whatever the files hold; the next look may
            find them well.
        KeyboardInterrupt: also where DuckDB made another exception of it; it is no fault of a file.
    """
    try:
        with duckdb.connect() as db:  # one for all files: opening it costs more than reading a small file
            db.execute(f"SET TimeZone = '{timezone}'; SET enable_progress_bar = false")
            look = _Look(landing, timezone, db)
            counted = look.count_days([stat.path for stat in stats if tables_for(stat.path)])
            return [look.indexed(stat, counted.get(stat.path)) for stat in stats]
    except (OSError, MemoryError, duckdb.OperationalError):
        raise
    except Exception as error:  # one file must never stop the look at all others
        if is_stop(error):
            raise KeyboardInterrupt from error
        if len(stats) > 1:
            middle = len(stats) // 2
            return [f for half in (stats[:middle], stats[middle:]) for f in index_files(landing, half, timezone)]
        return [_unforeseen(landing, stat, timezone, error) for stat in stats]


def _unforeseen(landing: Path, stat: FileStat, timezone: str, error: Exception) -> IndexedFile:
    """A file that makes its reader fail. The error is only named: its words may quote what somebody said."""
    problem = UnreadableFileError(f"{stat.path}: its content makes the reader fail ({type(error).__name__})")
    with duckdb.connect() as db:
        return _Look(landing, timezone, db).indexed(stat, problem)


def _why_nobody_reads(path: str) -> str:
    parts = PurePosixPath(path).parts
    adapter = adapter_for(parts[0]) if len(parts) > 1 else None
    if adapter is None:
        return f"no adapter reads the landing folder {parts[0]!r}"
    patterns = sorted({table.files for table in adapter.tables})
    named = "" if "*" in patterns else f" in files named {', '.join(patterns)}"
    return f"adapter {adapter.name} reads {', '.join(adapter.formats)}{named}, not {parts[-1]!r}"


def readable_blocks(
    landing: Path, paths: Iterable[str], problems: dict[str, UnreadableFileError]
) -> Iterator[tuple[str, Block]]:
    """Path and block of each file in turn; a file that cannot be read, or not further, gets its problem instead.

    A file without a required column is one of them. Blocks that came before the problem came to light are not part of
    anything: whoever reads must drop them.
    """
    for path in paths:
        tables = tables_for(path)
        try:
            for block in read_blocks(landing / path):
                for table in tables:
                    if missing := missing_columns(table, block):
                        absent = ", ".join(missing)
                        raise UnreadableFileError(f"{path}: no column {absent}; {_header_of(block, tables)}")
                yield path, block
        except UnreadableFileError as error:
            problems[path] = error


def _header_of(block: Block, tables: Sequence[Table]) -> str:
    """What the first row looks like; quoted where most of it are names that we know, else it is somebody's data."""
    columns = block.columns or ()
    known = frozenset().union(*(known_columns(table) for table in tables))
    if not columns:
        return "it has no header"
    count = sum(name in known for name in columns)
    if 2 * count < len(columns):
        named = f"{count or 'none'} of the columns that are known ({len(columns)} cells)"
        return f"its first row names {named}: is the header missing?"
    return redact(f"it has {', '.join(columns)}")


class _Look:
    """One look into files: what several of them need, the checksums of companions among it, is found out once."""

    def __init__(self, landing: Path, timezone: str, db: duckdb.DuckDBPyConnection) -> None:
        self._landing, self._timezone, self._db = landing, timezone, db
        self._companions = Companions(landing)
        self._sha256 = functools.cache(lambda path: sha256_of(landing / path))

    def count_days(self, paths: Sequence[str]) -> Mapping[str, _Counts | UnreadableFileError]:
        """By path, what is counted or why nothing is; what cannot be read counts on the first table of a file."""
        counts: dict[str, _Counts] = {path: Counter() for path in paths}
        problems: dict[str, UnreadableFileError] = {}
        for found in gather(readable_blocks(self._landing, paths, problems)):
            try:
                lookups = [self._companions.lookup_table(found.path, table, self._db) for table in found.tables]
            except UnreadableFileError as error:  # a block of such a file holds no other's records
                problems[found.path] = error
                continue
            self._db.register("block", found.block.rows)
            for table, lookup in zip(found.tables, lookups, strict=True):
                query = days_sql(table, found.block, "block", is_first=table is found.tables[0], lookup=lookup)
                for file, day, records in self._db.execute(query).fetchall():
                    counts[file][table.contract.dataset, day.isoformat() if day else None] += records
            self._db.unregister("block")
        return counts | problems

    def indexed(self, stat: FileStat, counts: _Counts | UnreadableFileError | None) -> IndexedFile:
        """The file with what was counted in it, or why it is not read."""
        folder = PurePosixPath(stat.path).parts[0]
        file = IndexedFile(stat.path, folder, stat.size_bytes, stat.mtime_ns, self._sha256(stat.path))
        file = replace(file, read_by=reader_of(stat.path, self._timezone))
        if counts is None:
            return replace(file, problem=_why_nobody_reads(stat.path))
        rows: dict[str, dict[str, int]] = {table.contract.dataset: {} for table in tables_for(stat.path)}
        companions = {path: self._sha256(path) for path in self._companions.of(stat.path)}
        if isinstance(counts, UnreadableFileError):
            return replace(file, problem=str(counts), rows=rows, home_day=home_day(stat, {}), companions=companions)
        dated = Counter({day: n for (_, day), n in counts.items() if day is not None})
        home = home_day(stat, dated or self._companion_days(stat.path))
        for (dataset, day), records in counts.items():
            by_day = rows[dataset]
            by_day[day or home] = by_day.get(day or home, 0) + records
        rows = {dataset: dict(sorted(by_day.items())) for dataset, by_day in rows.items()}
        return replace(file, rows=rows, home_day=home, companions=companions)

    def _companion_days(self, path: str) -> Mapping[str, int]:
        """The first day that a file's companions know of: where its rows are filed if none of them finds its own."""
        tables = [self._companions.lookup_table(path, table, self._db) for table in tables_for(path)]
        queries = [f"SELECT min(day) FROM {lookup} HAVING min(day) IS NOT NULL" for lookup in tables if lookup]
        days = [day.isoformat() for query in queries for (day,) in self._db.execute(query).fetchall()]
        return {min(days): 1} if days else {}


def home_day(stat: FileStat, counts: Mapping[str, int]) -> str:
    """Day in the file's name, else the day most records have, else the day the file arrived."""
    if match := _DAY_IN_NAME.search(PurePosixPath(stat.path).name):
        try:
            return date(*(int(part) for part in match.groups())).isoformat()
        except ValueError:
            pass
    if counts:
        return min(counts, key=lambda day: (-counts[day], day))
    return datetime.fromtimestamp(stat.mtime_ns / 1e9, UTC).date().isoformat()


def reader_of(path: str, timezone: str) -> str:
    """What decides, beside its content, on which days a file's records are: readers, adapter, contracts and zone."""
    adapter = adapter_for(PurePosixPath(path).parts[0])
    contracts = ",".join(table.contract.version for table in tables_for(path))
    return f"{reading.VERSION}/{adapter.version if adapter else ''}/{contracts}/{timezone}"


def stat_of(landing: Path, path: str) -> FileStat:
    """A file as the directory shows it now."""
    found = (landing / path).stat()
    return FileStat(path, found.st_size, found.st_mtime_ns)
