"""Forgetting one person: the steps in their order, from tombstones to the search for what is left.

Belongs here: composition, and what may be interrupted where. Does not belong here: single steps (``lake.erasure``,
``warehouse.erasure``, ``warehouse.publications``), words (``cli.privacy``).

The order makes it repeatable. Tombstones come first: whatever runs meanwhile refuses the person. Ledgers and safety
copies are cleaned while landing and tables can still say which sessions are the person's. Landing and the days follow.
When it is interrupted, tombstones recognise whatever is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.erasure import (
    Hits,
    claims_in_landing,
    connected,
    delete_copies,
    find_in_lake,
    find_in_landing,
    forget_in_lake,
    remove_from_landing,
    search,
    sessions_of,
)
from voiceai_assets.lake.remote import StoreError
from voiceai_assets.lake.storing import complete_days, half_days
from voiceai_assets.partitions import first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.needles import Needles
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.tombstones import Tombstones
from voiceai_assets.rotation import WrongKeyError
from voiceai_assets.warehouse import erasure as tables
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.publications import forget_versions

#: Hears what is being worked on: a phase, and a thing in it.
Listener = Callable[[str, str], None]


@dataclass(frozen=True)
class Plan:
    """What there is of a person.

    Attributes:
        sessions: the person's own.
        shared: sessions in which somebody else is named, too; they stay, without the records that name the person.
        mentioned: own sessions that records of somebody else refer to; those records are theirs and stay.
        marks: what the tombstones will be, those of others included.
        is_new: whether some of them are not recorded yet.
        landing: landed records, by file.
        lake: days of the lake with rows, and how many.
        frozen: days of the lake among them whose landed files were retired.
        days: loaded days that will be run again.
        stored: pseudonyms and sessions that stand in tables.
        halves: days of the lake that an erasure which was killed left half done; they are completed.
    """

    identifier: str
    pseudonym: str
    sessions: frozenset[str]
    shared: frozenset[str]
    mentioned: frozenset[str]
    marks: Tombstones
    is_new: bool
    landing: dict[str, Hits]
    lake: dict[LakeDay, int]
    frozen: frozenset[LakeDay]
    days: tuple[str, ...]
    stored: tuple[frozenset[str], frozenset[str]]
    halves: tuple[LakeDay, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to do but to look."""
        return not (self.is_new or self.landing or self.lake or self.days or any(self.stored) or self.halves)

    @property
    def records(self) -> dict[str, int]:
        """Dataset -> records that go: those that landed, and rows of days that landing no longer holds."""
        found: Counter[str] = Counter()
        for hits in self.landing.values():
            found += hits.records
        for place in self.frozen:
            found[place.dataset] += self.lake[place]
        return dict(sorted(found.items()))

    @property
    def needles(self) -> Needles:
        """Everything that must not be found afterwards."""
        named = {session for hits in self.landing.values() for session in hits.sessions}
        pseudonyms, sessions = self.stored
        return Needles({self.identifier, self.pseudonym, *self.sessions, *named, *pseudonyms, *sessions})


@dataclass
class Report:
    """What was done.

    Attributes:
        days: that were run again.
        failed: landed files from which records could not be removed, with the reason.
        uncertified: those of them that are not certified, with the reason.
        residue: place -> what was found there; empty for a place that is clean.
    """

    days: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    uncertified: dict[str, str] = field(default_factory=dict)
    residue: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left anywhere."""
        return not self.failed and not any(self.residue.values())


def plan(pipeline: Pipeline, identifier: str, listen: Listener) -> Plan:
    """Look through landing, lake and tables, and change nothing."""
    with pipeline.held_key() as pseudonymise:
        return _plan(pipeline, pseudonymise, identifier, listen)


def _plan(pipeline: Pipeline, pseudonymise: Pseudonymiser, identifier: str, listen: Listener) -> Plan:
    settings = pipeline.settings
    pseudonym = pseudonymise(identifier)
    pipeline.look_into_landing(quiet_seconds=0)
    _fetch_lake(pipeline)
    with pipeline.warehouse.connect() as connection, connected(settings.lake / ".spill") as db:
        known = tables.tombstones(connection, pseudonymise)
        claims = [
            *claims_in_landing(settings.landing, identifier, db, lambda path: listen("whose sessions", path)),
            *tables.claims_in_tables(connection, pseudonym),
        ]
        found = sessions_of(claims)
        # what an interrupted erasure decided stands, though the records that decided it may be gone
        decided = {claim.session for claim in claims if known.has_session(claim.session)}
        own, shared = found.own | decided, found.shared - decided
        new = Tombstones.of(pseudonymise, identifier, own)
        marks = known | new
        landing = find_in_landing(settings.landing, marks, db, lambda path: listen("whose records", path))
        lake = find_in_lake(settings.lake, marks, db)
        pseudonyms, sessions = tables.marked_values(connection, marks)
        unfinished = tables.unfinished_days(connection)
        in_raw = tables.days_of_people(connection, pseudonyms, sessions)
    touched = {place.day for place in lake} | _days_of_files(pipeline, landing.keys()) | in_raw | unfinished
    frozen = pipeline.frozen_days()
    return Plan(
        identifier=identifier,
        pseudonym=pseudonym,
        sessions=own,
        shared=shared,
        mentioned=frozenset(claim.session for claim in claims if claim.is_others and claim.session in own),
        marks=marks,
        is_new=known != marks,
        landing=landing,
        lake=lake,
        frozen=frozenset(place for place in lake if place.day in frozen),
        days=tuple(sorted(_runnable(pipeline, touched))),
        stored=(frozenset(pseudonyms), frozenset(sessions)),
        halves=tuple(half_days(settings.lake)),
    )


def carry_out(pipeline: Pipeline, chosen: Plan, listen: Listener) -> Report:
    """Do it. Every step may be interrupted; the same command then goes on.

    Raises:
        WrongKeyError: when the key was rotated since the plan was made.
    """
    with pipeline.held_key() as pseudonymise:
        if pseudonymise.key_id != chosen.marks.pseudonymise.key_id:
            raise WrongKeyError("the pseudonym key was rotated meanwhile; run the command again")
        return _carry_out(pipeline, chosen, listen)


def _carry_out(pipeline: Pipeline, chosen: Plan, listen: Listener) -> Report:
    settings = pipeline.settings
    needles = chosen.needles
    with pipeline.warehouse.connect() as connection:
        tables.record_tombstones(connection, chosen.marks)
        tables.begin_erasure(connection, chosen.days, chosen.records)
    _clean_texts(pipeline, needles, listen)
    delete_copies(settings.home / "replaced", needles)
    failed = _clean_landing(pipeline, chosen, listen)
    complete_days(settings.lake)  # before any is changed again: the next account is made from the one before
    with connected(settings.lake / ".spill") as db:
        for place in chosen.frozen:
            listen("lake", f"{place.dataset} {place.day}")
            _forget_in_lake(pipeline, place, chosen.marks, db)
    # a list without dates may have moved to another day, when the day it was filed under went
    found = pipeline.look_into_landing(quiet_seconds=0)
    days = sorted({*chosen.days, *_runnable(pipeline, {day for file in found.fresh for day in file.days})})
    if days:
        from voiceai_assets.runs import run_days  # Dagster and dbt: seconds of import that nothing else here needs

        run_days(pipeline, days, listen)
    _sweep(pipeline, chosen, listen)
    return Report(tuple(days), failed, _uncertified(pipeline, days))


def look_for_residue(pipeline: Pipeline, chosen: Plan, report: Report, listen: Listener) -> None:
    """Search every place for the person, by field and as text, and write the outcome into the ledger."""
    settings, needles = pipeline.settings, chosen.needles
    needles = Needles(needles.all - chosen.mentioned)
    report.residue["landing"] = _records_left(pipeline, chosen, listen)
    for place, folder in _folders(settings.home).items():
        listen("search", place)
        report.residue.setdefault(place, {}).update(search(folder, needles) if folder.is_dir() else {})
    with pipeline.warehouse.connect() as connection:
        listen("search", "database")
        pseudonyms, sessions = tables.marked_values(connection, chosen.marks)
        found = {table: f"{n:,} row(s)" for table, n in tables.search(connection, needles).items()}
        if pseudonyms or sessions:
            found["rows by field"] = f"{len(pseudonyms):,} pseudonym(s), {len(sessions):,} session(s)"
        report.residue["database"] = found
    with psycopg.connect(pipeline.warehouse.dagster.libpq()) as connection:
        listen("search", "Dagster's database")
        found = {table: f"{n:,} row(s)" for table, n in tables.search(connection, needles).items()}
        report.residue["Dagster's database"] = found
    with pipeline.warehouse.connect() as connection:
        counts = {place: len(found) for place, found in report.residue.items()}
        tables.finish_erasures(connection, counts, is_clean=report.is_clean)


# -- steps -------------------------------------------------------------------------------------------------------------


def _clean_texts(pipeline: Pipeline, needles: Needles, listen: Listener) -> None:
    """Ledgers and Dagster's event log are evidence and stay; identifiers in them go (samples, names of files)."""
    listen("ledgers", "governance")
    with pipeline.warehouse.connect() as connection:
        tables.scrub(connection, needles, tables.EVIDENCE)
    listen("ledgers", "Dagster's database")
    with psycopg.connect(pipeline.warehouse.dagster.libpq()) as connection:
        tables.scrub(connection, needles)


def _clean_landing(pipeline: Pipeline, chosen: Plan, listen: Listener) -> dict[str, str]:
    def on_file(path: str) -> None:
        listen("landing", path)

    return remove_from_landing(pipeline.settings.landing, chosen.landing, on_file, pipeline.landing_store)


def _forget_in_lake(pipeline: Pipeline, place: LakeDay, marks: Tombstones, db: duckdb.DuckDBPyConnection) -> None:
    try:
        forget_in_lake(place, marks, db, pipeline.lake_store)
    except StoreError as error:
        raise StoreError(
            f"{error}; {place.dataset} of {place.day} is as it was, the person in it: run the same command again"
        ) from error


def _sweep(pipeline: Pipeline, chosen: Plan, listen: Listener) -> None:
    """What running the days did not replace: kept versions, marts of blocked days, days that could not be run."""
    listen("sweep", "tables")
    with pipeline.warehouse.connect() as connection:
        pseudonyms, sessions = tables.marked_values(connection, chosen.marks)
        pseudonyms |= {chosen.pseudonym}
        forget_versions(connection, sorted(pseudonyms), sorted(sessions | chosen.sessions))
        tables.sweep(connection, pseudonyms, sessions | chosen.sessions)
    listen("sweep", "lake")
    with connected(pipeline.settings.lake / ".spill") as db:
        for place in find_in_lake(pipeline.settings.lake, chosen.marks, db):
            _forget_in_lake(pipeline, place, chosen.marks, db)


def _records_left(pipeline: Pipeline, chosen: Plan, listen: Listener) -> dict[str, str]:
    """Landed records that still bear a mark."""
    settings = pipeline.settings
    if store := pipeline.landing_store:
        store.pull()
    with connected(settings.lake / ".spill") as db:
        left = find_in_landing(settings.landing, chosen.marks, db, lambda path: listen("search", path))
    return {path: f"{len(hits.lines):,} record(s)" for path, hits in left.items()}


# -- days and places ---------------------------------------------------------------------------------------------------


def _days_of_files(pipeline: Pipeline, paths: Iterable[str]) -> set[str]:
    """Days that change when these files do; those of the files that take their days from them as well."""
    changed = set(paths)
    files = [f for f in pipeline.files() if f.path in changed or changed & f.companions.keys()]
    return {day for file in files for day in file.days}


def _runnable(pipeline: Pipeline, days: Iterable[str]) -> set[str]:
    """Those of the days that are loaded and that a run can reach; the others hold nothing, or are swept."""
    first, last = first_day(pipeline.settings).isoformat(), today(pipeline.settings).isoformat()
    with pipeline.warehouse.connect() as connection:
        loaded = {row["day"] for row in ledger.loaded_days(connection)}
    return {day for day in loaded.intersection(days) if first <= day <= last}


def _fetch_lake(pipeline: Pipeline) -> None:
    """The local copy of a lake on an object store may hold some days only."""
    if (store := pipeline.lake_store) is None:
        return
    with pipeline.warehouse.connect() as connection:
        loads = ledger.rows(connection, "select dataset, day::text from governance.loads where is_live")
    for load in loads:
        if load["dataset"] in DATASETS:
            store.fetch(LakeDay(pipeline.settings.lake, load["dataset"], load["day"]).paths)


def _uncertified(pipeline: Pipeline, days: Sequence[str]) -> dict[str, str]:
    with pipeline.warehouse.connect() as connection:
        found = ledger.rows(
            connection,
            "select day::text, status, reasons -> 0 ->> 'text' as why from governance.day_status "
            "where day = any(%s::date[]) and status not like 'certified%%' order by day",
            [list(days)],
        )
    return {row["day"]: f"{row['status']}: {row['why'] or 'see voiceai status'}" for row in found}


def _folders(home: Path) -> dict[str, Path]:
    """Where files lie that may hold anything of a person."""
    return {name: home / name for name in ("landing", "lake", "replaced", "models", "logs", "dagster", "dbt")}
