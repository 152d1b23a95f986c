"""Dagster's event log on PostgreSQL, for runs that tell of a hundred assets.

Belongs here: how events are stored. Does not belong here: what they say.
A run of a day tells 500 events, a range of 90 days 23,000. Dagster's own storage opens a connection for each of their
statements, asks again and again which tables and columns there are, and stores what a run intends one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from dagster import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

_INTENDED = {DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}


class EventLog(PostgresEventLogStorage):
    """Keeps its connections, asks once what tables and columns there are, stores what a run intends at once."""

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
        """Store events: what a run intends in one statement, the rest as Dagster does.

        The table of assets keeps of each asset only the last one, hence the last one is all it is told.
        """
        if not events or {event.dagster_event_type for event in events} - _INTENDED:
            super().store_event_batch(events)
            return
        statement = self.prepare_insert_event_batch(events)
        with self._connect() as connection:
            ids = [row[0] for row in connection.execute(statement.returning(sqlalchemy.literal_column("id")))]
        last: dict[str, tuple[EventLogEntry, int]] = {}
        for event, event_id in zip(events, ids, strict=True):
            key = event.get_dagster_event().asset_key
            if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                self.store_asset_check_event(event, event_id)
            elif key is not None:
                last[key.to_string()] = (event, event_id)
        with self.index_transaction() as connection:
            for event, event_id in last.values():
                self._store_asset_event(connection, event, event_id)
