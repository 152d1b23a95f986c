"""Dagster's event log on PostgreSQL, for runs that tell of a hundred assets.

Belongs here: how events are stored. Does not belong here: what they say.
A run of a day tells 500 events, a range of 90 days 23,000. Dagster's own storage opens a connection for each of their
statements, asks again and again which tables and columns there are, and stores one by one what a run intends and what
its checks found.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg
import sqlalchemy
from dagster import DagsterEventType
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
    AssetCheckEvaluationTargetMaterializationData,
)
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
#: What tells the executions of checks apart.
_EXECUTION_KEY = ("run_id", "asset_key", "check_name", "partition")
_FOUND_SQL = sqlalchemy.text(
    "update asset_check_executions planned set execution_status = found.status, evaluation_event = found.event, "
    "evaluation_event_timestamp = found.told_at, evaluation_event_storage_id = found.id, "
    "materialization_event_storage_id = found.judged "
    "from unnest(cast(:run_id as text[]), cast(:asset_key as text[]), cast(:check_name as text[]), "
    "cast(:partition as text[]), cast(:execution_status as text[]), cast(:evaluation_event as text[]), "
    "cast(:evaluation_event_timestamp as timestamp[]), cast(:evaluation_event_storage_id as bigint[]), "
    "cast(:materialization_event_storage_id as bigint[])) "
    "as found (run_id, asset_key, check_name, day, status, event, told_at, id, judged) "
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
            self._file_assets(connection, [t for t in told if t.event.dagster_event_type in _OF_ASSETS])
            self._file_planned(connection, [t for t in told if t.event.dagster_event_type is _PLANNED])
            self._file_found(connection, [t for t in told if t.event.dagster_event_type is _FOUND])

    def _file_assets(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """The table of assets keeps only the last event of each, hence is told that."""
        last = {t.event.get_dagster_event().asset_key: t for t in told}
        for t in last.values():
            self._store_asset_event(connection, t.event, t.event_id)
        self._store_asset_event_tags(connection, [t.event for t in told], [t.event_id for t in told])

    def _file_planned(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """A row for each check and day, which what is found will replace."""
        rows = [
            self._execution(t, planned, day, AssetCheckExecutionRecordStatus.PLANNED)
            for t in told
            for planned in [t.event.get_dagster_event().asset_check_planned_data]
            for day in _days_of(planned)
        ]
        if rows:
            connection.execute(AssetCheckExecutionsTable.insert(), rows)

    def _file_found(self, connection: sqlalchemy.Connection, told: Sequence[_Told]) -> None:
        """Into the rows of what was planned, all of them in one statement; what nobody planned gets rows of its own."""
        rows = {}
        for t in told:
            found = t.event.get_dagster_event().asset_check_evaluation_data
            status = (
                AssetCheckExecutionRecordStatus.SUCCEEDED if found.passed else AssetCheckExecutionRecordStatus.FAILED
            )
            row = self._execution(t, found, found.partition, status, found.target_materialization_data)
            rows[tuple(row[name] for name in _EXECUTION_KEY)] = row
        if not rows:
            return
        columns = {name: [row[name] for row in rows.values()] for name in next(iter(rows.values()))}
        replaced = [tuple(row) for row in connection.execute(_FOUND_SQL, columns)]
        if len(replaced) > len(set(replaced)):
            raise dg.DagsterInvariantViolationError("a check was planned more than once for a day by one run")
        if unplanned := [row for key, row in rows.items() if key not in set(replaced)]:
            connection.execute(AssetCheckExecutionsTable.insert(), unplanned)

    def _execution(
        self,
        told: _Told,
        check: AssetCheckEvaluationPlanned | dg.AssetCheckEvaluation,
        day: str | None,
        status: AssetCheckExecutionRecordStatus,
        judged: AssetCheckEvaluationTargetMaterializationData | None = None,
    ) -> dict[str, Any]:
        """A row of the table of executions."""
        return {
            "run_id": told.event.run_id,
            "asset_key": check.asset_key.to_string(),
            "check_name": check.check_name,
            "partition": day,
            "execution_status": status.value,
            "evaluation_event": told.text,
            "evaluation_event_timestamp": self._event_insert_timestamp(told.event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": told.event_id,
            "materialization_event_storage_id": judged.storage_id if judged else None,
        }


def _days_of(planned: AssetCheckEvaluationPlanned) -> Sequence[str | None]:
    return list(planned.partitions_subset.get_partition_keys()) if planned.partitions_subset else [None]
