"""The database's shape: roles, schemas, ledgers and raw tables, brought up to date at every start.

Belongs here: DDL that the platform itself owns. Does not belong here: dbt's models, rows.
"""

from __future__ import annotations

import functools
import hashlib
import json
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.server import OWNER, READER, Warehouse, WarehouseError
from voiceai_assets.warehouse.widening import widen_columns

_MIGRATION_LOCK = 7_246_001  # any constant: two processes that start together must not both create the schema
#: PostgreSQL cannot guess how many rows of a certified view are live and plans joins for one: a nested loop over a
#: month of small days took a minute where a hash takes 0.1 s.
_READER_SETTINGS = ("default_transaction_read_only = on", "enable_nestloop = off")


@functools.cache
def migrations() -> list[tuple[int, str]]:
    """Numbered SQL files in order, then the tables generated from the contracts."""
    folder = files("voiceai_assets.warehouse") / "ddl"
    scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(f.name[:3]), f.read_text()) for f in scripts]


def raw_ddl() -> str:
    """The tables of ``raw`` from the contracts: one range partition per day, created before loading."""
    tables = "".join(
        f"create table if not exists raw.{c.dataset} (\n  {c.ddl_columns()}\n) partition by range ({c.day_column});\n"
        for c in DATASETS.values()
    )
    return f"""{tables}
create table if not exists raw.session_days (
  turn_date date not null,
  session_id text not null,
  primary key (turn_date, session_id)
);
comment on table raw.session_days is 'which sessions have turns on which day: finds sessions that cross midnight';
"""


def migrate(warehouse: Warehouse, settings: Settings) -> None:
    """Create or upgrade roles, schemas, ledgers and raw tables; does nothing when they are current.

    Raises:
        WarehouseError: when the login may not set up roles and schemas, or a contract has a type that a table cannot
            take over; the message says what to do.
    """
    if _is_current(warehouse, settings):
        return
    try:
        _ensure_roles(warehouse, settings)
        _ensure_tables(warehouse)
    except psycopg.errors.InsufficientPrivilege as error:
        login, database = (warehouse.admin.parameters.get(key, "LOGIN") for key in ("user", "dbname"))
        raise WarehouseError(
            f"{login} may not set up roles and schemas in {database}: {error.diag.message_primary}. "
            "It needs CREATEROLE and the database. Where somebody else made the roles, an administrator can run: "
            f"alter database {database} owner to {login}; grant {OWNER}, {READER} to {login} with admin option"
        ) from error


def _is_current(warehouse: Warehouse, settings: Settings) -> bool:
    """Whether there is nothing to do: every process asks at its start, a health check every few seconds."""
    try:
        with warehouse.connect() as connection:
            if _applied(connection) != _wanted():
                return False
        if settings.reader_password is not None:
            psycopg.connect(warehouse.reader.libpq()).close()
    except psycopg.OperationalError:
        return False
    return True


def _ensure_tables(warehouse: Warehouse) -> None:
    """Schemas, ledgers and raw tables, unless they are current."""
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        if _applied(connection) == _wanted():
            return
        for _, script in migrations():
            connection.execute(script)
        connection.execute(raw_ddl())
        for contract in DATASETS.values():
            _add_missing_columns(connection, contract)
            widen_columns(connection, contract)
            _describe(connection, contract)
        connection.execute(
            "create table if not exists governance.schema_version "
            "(version text not null, applied_at timestamptz not null default now())"
        )
        connection.execute("insert into governance.schema_version (version) values (%s)", [_wanted()])


def _wanted() -> str:
    scripts = "".join(script for _, script in migrations()) + raw_ddl() + "".join(_READER_SETTINGS)
    contracts = [contract.version for contract in DATASETS.values()]
    return hashlib.sha256(json.dumps([scripts, contracts]).encode()).hexdigest()[:16]


def _applied(connection: psycopg.Connection[Any]) -> str | None:
    exists = connection.execute("select to_regclass('governance.schema_version')").fetchone()
    if exists is None or exists[0] is None:
        return None
    row = connection.execute(
        "select version from governance.schema_version order by applied_at desc limit 1"
    ).fetchone()
    return row[0] if row else None


def _add_missing_columns(connection: psycopg.Connection[Any], contract: Contract) -> None:
    """A contract that gained an optional column adds it to the table; nothing is ever dropped here."""
    have = {
        row[0]
        for row in connection.execute(
            "select column_name from information_schema.columns where table_schema = 'raw' and table_name = %s",
            [contract.dataset],
        ).fetchall()
    }
    for field in contract.columns:
        if field.name not in have:
            connection.execute(
                sql.SQL("alter table {} add column {} {}").format(
                    sql.Identifier("raw", contract.dataset), sql.Identifier(field.name), sql.SQL(field.kind.postgres)
                )
            )


def _describe(connection: psycopg.Connection[Any], contract: Contract) -> None:
    """The contract's words where people look for them: psql, and every catalogue tool."""
    table = sql.Identifier("raw", contract.dataset)
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(f"Grain: {contract.grain}.")))
    for field in contract.columns:
        column = sql.Identifier("raw", contract.dataset, field.name)
        connection.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(field.doc)))


def _ensure_roles(warehouse: Warehouse, settings: Settings) -> None:
    """Pipeline and reader; on an external server the configured login becomes a member of the pipeline's role."""
    with psycopg.connect(warehouse.admin.libpq()) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        present = {row[0] for row in connection.execute("select rolname from pg_roles").fetchall()}
        for role in (OWNER, READER):
            if role not in present:
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        if settings.reader_password is not None:
            connection.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(READER), sql.Literal(settings.reader_password.get_secret_value())
                )
            )
        for setting in _READER_SETTINGS:
            connection.execute(sql.SQL("alter role {} set {}").format(sql.Identifier(READER), sql.SQL(setting)))
        database = sql.Identifier(warehouse.admin.parameters["dbname"])
        connection.execute(
            sql.SQL("grant create, connect, temporary on database {} to {}").format(database, sql.Identifier(OWNER))
        )
        connection.execute(sql.SQL("grant connect on database {} to {}").format(database, sql.Identifier(READER)))
        connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(OWNER)))


def ensure_partition(connection: psycopg.Connection[Any], dataset: str, day: str) -> str:
    """Create the day's partition of a raw table if need be and return its name."""
    start = date.fromisoformat(day)
    name = f"{dataset}_{start:%Y%m%d}"
    connection.execute(
        sql.SQL("create table if not exists {} partition of {} for values from ({}) to ({})").format(
            sql.Identifier("raw", name),
            sql.Identifier("raw", dataset),
            sql.Literal(start),
            sql.Literal(start + timedelta(days=1)),
        )
    )
    return name
