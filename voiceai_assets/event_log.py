"""Dagster's event log on PostgreSQL, for runs that tell of a hundred assets.

Belongs here: how events are stored. Does not belong here: what they say.
A run of a day tells 500 events, a range of 90 days 23,000. Dagster's own storage opens a connection for each of their
statements, asks again and again which tables and columns there are, and stores one by one what a run intends and what
its checks found.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import dagster as dg
import sqlalchemy
from dagster import DagsterEventType
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

_OF_ASSETS = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
}
_PLANNED, _FOUND = DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION
_AT_ONCE = {*_OF_ASSETS, _PLANNED, _FOUND}
_FOUND_SQL = sqlalchemy.text(
    "update asset_check_executions planned set execution_status = found.status, evaluation_event = found.event, "
    "evaluation_event_timestamp = found.told_at, evaluation_event_storage_id = found.id, "
    "materialization_event_storage_id = found.judged "
    "from unnest(cast(:runs as text[]), cast(:assets as text[]), cast(:checks as text[]), cast(:days as text[]), "
    "cast(:statuses as text[]), cast(:texts as text[]), cast(:times as timestamp[]), cast(:ids as bigint[]), "
    "cast(:judged as bigint[])) as found (run_id, asset_key, check_name, day, status, event, told_at, id, judged) "
    "where planned.run_id = found.run_id and planned.asset_key = found.asset_key "
    "and planned.check_name = found.check_name and planned.partition is not distinct from found.day "
    "returning planned.run_id, planned.asset_key, planned.check_name, planned.partition"
)


class _Told(NamedTuple):
    """An event that has its place in the log."""

    event: EventLogEntry
    event_id: int
    text: str


class EventLog(PostgresEventLogStorage):
    """Keeps its connections, asks once what tables and columns there are, stores at once what belongs together."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._batch = threading.local()
        super().__init__(postgres_url, inst_data=inst_data)
        # pre-ping: after a restart of the server, a kept connection is replaced and not an error
        self._engine = sqlalchemy.create_engine(
            postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=10, pool_pre_ping=True
        )

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> EventLog:
        """As ``dagster.yaml`` says it."""
        return cls(pg_url_from_config(config_value), inst_data)

    def dispose(self) -> None:
        """Close the connections, too."""
        super().dispose()
        self._engine.dispose()

    @functools.cache  # noqa: B019  # one storage per process
    def has_table(self, table_name: str) -> bool:
        """Whether a table is there; Dagster migrates before its processes start."""
        return super().has_table(table_name)

    @functools.cache  # noqa: B019  # one storage per process
    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has a column."""
        return super().has_asset_key_col(column_name)

    @contextmanager
    def index_connection(self) -> Iterator[sqlalchemy.Connection]:
        """The connection of the batch that is being stored, else one of the kept ones."""
        if held := getattr(self._batch, "connection", None):
            yield held
            return
        with self._connect() as connection:
            yield connection

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store what a run intends, makes and finds in one transaction; anything else as Dagster does."""
        if not events or {event.dagster_event_type for event in events} - _AT_ONCE:
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self.index_transaction() as connection:
            ids = connection.execute(insert, rows).scalars().all()
            told = [_Told(*each) for each in zip(events, ids, [row["event"] for row in rows], strict=True)]
            self._batch.connection = connection
            try:
                self._file_assets(connection, [t for t in told if t.event.dagster_event_type in _OF_ASSETS])
                self._file_planned(connection, [t for t in told if t.event.dagster_event_type is _PLANNED])
                self._file_found(connection, [t for t in told if t.event.dagster_event_type is _FOUND])
            finally:
                del self._batch.connection

    def _at(self, event: EventLogEntry) -> datetime:
        found: datetime = self._event_insert_timestamp(event)  # type: ignore[no-untyped-call]
        return found

    def _file_assets(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """The table of assets keeps only the last event of each, hence is told that."""
        last = {t.event.get_dagster_event().asset_key: t for t in told}
        for t in last.values():
            self._store_asset_event(connection, t.event, t.event_id)
        self._store_asset_event_tags(connection, [t.event for t in told], [t.event_id for t in told])

    def _file_planned(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """A row for each check and day, which what is found will replace."""
        rows = [
            {
                "asset_key": planned.asset_key.to_string(),
                "check_name": planned.check_name,
                "partition": partition,
                "run_id": t.event.run_id,
                "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
                "evaluation_event": t.text,
                "evaluation_event_timestamp": self._at(t.event),
                "evaluation_event_storage_id": t.event_id,
            }
            for t in told
            for planned in [t.event.get_dagster_event().asset_check_planned_data]
            for partition in _days_of(planned)
        ]
        if rows:
            connection.execute(AssetCheckExecutionsTable.insert(), rows)

    def _file_found(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """Into the rows of what was planned, all of them in one statement; what nobody planned as Dagster does."""
        evaluations = {_check_of(t): t for t in told}
        values = [
            (*check, _status(t), t.text, self._at(t.event), t.event_id, _judged(t)) for check, t in evaluations.items()
        ]
        if not values:
            return
        names = ("runs", "assets", "checks", "days", "statuses", "texts", "times", "ids", "judged")
        columns = {name: list(column) for name, column in zip(names, zip(*values, strict=True), strict=True)}
        replaced = [tuple(row) for row in connection.execute(_FOUND_SQL, columns)]
        if len(replaced) > len(set(replaced)):
            raise dg.DagsterInvariantViolationError("a check was planned more than once for a day by one run")
        for check in evaluations.keys() - set(replaced):
            self.store_asset_check_event(evaluations[check].event, evaluations[check].event_id)


def _days_of(planned: AssetCheckEvaluationPlanned) -> Sequence[str | None]:
    return list(planned.partitions_subset.get_partition_keys()) if planned.partitions_subset else [None]


def _check_of(told: _Told) -> tuple[str, str, str, str | None]:
    found = told.event.get_dagster_event().asset_check_evaluation_data
    return told.event.run_id, found.asset_key.to_string(), found.check_name, found.partition


def _status(told: _Told) -> str:
    has_passed = told.event.get_dagster_event().asset_check_evaluation_data.passed
    status = AssetCheckExecutionRecordStatus
    return str((status.SUCCEEDED if has_passed else status.FAILED).value)


def _judged(told: _Told) -> int | None:
    """The materialisation that a check looked at."""
    target = told.event.get_dagster_event().asset_check_evaluation_data.target_materialization_data
    return target.storage_id if target else None
