"""What lies in landing: which files there are, what they contain by day, and what a day's input is called.

Belongs here: listing, hashing and counting files; the fingerprint of a day's input. Does not belong here: typing of
rows (``typing``, ``refine``), the table that remembers all this (``warehouse.ledger``).
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import duckdb

from voiceai_assets.adapters import adapter_for, tables_for
from voiceai_assets.adapters.base import Table, is_utf8
from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake import reading
from voiceai_assets.lake.companions import companions_of, lookup_table
from voiceai_assets.lake.gathering import gather
from voiceai_assets.lake.naming import is_personal, personal_name, without_persons
from voiceai_assets.lake.reading import UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import Block
from voiceai_assets.lake.typing import days_sql, known_columns, missing_columns
from voiceai_assets.privacy import redaction

#: Names under which tools write a file before they rename it; never read.
UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", "~")
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
        read_by: versions of what looked into it.
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


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or not written to its end."""
    return name.startswith(".") or name.endswith(UNFINISHED)


def scan(landing: Path, closed: list[str] | None = None) -> Iterator[FileStat]:
    """Every finished file below landing, as ``adapter/…/name``; links are not followed, hidden files are left out.

    Args:
        landing: the folder.
        closed: takes the names of folders that we may not look into, with a slash at their end, and of files and
            folders whose name is not UTF-8.

    Raises:
        OSError: for such a file or folder where there is no such list: what must see everything must not miss it.
    """
    stack = [landing]
    while stack:
        folder = stack.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        except PermissionError as error:
            _leave(f"{folder.relative_to(landing).as_posix()}/", closed, error)
            continue
        for entry in entries:
            if is_left_out(entry.name) or entry.is_symlink():
                continue
            if not is_utf8(entry.name):
                name = Path(entry.path).relative_to(landing).as_posix() + "/" * entry.is_dir()
                _leave(name, closed, OSError(errno.EILSEQ, may_not_be_read(name)))
            elif entry.is_dir():
                stack.append(Path(entry.path))
            elif entry.is_file():
                stat = entry.stat()
                relative = Path(entry.path).relative_to(landing).as_posix()
                yield FileStat(relative, stat.st_size, stat.st_mtime_ns)


def _leave(name: str, closed: list[str] | None, error: OSError) -> None:
    if closed is None:
        raise error
    closed.append(name)


def left_aside(landing: Path) -> list[str]:
    """What to say of each file and folder below landing that waits for another name or for leave to read it."""
    closed: list[str] = []
    paths = [stat.path for stat in scan(landing, closed)]
    closed += [path for path in paths if not _may_read(landing / path)]
    return sorted(set(_why_aside(closed, filter(is_personal, paths))))


def _why_aside(closed: Iterable[str], personal: Iterable[str]) -> list[str]:
    return [may_not_be_read(without_persons(name)) for name in closed] + [
        personal_name(without_persons(path)) for path in personal
    ]


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
    """
    try:
        with duckdb.connect() as db:  # one for all files: opening it costs more than reading a small file
            db.execute(f"SET TimeZone = '{timezone}'; SET enable_progress_bar = false")
            counted = _count_days(landing, [stat.path for stat in stats if tables_for(stat.path)], db)
            return [_indexed(landing, stat, counted.get(stat.path), db) for stat in stats]
    except (OSError, MemoryError, duckdb.OperationalError):
        raise
    except Exception as error:  # noqa: BLE001  # one file must never stop the look at all others
        if len(stats) > 1:
            middle = len(stats) // 2
            return [f for half in (stats[:middle], stats[middle:]) for f in index_files(landing, half, timezone)]
        return [_unforeseen(landing, stat, error) for stat in stats]


def _unforeseen(landing: Path, stat: FileStat, error: Exception) -> IndexedFile:
    """A file that makes its reader fail. The error is only named: its words may quote what somebody said."""
    problem = UnreadableFileError(f"{stat.path}: its content makes the reader fail ({type(error).__name__})")
    with duckdb.connect() as db:
        return _indexed(landing, stat, problem, db)


def _indexed(
    landing: Path, stat: FileStat, counts: _Counts | UnreadableFileError | None, db: duckdb.DuckDBPyConnection
) -> IndexedFile:
    folder = PurePosixPath(stat.path).parts[0]
    file = IndexedFile(stat.path, folder, stat.size_bytes, stat.mtime_ns, sha256_of(landing / stat.path))
    file = replace(file, read_by=_reader_of(stat.path))
    if counts is None:
        return replace(file, problem=_why_nobody_reads(stat.path))
    rows: dict[str, dict[str, int]] = {table.contract.dataset: {} for table in tables_for(stat.path)}
    companions = {path: sha256_of(landing / path) for path in companions_of(landing, stat.path)}
    if isinstance(counts, UnreadableFileError):
        return replace(file, problem=str(counts), rows=rows, home_day=_home_day(stat, {}), companions=companions)
    dated = Counter({day: n for (_, day), n in counts.items() if day is not None})
    home = _home_day(stat, dated or _companion_days(landing, stat.path, db))
    for (dataset, day), records in counts.items():
        by_day = rows[dataset]
        by_day[day or home] = by_day.get(day or home, 0) + records
    rows = {dataset: dict(sorted(by_day.items())) for dataset, by_day in rows.items()}
    return replace(file, rows=rows, home_day=home, companions=companions)


def _why_nobody_reads(path: str) -> str:
    parts = PurePosixPath(path).parts
    adapter = adapter_for(parts[0]) if len(parts) > 1 else None
    if adapter is None:
        return f"no adapter reads the landing folder {parts[0]!r}"
    patterns = sorted({table.files for table in adapter.tables})
    named = "" if "*" in patterns else f" in files named {', '.join(patterns)}"
    return f"adapter {adapter.name} reads {', '.join(adapter.formats)}{named}, not {parts[-1]!r}"


def _count_days(
    landing: Path, paths: Sequence[str], db: duckdb.DuckDBPyConnection
) -> Mapping[str, _Counts | UnreadableFileError]:
    """By path, what is counted or why nothing is; what cannot be read at all counts on the first table of a file."""
    counts: dict[str, _Counts] = {path: Counter() for path in paths}
    problems: dict[str, UnreadableFileError] = {}
    for found in gather(readable_blocks(landing, paths, problems)):
        lookups = [lookup_table(landing, found.path, table, db) for table in found.tables]
        db.register("block", found.block.rows)
        for table, lookup in zip(found.tables, lookups, strict=True):
            query = days_sql(table, found.block, "block", is_first=table is found.tables[0], lookup=lookup)
            for file, day, records in db.execute(query).fetchall():
                counts[file][table.contract.dataset, day.isoformat() if day else None] += records
        db.unregister("block")
    return counts | problems


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
    """What the first row looks like; quoted only where it is a header, else it is somebody's data."""
    columns = block.columns or ()
    known = frozenset().union(*(known_columns(table) for table in tables))
    if not columns:
        return "it has no header"
    if known.isdisjoint(columns):
        return f"its first row names none of the columns that are known ({len(columns)} cells): is the header missing?"
    return f"it has {', '.join(columns)}"


def _companion_days(landing: Path, path: str, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    """The first day that a file's companions know of: where its rows are filed if none of them finds its own."""
    lookups = [found for table in tables_for(path) if (found := lookup_table(landing, path, table, db))]
    firsts = [db.execute(f"SELECT min(day) FROM {lookup} HAVING min(day) IS NOT NULL").fetchall() for lookup in lookups]
    days = [day.isoformat() for found in firsts for (day,) in found]
    return {min(days): 1} if days else {}


def _has_own_days(path: str) -> bool:
    return any(table.contract.time_field and not table.day_of for table in tables_for(path))


def _is_list(path: str) -> bool:
    """Whether no record of the file can have a day, of its own or of another file."""
    tables = tables_for(path)
    return bool(tables) and not any(table.contract.time_field or table.day_of for table in tables)


def _lists_elsewhere(files: Mapping[str, IndexedFile]) -> dict[str, IndexedFile]:
    """Lists whose day is another by now: the first that the files beside them hold.

    It is taken from what is known of those files, so nothing is read again, and the order they came in does not matter.
    """
    lists = [file for file in files.values() if file.problem is None and _is_list(file.path)]
    firsts = _first_days(files.values()) if lists else {}
    moved = {}
    for file in lists:
        first = firsts.get(PurePosixPath(file.path).parent)
        home = _home_day(file.stat, {first: 1} if first else {})
        if home != file.home_day:
            moved[file.path] = replace(file, home_day=home, rows=_all_on(home, file.rows))
    return moved


def _first_days(files: Iterable[IndexedFile]) -> dict[PurePosixPath, str]:
    """Folder -> first day of the files in it whose records say their own day."""
    found: dict[PurePosixPath, str] = {}
    for file in files:
        days = {day for by_day in file.rows.values() for day in by_day}
        if file.problem is None and days and _has_own_days(file.path):
            folder = PurePosixPath(file.path).parent
            found[folder] = min({found.get(folder, min(days)), *days})
    return found


def _all_on(day: str, rows: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {dataset: {day: sum(by_day.values())} if by_day else {} for dataset, by_day in rows.items()}


def _home_day(stat: FileStat, counts: Mapping[str, int]) -> str:
    """Day in the file's name, else the day most records have, else the day the file arrived."""
    if match := _DAY_IN_NAME.search(PurePosixPath(stat.path).name):
        try:
            return date(*(int(part) for part in match.groups())).isoformat()
        except ValueError:
            pass
    if counts:
        return min(counts, key=lambda day: (-counts[day], day))
    return datetime.fromtimestamp(stat.mtime_ns / 1e9, UTC).date().isoformat()


def refresh(
    landing: Path,
    known: Mapping[str, IndexedFile],
    *,
    timezone: str,
    quiet_seconds: float,
    limit_bytes: int | None = None,
) -> Refresh:
    """Compare landing with what is known and look into what is new.

    A file that is younger than the quiet period is left for the next time, and so is one that we may not read: it
    holds up no other, and what is known of it stays. A file with somebody's number in its name is not there until it is
    renamed. With ``limit_bytes`` the work stops after about so many bytes (a sensor's tick is short) and the rest is
    left for the next time, too.
    """
    now = time.time()
    closed: list[str] = []
    found = list(scan(landing, closed))
    present = {stat.path: stat for stat in found if not is_personal(stat.path)}
    personal = [stat.path for stat in found if stat.path not in present]
    gone = [path for path in known if path not in present and not path.startswith(tuple(closed))]
    new = [stat for stat in sorted(present.values()) if _is_news(landing, stat, known)]
    new.sort(key=lambda stat: _is_list(stat.path))  # lists last: their day is that of the files beside them
    closed += [stat.path for stat in new if not _may_read(landing / stat.path)]
    quiet = [
        stat for stat in new if stat.is_quiet(now, quiet_seconds) and not _hangs_on(landing, stat, closed + personal)
    ]
    before = itertools.accumulate((stat.size_bytes for stat in quiet), initial=0)
    now_read = [stat for stat, done in zip(quiet, before, strict=False) if limit_bytes is None or done < limit_bytes]
    fresh = {file.path: file for file in _index_what_stays(landing, now_read, timezone)}
    if fresh or gone:
        fresh |= _lists_elsewhere({path: known[path] for path in known.keys() - set(gone)} | fresh)
    return Refresh(
        fresh=sorted(fresh.values(), key=lambda file: file.path),
        gone=gone,
        waiting=[stat.path for stat in new if not stat.is_quiet(now, quiet_seconds)],
        closed=[without_persons(name) for name in closed],
        personal=sorted({without_persons(path) for path in personal}),
    )


def _hangs_on(landing: Path, stat: FileStat, closed: Collection[str]) -> bool:
    return bool(closed) and bool({stat.path, *companions_of(landing, stat.path)} & set(closed))


def _may_read(path: Path) -> bool:
    return not path.exists() or os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _index_what_stays(landing: Path, stats: Sequence[FileStat], timezone: str) -> list[IndexedFile]:
    """Files that were deleted after landing was listed are none: the next look finds them gone."""
    while True:
        try:
            return index_files(landing, stats, timezone)
        except FileNotFoundError:
            there = [stat for stat in stats if (landing / stat.path).exists()]
            if len(there) == len(stats):
                raise
            stats = there


def _is_news(landing: Path, stat: FileStat, known: Mapping[str, IndexedFile]) -> bool:
    """Whether the file, who reads it, or one that its rows' days depend on, differs from what is known."""
    before = known.get(stat.path)
    if before is None or before.stat != stat or before.read_by != _reader_of(stat.path):
        return True
    companions = companions_of(landing, stat.path)
    return set(companions) != set(before.companions) or any(
        path not in known or known[path].stat != stat_of(landing, path) for path in companions
    )


def _reader_of(path: str) -> str:
    adapter = adapter_for(PurePosixPath(path).parts[0])
    return f"{reading.VERSION}/{adapter.version if adapter else ''}"


def stat_of(landing: Path, path: str) -> FileStat:
    """A file as the directory shows it now."""
    found = (landing / path).stat()
    return FileStat(path, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Refresh:
    """What changed in landing since it was last looked at.

    Attributes:
        fresh: files that are new or changed, as they are now, and lists whose day is another now.
        gone: files that are no longer there.
        waiting: files that may still be being written.
        closed: files and folders that nobody lets us read, or that have a name which nobody can write down.
        personal: files that are not read because somebody's number or address is in their name; without it.
    """

    fresh: list[IndexedFile]
    gone: list[str]
    waiting: list[str]
    closed: list[str]
    personal: list[str]

    @property
    def left_aside(self) -> list[str]:
        """What is not even looked into, and what to do, in words."""
        return _why_aside(self.closed, self.personal)

    def problems(self) -> list[str]:
        """What lies in landing and is not read, and why, in words."""
        unread = [f"{file.path}: {file.problem}" for file in self.fresh if file.problem]
        return unread + self.left_aside


def may_not_be_read(name: str) -> str:
    """What to say of a file or folder of landing that is closed to us, and what to do."""
    if is_utf8(name):
        return f"{name}: permission denied; let the user that runs the platform read it"
    return f"{os.fsencode(name).decode(errors='backslashreplace')}: its name is not UTF-8; rename it"


def files_by_day(files: Iterable[IndexedFile]) -> dict[str, list[IndexedFile]]:
    """Day -> the files that hold something of it; asked of each file once, because there may be ten thousand."""
    found: dict[str, list[IndexedFile]] = {}
    for file in files:
        for day in file.days:
            found.setdefault(day, []).append(file)
    return found


def input_fingerprint(dataset: str, files: Iterable[IndexedFile], *, timezone: str, key_id: str) -> str:
    """Name of a dataset's input on a day: the load id of the rows it will produce.

    Covers everything that decides the rows: content and name of the files and of those their days depend on, readers,
    contract, adapters, redaction, zone, first pseudonym key (rotation renames people and changes no load).
    """
    files = list(files)
    parts = sorted([f.path, f.sha256, f.adapter, f.problem, sorted(f.companions.items())] for f in files)
    versions = sorted({adapter.version for f in files if (adapter := adapter_for(f.adapter))})
    rules = [reading.VERSION, DATASETS[dataset].version, redaction.version()]
    text = json.dumps([dataset, parts, versions, rules, timezone, key_id])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
