"""Files that say which day the rows of another file belong to: sessions, for turns whose own dates mean nothing.

Belongs here: finding and reading them. Does not belong here: what is done with the day.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import duckdb

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import DayOf, Table
from voiceai_assets.lake.reading import UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import quoted
from voiceai_assets.lake.typing import day_sql


class Companions:
    """The files that the days of others depend on, as one look into landing finds them: it asks each folder once.

    Args:
        landing: root of the zone.
    """

    def __init__(self, landing: Path) -> None:
        self._landing = landing
        self._folders: dict[PurePosixPath, list[_Companion]] = {}

    def of(self, path: str) -> list[str]:
        """Paths below landing of the files that a file's days depend on: those that are read as the table it names."""
        return [companion.path for companion in self._of(path)]

    def lookup_table(self, path: str, table: Table, db: duckdb.DuckDBPyConnection) -> str | None:
        """Read a file's companions into a temporary table ``(key, day)`` and give its name; None where it needs none.

        The earliest day counts where companions contradict one another.

        Raises:
            UnreadableFileError: when one of them cannot be read to its end: rows whose day it may say would be filed
                under days of their own, and certified there.
        """
        if table.day_of is None:
            return None
        companions = self._of(path)
        stats = [(companion.path, companion.mtime_ns) for companion in companions]
        name = "days_" + hashlib.sha256(repr((stats, table.day_of)).encode()).hexdigest()[:16]
        if db.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall() == [(1,)]:
            return name
        try:
            read_days([self._landing / companion.path for companion in companions], table.day_of, name, db)
        except UnreadableFileError as error:
            raise UnreadableFileError(f"{path}: its days are said by a file that cannot be read: {error}") from error
        return name

    def _of(self, path: str) -> list[_Companion]:
        patterns = {table.day_of.files for table in tables_for(path) if table.day_of}
        folder = PurePosixPath(path).parent
        if not patterns:
            return []
        if folder not in self._folders:
            self._folders[folder] = sorted(self._in(folder))
        return [companion for companion in self._folders[folder] if companion.files & patterns]

    def _in(self, folder: PurePosixPath) -> Iterator[_Companion]:
        """Files of a folder; hidden ones are none: tools leave them beside the others, and nobody reads them."""
        try:
            entries = list(os.scandir(self._landing / folder))
        except FileNotFoundError:  # deleted since landing was listed
            return
        for entry in entries:
            path = (folder / entry.name).as_posix()
            files = frozenset(table.files for table in tables_for(path))
            if files and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield _Companion(path, files, entry.stat().st_mtime_ns)


class _Companion(NamedTuple):
    path: str
    files: frozenset[str]  # of the adapter's patterns, those of the tables that it is read as
    mtime_ns: int


def read_days(paths: Iterable[Path], day_of: DayOf, name: str, db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table ``(key, day)`` of what these files say.

    Raises:
        UnreadableFileError: when one of them cannot be read, says nothing of the kind, or breaks off.
    """
    found = f"{name}_found"
    db.execute(f"CREATE OR REPLACE TEMP TABLE {found} (key VARCHAR, day DATE)")
    for path in paths:
        _read(path, day_of, found, db)
    db.execute(f"CREATE TEMP TABLE {name} AS SELECT key, min(day) AS day FROM {found} GROUP BY key")
    db.execute(f"DROP TABLE {found}")


def _read(path: Path, day_of: DayOf, target: str, db: duckdb.DuckDBPyConnection) -> None:
    key, day = f"s.{quoted(day_of.key)}", day_sql(f"s.{quoted(day_of.date)}")
    says = f"{key} IS NOT NULL AND {day} IS NOT NULL"
    is_read = False
    for block in read_blocks(path):
        if missing := [name for name in (day_of.key, day_of.date) if name not in (block.columns or (name,))]:
            raise UnreadableFileError(f"{path.name}: no column {', '.join(missing)}")
        is_read = True
        records = f"(SELECT line, {block.record_sql([day_of.key, day_of.date])} AS s FROM companion)"
        db.register("companion", block.rows)
        db.execute(f"INSERT INTO {target} SELECT trim({key}), {day} FROM {records} WHERE {says}")
        last = db.execute(f"SELECT {says} FROM {records} WHERE line = {block.last_line}").fetchall()
        db.unregister("companion")
        if block.is_damaged or (block.is_cut_off and last == [(False,)]):
            raise UnreadableFileError(f"{path.name}: it breaks off")
    if not is_read:
        raise UnreadableFileError(f"{path.name}: it is empty")
