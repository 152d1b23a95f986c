"""From the files up: landing against the ledger, the lake and ``raw`` against what the files give when read again.

Belongs here: reading a day once more into a folder of its own and comparing rows. Does not belong here: ledgers
against certificates (``evidence``), marts (``rebuild``).

What retention removed cannot be read again. Such a day is compared with the lake as it was loaded; a remark says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.contracts import DATASETS
from voiceai_assets.governance.findings import Finding, remark
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.erasure import connected
from voiceai_assets.lake.inbox import files_by_day
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.parquet import from_parquet
from voiceai_assets.lake.parsed import LandingChangedError
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.lake.texts import drop_texts
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.copy import copy_quarantine, copy_rows
from voiceai_assets.warehouse.erasure import tombstones

Connection = psycopg.Connection[Any]
_LINES_SHOWN = 5


@dataclass(frozen=True)
class Loaded:
    """A live load, as the ledger has it."""

    dataset: str
    load_id: str
    lake_sha256: str | None
    quarantine_sha256: str | None
    is_without_texts: bool


class Recount:
    """Reads days again, one after the other; a file of many days is hashed and parsed once."""

    def __init__(self, pipeline: Pipeline, days: Sequence[str], scratch: Path) -> None:
        """Read into ``scratch``, which is somebody else's to remove."""
        self._pipeline, self._scratch = pipeline, scratch
        settings = pipeline.settings
        self._by_day = files_by_day(pipeline.files())
        self._sha256: dict[str, str | None] = {}
        pseudonymise = load_pseudonymiser(settings)
        with pipeline.warehouse.connect() as connection:
            self._retired = ledger.retired_files(connection)
            forgotten = tombstones(connection, pseudonymise)
        self._refinery = Refinery(
            settings.landing, scratch, settings.source_timezone, pseudonymise, days, tombstones=forgotten
        )

    def close(self) -> None:
        """Release memory."""
        self._refinery.close()

    def day(self, day: str) -> list[Finding]:
        """Everything between landing and ``raw`` that differs on a day."""
        with self._pipeline.warehouse.connect() as connection:
            loads = _live_loads(connection, day)
            found, is_readable = self._landing(connection, day)
        again = self._read_again(day) if is_readable else {}
        if again is None:
            is_readable, again = False, {}
            found.append(
                remark("landing", day, "a file was touched since it was loaded; compared with the lake instead")
            )
        for load in loads:
            found += self._dataset(load, day, again.get(load.dataset) if is_readable else None)
        return found

    # -- landing -------------------------------------------------------------------------------------------------------

    def _landing(self, connection: Connection, day: str) -> tuple[list[Finding], bool]:
        """Files that are not those of the ledger, and whether the day can be read again from them."""
        booked = ledger.rows(
            connection,
            "select distinct f.file, f.sha256 from governance.load_files f join governance.loads l "
            "using (dataset, day, load_id) where f.day = %s and l.is_live order by 1",
            [day],
        )
        found, is_readable = [], True
        for row in booked:
            place = f"landing/{row['file']}"
            now = self._sha256_of(row["file"])
            if now == row["sha256"]:
                continue
            is_readable = False
            if now is None and row["file"] in self._retired:
                found.append(remark(place, day, "retention removed it; the day is compared with the lake"))
            elif now is None:
                found.append(Finding(place, day, f"is gone; loaded was sha256 {row['sha256']}"))
            else:
                found.append(Finding(place, day, f"has sha256 {now}; loaded was {row['sha256']}"))
        late = {f.path for f in self._by_day.get(day, ())} - {row["file"] for row in booked}
        if late and is_readable:
            is_readable = False
            names = ", ".join(sorted(late)[:3])
            found.append(remark("landing", day, f"{len(late)} file(s) are not loaded yet: {names}"))
        return found, is_readable

    def _sha256_of(self, path: str) -> str | None:
        if path not in self._sha256:
            file = self._pipeline.settings.landing / path
            self._sha256[path] = sha256_of(file) if file.is_file() else None
        return self._sha256[path]

    def _read_again(self, day: str) -> dict[str, str] | None:
        """Read the day's files into the scratch lake; dataset -> load id, or None where landing moved meanwhile."""
        try:
            loads = self._refinery.refine(day, self._by_day.get(day, ()))
            return {load.dataset: load.load_id for load in loads}
        except (OSError, LandingChangedError):
            return None

    # -- lake and raw --------------------------------------------------------------------------------------------------

    def _dataset(self, load: Loaded, day: str, load_id: str | None) -> list[Finding]:
        place = LakeDay(self._pipeline.settings.lake, load.dataset, day)
        again = LakeDay(self._scratch, load.dataset, day)
        if store := self._pipeline.lake_store:
            store.fetch(place.paths)
        found = [
            finding
            for path, sha256 in ((place.rows, load.lake_sha256), (place.quarantine, load.quarantine_sha256))
            if (finding := self._lake_file(path, day, sha256)) is not None
        ]
        if load_id is not None and load_id != load.load_id:
            text = f"{load.dataset} would be load {load_id} today, not {load.load_id}: code, key or zone changed since"
            found.append(remark("governance.loads", day, f"{text}; compared with the lake instead"))
            load_id = None
        is_lake_sound = not any(finding.is_difference for finding in found)
        if load_id is not None:
            if self._has_lost_texts(load, day) and sha256_of(again.rows) != load.lake_sha256:
                with connected(self._scratch / ".spill") as db:
                    drop_texts(again, db)
            found += self._lake_rows(place, again, day, load.lake_sha256)
            found += self._raw(load, again, day, "the files")
        elif is_lake_sound and place.rows.exists():
            found += self._raw(load, place, day, "the lake")
        return found

    def _has_lost_texts(self, load: Loaded, day: str) -> bool:
        """Whether retention may have taken the texts: as a step of its own, or while the day was read."""
        first_kept = self._pipeline.texts_from()
        return load.is_without_texts or (first_kept is not None and day < first_kept)

    def _lake_file(self, path: Path, day: str, sha256: str | None) -> Finding | None:
        name = self._name(path)
        if not path.exists():
            return Finding(name, day, "is gone from the lake")
        if sha256 is None:
            return remark(name, day, "was loaded before checksums of the lake were kept")
        now = sha256_of(path)
        return None if now == sha256 else Finding(name, day, f"has sha256 {now}; loaded was {sha256}")

    def _lake_rows(self, place: LakeDay, again: LakeDay, day: str, sha256: str | None) -> list[Finding]:
        """Rows, where bytes differ: another version of the Parquet writer is no difference."""
        if not place.rows.exists() or sha256_of(again.rows) in (sha256, sha256_of(place.rows)):
            return []
        lake, files = from_parquet(place.rows), from_parquet(again.rows)
        with connected(self._scratch / ".spill") as db:
            counted = [
                db.execute(f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})").fetchall()[0][0]
                for one, other in ((lake, files), (files, lake))
            ]
        if not any(counted):
            return []
        text = f"{counted[0]:,} row(s) that the files do not give, {counted[1]:,} that they give and it lacks"
        return [Finding(self._name(place.rows), day, text)]

    def _raw(self, load: Loaded, place: LakeDay, day: str, source: str) -> list[Finding]:
        contract = DATASETS[load.dataset]
        table = sql.Identifier("raw", load.dataset)
        with self._pipeline.warehouse.connect() as connection:
            own = sql.Identifier("recount")
            connection.execute(sql.SQL("create temp table {} (like {}) on commit drop").format(own, table))
            copy_rows(connection, place, own, freeze=False)
            stored = sql.SQL("select * from {} where {} = {}").format(
                table, sql.Identifier(contract.day_column), sql.Literal(day)
            )
            found = _compare(connection, f"raw.{load.dataset}", day, stored, own, source)
            refused = sql.Identifier("recount_quarantine")
            connection.execute(
                sql.SQL("create temp table {} (like governance.quarantine) on commit drop").format(refused)
            )
            copy_quarantine(connection, place, refused)
            stored = sql.SQL("select * from governance.quarantine where dataset = {} and day = {}").format(
                sql.Literal(load.dataset), sql.Literal(day)
            )
            return found + _compare(connection, "governance.quarantine", day, stored, refused, source, line="line")

    def _name(self, path: Path) -> str:
        return f"lake/{path.relative_to(self._pipeline.settings.lake).as_posix()}"


@contextmanager
def recount(pipeline: Pipeline, days: Sequence[str]) -> Iterator[Recount]:
    """A recount of some days, with a scratch lake beside the real one that goes in the end."""
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=pipeline.settings.home) as folder:
        made = Recount(pipeline, days, Path(folder))
        try:
            yield made
        finally:
            made.close()


def _live_loads(connection: Connection, day: str) -> list[Loaded]:
    found = connection.execute(
        "select dataset, load_id, lake_sha256, quarantine_sha256, texts_dropped_at is not null from governance.loads "
        "where day = %s and is_live and dataset <> 'marts' order by dataset",
        [day],
    ).fetchall()
    return [Loaded(*row) for row in found]


def _compare(
    connection: Connection,
    place: str,
    day: str,
    stored: sql.Composed,
    own: sql.Identifier,
    source: str,
    line: str = "source_line",
) -> list[Finding]:
    """Rows of a table against rows that were read again: first by a checksum, one by one only where that differs."""
    totals = sql.SQL("select count(*), sum(hash_record_extended(t, 0)), sum(hash_record_extended(t, 1)) from ({}) t")
    again = sql.SQL("select * from {}").format(own)
    one, other = (connection.execute(totals.format(query)).fetchone() for query in (stored, again))
    if one == other:
        return []
    counted = []
    for first, second in ((stored, again), (again, stored)):
        query = sql.SQL("select count(*), (array_agg({line} order by {line}))[1:{n}] from ({a} except all {b}) d")
        row = connection.execute(
            query.format(line=sql.Identifier(line), n=sql.Literal(_LINES_SHOWN), a=first, b=second)
        ).fetchone()
        assert row is not None
        counted.append((row[0], f" (line {', '.join(map(str, row[1]))})" if row[1] else ""))
    (more, lines), (fewer, other_lines) = counted
    text = f"{more:,} row(s){lines} that {source} do not give, {fewer:,}{other_lines} that they give and it lacks"
    return [Finding(place, day, text)]
