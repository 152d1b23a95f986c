"""Load one day of the lake into its partition, replacing it in one transaction.

Belongs here: Parquet to COPY. Does not belong here: what the rows mean.

Rows go from Parquet through Arrow into PostgreSQL's own binary format. PostgreSQL is what one waits for, and it reads
binary rows in three quarters of the time that it needs for CSV.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql

from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.account import DayLoad, LakeDay, are_rows_of
from voiceai_assets.lake.ahead import one_ahead
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.parquet import from_parquet
from voiceai_assets.lake.reading.block import quoted
from voiceai_assets.lake.refine import MEMORY_LIMIT
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.schema import ensure_partition

_ROWS_AT_ONCE = 5_000  # encoded while PostgreSQL takes in those before
_SENT_AHEAD = 4 * 2**20  # bytes that may lie in the socket
_LARGE_DAY = 50_000  # rows
_LONGEST_BOUND = 60  # characters; some writers cut longer ones
_QUARANTINE_COLUMNS = ("file", "line", "reason", "message", "raw_text", "day", "load_id")


class HalfWrittenError(RuntimeError):
    """A run was killed while it wrote a day into the lake, or another run is writing it now; nothing was loaded."""


def load_day(connection: psycopg.Connection[Any], lake: Path, load: DayLoad) -> None:
    """Replace the day of a dataset in ``raw``, its quarantine and its ledger rows; all or nothing.

    TRUNCATE and COPY in one transaction: whoever asks ``raw`` for this day waits for the commit, other days do not,
    and with ``wal_level = minimal`` the new rows skip the log.

    Raises:
        HalfWrittenError: when the lake holds other rows than the account speaks of.
    """
    place = LakeDay(lake, load.dataset, load.day)
    _refuse_half_a_day(place, load)
    contract = DATASETS[load.dataset]
    table = sql.Identifier("raw", ensure_partition(connection, load.dataset, load.day))
    connection.execute(sql.SQL("truncate {}").format(table))
    # freeze: rows of a table truncated in this transaction are born visible to all; otherwise their first reader would
    # mark each one so and, with data checksums, write every page into the log (1.2 s for a million turns)
    with ThreadPoolExecutor(1) as aside:  # PostgreSQL is what one waits for meanwhile
        sessions = aside.submit(_sessions_of, place.rows) if contract is TURNS else None
        copy_rows(connection, place, table, freeze=True)
    _load_quarantine(connection, load, place)
    ledger.record_load(connection, load, (sha256_of(place.rows), sha256_of(place.quarantine)))
    if sessions:
        _load_session_days(connection, load.day, sessions.result())
    # columns that the models join and order by; those of all sixty took 0.2 s more of a million turns
    columns = sql.SQL(", ").join(map(sql.Identifier, sorted(_asked_for(contract))))
    connection.execute(sql.SQL("analyze {} ({})").format(table, columns))


def _asked_for(contract: Contract) -> set[str]:
    """Columns that tell rows, people, days and sources apart."""
    named = {name for part in contract.identity for name in part.split("|")}
    return named | {"source", contract.day_column} | ({contract.person} if contract.person else set())


def copy_rows(connection: psycopg.Connection[Any], place: LakeDay, table: sql.Composable, *, freeze: bool) -> None:
    """Append the rows of a day of the lake to a table of the contract's shape."""
    contract = DATASETS[place.dataset]
    footer = pq.read_metadata(place.rows)
    filled = _filled_columns(footer) | {contract.day_column}
    fields = [f for f in contract.columns if f.name in filled]
    # a day of the lake may be older than a contract whose type was widened, and eight bytes of a whole number would be
    # taken for those of a fraction
    same = _same_everywhere(footer)
    sent = [f for f in fields if f.name not in same]
    columns = ", ".join(f"CAST({quoted(f.name)} AS {f.kind.duckdb}) AS {quoted(f.name)}" for f in sent)
    query = f"SELECT {columns} FROM {from_parquet(place.rows)}"
    with _defaults(connection, table, {f.name: same[f.name] for f in fields if f.name in same}):
        copy_query(connection, query, table, [f.name for f in sent], freeze=freeze)


def copy_quarantine(connection: psycopg.Connection[Any], place: LakeDay, table: sql.Composable) -> None:
    """Append the refused records of a day of the lake."""
    if pq.read_metadata(place.quarantine).num_rows == 0:
        return
    query = (
        f"SELECT '{place.dataset}' AS dataset, {', '.join(_QUARANTINE_COLUMNS)} FROM {from_parquet(place.quarantine)}"
    )
    copy_query(connection, query, table, ["dataset", *_QUARANTINE_COLUMNS])


def _refuse_half_a_day(place: LakeDay, load: DayLoad) -> None:
    """Rows under an account of other rows would be certified by checks that never saw them."""
    if not are_rows_of(load, place.rows):
        raise HalfWrittenError(
            f"{place.rows} and its account are not of one run (killed while it wrote, or still writing); "
            f"run {load.day} again; if an erasure was killed, erase again"
        )


def _load_quarantine(connection: psycopg.Connection[Any], load: DayLoad, place: LakeDay) -> None:
    connection.execute("delete from governance.quarantine where dataset = %s and day = %s", [load.dataset, load.day])
    copy_quarantine(connection, place, sql.Identifier("governance", "quarantine"))


def _sessions_of(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection with the table ``sessions`` of a day; asked of the Parquet, which is quicker than PostgreSQL."""
    db = _duckdb()
    db.execute(
        "CREATE TEMP TABLE sessions AS SELECT turn_date, session_id, max(timestamp) AS ended_at, "
        f"max(session_outcome) AS outcome FROM {from_parquet(path)} GROUP BY ALL"
    )
    return db


def _load_session_days(connection: psycopg.Connection[Any], day: str, db: duckdb.DuckDBPyConnection) -> None:
    """Which sessions have turns on the day, and what later questions about the day would have to scan turns for."""
    query = "SELECT max(ended_at), max(ended_at) FILTER (outcome IS NULL) FROM sessions"
    [(last, last_open)] = db.execute(query).fetchall()
    connection.execute("delete from raw.session_days where turn_date = %s", [day])
    copy_query(
        connection,
        "SELECT turn_date, session_id FROM sessions ORDER BY ALL",
        sql.Identifier("raw", "session_days"),
        ["turn_date", "session_id"],
        db=db,
    )
    ledger.record_sessions_of(connection, day, last, last_open)


def copy_query(
    connection: psycopg.Connection[Any],
    query: str,
    table: sql.Composable,
    columns: list[str],
    *,
    freeze: bool = False,
    db: duckdb.DuckDBPyConnection | None = None,
) -> None:
    """COPY the result of a DuckDB query into a table; ``freeze`` as PostgreSQL's COPY understands it.

    The types of the result must be those of the table: binary COPY converts nothing. ``db``, where the query wants one
    of its own, is closed in the end.
    """
    statement = sql.SQL("copy {} ({}) from stdin (format binary, freeze {})").format(
        table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Literal(freeze)
    )
    _send_ahead(connection)
    with (
        db or _duckdb() as source,
        connection.cursor().copy(statement) as target,
        closing(one_ahead(_binary(source.sql(query)))) as pieces,
    ):
        for rows in pieces:
            target.write(rows)


def _send_ahead(connection: psycopg.Connection[Any]) -> None:
    """Let more lie in the connection's socket; the kernel may grant less (``net.core.wmem_max``).

    The encoder holds the interpreter's lock, and meanwhile nothing is sent: of the usual 200 kB PostgreSQL ran out with
    every batch, and waited for a quarter of a large day's COPY.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AHEAD)


def _binary(result: duckdb.DuckDBPyRelation) -> Iterator[bytes]:
    """PostgreSQL's binary format of a result, in pieces."""
    json = {name for name, kind in zip(result.columns, result.types, strict=True) if kind == "JSON"}
    columns = {name: f"CAST({quoted(name)} AS VARCHAR)" if name in json else quoted(name) for name in result.columns}
    texts = ", ".join(f"{value} AS {quoted(name)}" for name, value in columns.items())
    batches = result.project(texts).to_arrow_reader(_ROWS_AT_ONCE)
    encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(
        batches.schema, {field.name: _encoder(field, is_json=field.name in json) for field in batches.schema}
    )
    yield encoder.write_header()
    for batch in batches:
        yield encoder.write_batch(batch)
    yield encoder.finish()


def _encoder(field: pa.Field, *, is_json: bool) -> Any:
    if is_json:
        return StringEncoderBuilder.new_with_output(field, Jsonb())
    return ArrowToPostgresBinaryEncoder.infer_encoder(field)


def _duckdb() -> duckdb.DuckDBPyConnection:
    """A connection to the process's one DuckDB: opening another takes longer than loading a small day."""
    connection = _database().cursor()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"memory_limit": MEMORY_LIMIT})


@contextmanager
def _defaults(
    connection: psycopg.Connection[Any], table: sql.Composable, values: Mapping[str, str | date]
) -> Iterator[None]:
    """Let a table fill columns by itself meanwhile; for this transaction, which must see it through."""
    if not values:
        yield
        return
    alter = sql.SQL("alter table {} {}")
    columns = [sql.SQL("alter column {}").format(sql.Identifier(name)) for name in values]
    set_them = [
        column + sql.SQL(" set default {}").format(sql.Literal(value))
        for column, value in zip(columns, values.values(), strict=True)
    ]
    connection.execute(alter.format(table, sql.SQL(", ").join(set_them)))
    yield
    drop_them = [column + sql.SQL(" drop default") for column in columns]
    connection.execute(alter.format(table, sql.SQL(", ").join(drop_them)))


def _same_everywhere(footer: pq.FileMetaData) -> dict[str, str | date]:
    """Texts and dates that are the same in all rows of a large day: load, source, file and the like.

    PostgreSQL takes them from its own catalogue four times as fast as from the stream. Of a small day it would lose
    more time with the catalogue.
    """
    if footer.num_rows < _LARGE_DAY:
        return {}
    found: dict[str, set[str | date | None]] = {}
    for column in _chunks(footer):
        found.setdefault(column.path_in_schema, set()).update(_bounds(column))
    return {name: value for name, (value, *more) in found.items() if not more and value is not None}


def _bounds(column: pq.ColumnChunkMetaData) -> tuple[str | date | None, ...]:
    """Least and greatest value; None as well where there may be others, or nulls."""
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max or statistics.null_count != 0:
        return (None,)
    both = (statistics.min, statistics.max)
    is_plain = all(type(value) is date or (isinstance(value, str) and len(value) < _LONGEST_BOUND) for value in both)
    return both if is_plain else (None,)


def _filled_columns(footer: pq.FileMetaData) -> set[str]:
    """Columns of a Parquet file that hold anything: few emitters send all sixty, and nulls cost too."""
    filled: set[str] = set()
    for column in _chunks(footer):
        statistics = column.statistics
        if statistics is None or statistics.null_count is None or statistics.null_count < column.num_values:
            filled.add(column.path_in_schema.split(".")[0])
    return filled


def _chunks(footer: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    """Each column of each row group."""
    for group in range(footer.num_row_groups):
        yield from map(footer.row_group(group).column, range(footer.num_columns))
