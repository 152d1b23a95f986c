"""What lies in landing: which files there are, what they contain by day, and what a day's input is called.

Belongs here: listing, hashing and counting files; the fingerprint of a day's input. Does not belong here: typing of
rows (``typing``, ``refine``), the table that remembers all this (``warehouse.ledger``).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

import duckdb

from voiceai_assets.adapters import adapter_for
from voiceai_assets.adapters.base import Adapter
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.typing import instant_sql

#: Names under which tools write a file before they rename it; never read.
UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", "~")
_DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


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
        rows_by_day: ISO day -> records of that day; records without a readable day count on ``home_day``.
        home_day: the day that unreadable records are booked on.
        problem: why nobody can read the file, or None.
    """

    path: str
    adapter: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    rows_by_day: Mapping[str, int] = field(default_factory=dict)
    home_day: str | None = None
    problem: str | None = None

    @property
    def stat(self) -> FileStat:
        """What the directory said when it was read."""
        return FileStat(self.path, self.size_bytes, self.mtime_ns)

    def touches(self, day: str) -> bool:
        """Whether a record of this file belongs to the day."""
        return day in self.rows_by_day or (self.home_day == day and self.problem is None)


def scan(landing: Path) -> Iterator[FileStat]:
    """Every finished file below landing, as ``adapter/…/name``; links are not followed, hidden files are left out."""
    stack = [landing]
    while stack:
        try:
            entries = list(os.scandir(stack.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(UNFINISHED) or entry.is_symlink():
                continue
            if entry.is_dir():
                stack.append(Path(entry.path))
            elif entry.is_file():
                stat = entry.stat()
                relative = Path(entry.path).relative_to(landing).as_posix()
                yield FileStat(relative, stat.st_size, stat.st_mtime_ns)


def sha256_of(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def index_file(landing: Path, stat: FileStat, db: duckdb.DuckDBPyConnection) -> IndexedFile:
    """Look into one file: checksum and records by day; ``db`` carries the time zone of naive time stamps.

    Never raises for bad content: what cannot be read becomes ``problem``.
    """
    path = landing / stat.path
    folder = PurePosixPath(stat.path).parts[0]
    adapter = adapter_for(folder) if len(PurePosixPath(stat.path).parts) > 1 else None
    file = IndexedFile(stat.path, folder, stat.size_bytes, stat.mtime_ns, sha256_of(path))
    if adapter is None:
        return replace(file, problem=f"no adapter reads the landing folder {folder!r}")
    if not adapter.reads(path):
        known = ", ".join(adapter.suffixes)
        return replace(file, problem=f"adapter {adapter.name} reads {known}, not {path.name!r}")
    counts, undated = _count_days(path, adapter, db)
    home = _home_day(stat, counts)
    if undated:
        counts[home] = counts.get(home, 0) + undated
    return replace(file, rows_by_day=dict(sorted(counts.items())), home_day=home)


def _count_days(path: Path, adapter: Adapter, db: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int]:
    counts: dict[str, int] = {}
    undated = 0
    for block in adapter.blocks(path):
        db.register("block", block)
        found = db.execute(
            f"SELECT CAST({instant_sql('stamp')} AS DATE), count(*) "
            f"FROM (SELECT CASE WHEN problem IS NULL THEN {adapter.timestamp_sql} END AS stamp FROM block) GROUP BY 1"
        ).fetchall()
        db.unregister("block")
        for day, rows in found:
            if day is None:
                undated += rows
            else:
                counts[day.isoformat()] = counts.get(day.isoformat(), 0) + rows
    return counts, undated


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

    A file that is younger than the quiet period is left for the next time. With ``limit_bytes`` the work stops after
    about so many bytes (a sensor's tick is short) and the rest is left for the next time, too.
    """
    now = time.time()
    present: dict[str, FileStat] = {stat.path: stat for stat in scan(landing)}
    new = [stat for stat in sorted(present.values()) if stat.path not in known or known[stat.path].stat != stat]
    quiet = [stat for stat in new if stat.is_quiet(now, quiet_seconds)]
    fresh: list[IndexedFile] = []
    done_bytes = 0
    with duckdb.connect() as db:  # one for all files: opening it costs more than reading a small file
        db.execute(f"SET TimeZone = '{timezone}'")
        for stat in quiet:
            if limit_bytes is not None and done_bytes >= limit_bytes:
                break
            fresh.append(index_file(landing, stat, db))
            done_bytes += stat.size_bytes
    return Refresh(
        fresh=fresh,
        gone=[path for path in known if path not in present],
        waiting=[stat.path for stat in new if not stat.is_quiet(now, quiet_seconds)],
    )


@dataclass(frozen=True)
class Refresh:
    """What changed in landing since it was last looked at."""

    fresh: list[IndexedFile]
    gone: list[str]
    waiting: list[str]


def input_fingerprint(files: Iterable[IndexedFile], *, timezone: str, key_id: str) -> str:
    """Name of a day's input: the load id of the turns it will produce.

    Covers everything that decides the rows: content and name of the files, contract, adapters, zone, pseudonym key.
    """
    parts = sorted((f.path, f.sha256, f.adapter) for f in files)
    versions = sorted({adapter.version for f in files if (adapter := adapter_for(f.adapter))})
    text = json.dumps([parts, versions, TURNS.version, timezone, key_id])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
