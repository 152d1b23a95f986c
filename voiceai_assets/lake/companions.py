"""Files that say which day the rows of another file belong to: sessions, for turns whose own dates mean nothing.

Belongs here: finding and reading them. Does not belong here: what is done with the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import duckdb

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import DayOf, Table
from voiceai_assets.lake.reading import UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import quoted
from voiceai_assets.lake.typing import day_sql


def companions_of(landing: Path, path: str) -> list[str]:
    """Paths below landing of the files that a file's days depend on: those that are read as the table it names.

    Hidden files are none: tools leave them beside the others, and nobody reads them.
    """
    patterns = {table.day_of.files for table in tables_for(path) if table.day_of}
    folder = PurePosixPath(path).parent
    if not patterns:
        return []
    return sorted(
        (folder / other.name).as_posix()
        for other in (landing / folder).iterdir()
        if not other.name.startswith(".")
        and any(table.files in patterns for table in tables_for((folder / other.name).as_posix()))
        and other.is_file()
        and not other.is_symlink()
    )


def lookup_table(landing: Path, path: str, table: Table, db: duckdb.DuckDBPyConnection) -> str | None:
    """Read a file's companions into a temporary table ``(key, day)`` and give its name; None where it needs none.

    The earliest day counts where companions contradict one another; companions that cannot be read say nothing.
    """
    if table.day_of is None:
        return None
    paths = companions_of(landing, path)
    stats = [(p, (landing / p).stat().st_mtime_ns) for p in paths]
    name = "days_" + hashlib.sha256(repr((stats, table.day_of)).encode()).hexdigest()[:16]
    if db.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall() == [(1,)]:
        return name
    read_days([landing / companion for companion in paths], table.day_of, name, db)
    return name


def read_days(paths: Iterable[Path], day_of: DayOf, name: str, db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table ``(key, day)`` of what these files say."""
    found = f"{name}_found"
    db.execute(f"CREATE OR REPLACE TEMP TABLE {found} (key VARCHAR, day DATE)")
    for path in paths:
        _read(path, day_of, found, db)
    db.execute(f"CREATE TEMP TABLE {name} AS SELECT key, min(day) AS day FROM {found} GROUP BY key")
    db.execute(f"DROP TABLE {found}")


def _read(path: Path, day_of: DayOf, target: str, db: duckdb.DuckDBPyConnection) -> None:
    key, day = day_of.key, day_sql(f"s.{quoted(day_of.date)}")
    try:
        for block in read_blocks(path):
            db.register("companion", block.rows)
            db.execute(
                f"INSERT INTO {target} SELECT trim(s.{quoted(key)}), {day} "
                f"FROM (SELECT {block.record_sql([key, day_of.date])} AS s FROM companion) "
                f"WHERE s.{quoted(key)} IS NOT NULL AND {day} IS NOT NULL"
            )
            db.unregister("companion")
    except UnreadableFileError:
        return
