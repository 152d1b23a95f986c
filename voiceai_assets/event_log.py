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
from typing import Any

import sqlalchemy
from dagster import DagsterEventType
from dagster._core.events import ASSET_CHECK_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

_AT_ONCE = {DagsterEventType.ASSET_MATERIALIZATION_PLANNED, *ASSET_CHECK_EVENTS}


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
        """Store events: what a run intends, and what checks found, in one transaction; the rest as Dagster does."""
        if not events or {event.dagster_event_type for event in events} - _AT_ONCE:
            super().store_event_batch(events)
            return
        statement = self.prepare_insert_event_batch(events)
        with self.index_transaction() as connection:
            ids = [row[0] for row in connection.execute(statement.returning(sqlalchemy.literal_column("id")))]
            self._batch.connection = connection
            try:
                self._file(connection, list(zip(events, ids, strict=True)))
            finally:
                del self._batch.connection

    def _file(self, connection: sqlalchemy.Connection, events: Sequence[tuple[EventLogEntry, int]]) -> None:
        """Under their checks and assets; the table of assets keeps only the last event of each, hence is told that."""
        last: dict[str, tuple[EventLogEntry, int]] = {}
        for event, event_id in events:
            key = event.get_dagster_event().asset_key
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)
            elif key is not None:
                last[key.to_string()] = (event, event_id)
        for event, event_id in last.values():
            self._store_asset_event(connection, event, event_id)
