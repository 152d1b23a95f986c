"""Changing the pseudonym key: the steps in their order, and what keeps everybody else out meanwhile.

Belongs here: composition, and what may be interrupted where. Does not belong here: single steps
(``privacy.pseudonyms``, ``lake.rekeying``, ``warehouse.rekeying``), words (``cli.privacy``).

The commit of the tables decides. Before it, everything is as it was, and what was prepared (a pending key, a second
lake) is prepared anew by the next attempt. After it, the rotation has happened: the key file and the lake follow, and
where that was interrupted, whoever next needs the key completes it first (:func:`held_key`). So no run ever works with
a key that is not the tables'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake import rekeying as files
from voiceai_assets.lake.account import DayLoad, LakeDay
from voiceai_assets.lake.refine import MEMORY_LIMIT
from voiceai_assets.lake.remote import Remote
from voiceai_assets.privacy.pseudonyms import (
    LATER_KEYS_FILE,
    Pseudonymiser,
    add_link,
    begin_rotation,
    end_rotation,
    key_id,
    load_pseudonymiser,
    pending_key,
    rekeyed,
)
from voiceai_assets.settings import Settings, SettingsError
from voiceai_assets.warehouse import rekeying as tables
from voiceai_assets.warehouse.erasure import unfinished_days
from voiceai_assets.warehouse.ledger import Connection
from voiceai_assets.warehouse.server import Warehouse

_ASK_AGAIN_SECONDS = 0.2

#: Hears what is being worked on: a phase, and a thing in it.
Listener = Callable[[str, str], None]


class WrongKeyError(SettingsError):
    """Key files and data are not of one rotation; nothing was changed."""


@dataclass(frozen=True)
class Report:
    """What was done; without ``figures`` an interrupted rotation was completed, whose figures are in the ledger."""

    old_key_id: str
    new_key_id: str
    figures: tables.Rekeyed | None = None
    lake_days: int = 0


def rotate(settings: Settings, warehouse: Warehouse, listen: Listener) -> Report:
    """Re-key every pseudonym and every tombstone; waits until nobody works with the present key.

    Raises:
        WrongKeyError: when the key files are not those of the tables, or an erasure was interrupted.
    """
    with _alone(warehouse, listen) as connection:
        if key := _committed(settings, connection):
            old = load_pseudonymiser(settings).key_id
            _finish(settings, warehouse, connection, key, listen)
            return Report(old, key_id(key))
        pseudonymise = _checked(connection, settings)
        if days := unfinished_days(connection):
            raise WrongKeyError(
                f"an erasure of {len(days)} day(s) was interrupted; finish it first (voiceai erase), or its person "
                "could not be recognised under the new key"
            )
        if settings.lake.is_mount():
            raise WrongKeyError(f"{settings.lake} is a mount of its own and cannot be exchanged; mount its parent")
        settings.lake.mkdir(parents=True, exist_ok=True)
        key = begin_rotation(settings)
        _fetch_lake(settings, connection)
        with duckdb.connect() as db:
            db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            rewritten = files.build(settings.lake, key, db, lambda day: listen("lake", day))
        with connection.transaction():
            figures = tables.rekey(connection, key, pseudonymise.key_id, lambda table: listen("tables", table))
            tables.record_lake(connection, {(p.dataset, p.day): sha256 for p, sha256 in rewritten.items()})
            listen("tables", "commit")
        _finish(settings, warehouse, connection, key, listen)
        return Report(pseudonymise.key_id, key_id(key), figures, len(rewritten))


@contextmanager
def held_key(settings: Settings, warehouse: Warehouse) -> Iterator[Pseudonymiser]:
    """The present key, which no rotation changes until the end of the block; an interrupted one is completed first.

    Raises:
        WrongKeyError: when the key files are not those of the tables.
    """
    while True:
        with warehouse.connect(autocommit=True) as connection:
            tables.share_key(connection)
            if not _committed(settings, connection):
                yield _checked(connection, settings)
                return
        with _alone(warehouse, _silently) as connection:
            if key := _committed(settings, connection):
                _finish(settings, warehouse, connection, key, _silently)


def assert_key_of(load: DayLoad, pseudonymise: Pseudonymiser) -> None:
    """A day of the lake from before a rotation (an old copy, a backup) would bring the old pseudonyms back.

    Raises:
        WrongKeyError: for such a day.
    """
    if load.key_id in {key_id(key) for key in pseudonymise.keys[:-1]}:
        raise WrongKeyError(
            f"the lake's {load.dataset} of {load.day} is under key {load.key_id}, which was rotated; "
            "delete this copy, and fetch or run the day again"
        )


# -- steps -------------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(warehouse: Warehouse, listen: Listener) -> Iterator[Connection]:
    """A connection that keeps out everybody who holds a key; the lock ends with it, also for a killed process."""
    with warehouse.connect(autocommit=True) as connection:
        while not tables.is_alone(connection):
            listen("waiting", "until runs that are under way have ended their step")
            time.sleep(_ASK_AGAIN_SECONDS)
        yield connection


def _committed(settings: Settings, connection: Connection) -> bytes | None:
    """The pending key, if the tables are under it already."""
    key = pending_key(settings)
    return key if key is not None and key_id(key) == tables.current_key_id(connection) else None


def _checked(connection: Connection, settings: Settings) -> Pseudonymiser:
    pseudonymise, current = load_pseudonymiser(settings), tables.current_key_id(connection)
    if current is not None and current != pseudonymise.key_id:
        raise WrongKeyError(
            f"the pseudonyms are under key {current}, the key files give {pseudonymise.key_id}; "
            f"bring back {settings.home / LATER_KEYS_FILE} as it was when the key was last rotated"
        )
    return pseudonymise


def _finish(settings: Settings, warehouse: Warehouse, connection: Connection, key: bytes, listen: Listener) -> None:
    """Key file, lake, logs and object store follow the tables. Every step may be repeated."""
    listen("finish", "key file")
    add_link(settings, key)
    listen("finish", "lake")
    files.exchange(settings.lake)
    listen("finish", "event log")
    present = tables.pseudonyms(connection)

    def new_name(old: str) -> str | None:
        new = rekeyed(old, key)
        return new if new in present else None

    with psycopg.connect(warehouse.dagster.libpq()) as dagster:
        tables.rename_in_texts(dagster, new_name)
    if settings.lake_url:
        listen("finish", "object store")
        Remote(settings.lake_url, settings.lake).push(_paths_of_people(settings.lake))
    end_rotation(settings)
    listen("finish", "done")


def _fetch_lake(settings: Settings, connection: Connection) -> None:
    """The local copy of a lake on an object store may hold some days only."""
    if not settings.lake_url:
        return
    store = Remote(settings.lake_url, settings.lake)
    loads = connection.execute("select dataset, day::text from governance.loads where is_live").fetchall()
    for dataset, day in loads:
        if dataset in DATASETS:
            store.fetch(LakeDay(settings.lake, dataset, day).paths)


def _paths_of_people(lake: Path) -> Iterator[Path]:
    for contract in DATASETS.values():
        if contract.person:
            for folder in sorted((lake / contract.dataset).glob("date=*")):
                yield from (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))


def _silently(_phase: str, _what: str) -> None:
    """Hears of a step and does nothing."""
