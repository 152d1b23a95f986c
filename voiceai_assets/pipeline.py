"""The steps of a day as plain functions: what an asset or a command calls, in words of the domain.

Belongs here: composition of lake, warehouse, checks and publication. Does not belong here: Dagster, SQL, printing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from voiceai_assets.automation.planning import DayState, days_to_repair
from voiceai_assets.automation.retention import limit
from voiceai_assets.catalogue import definitions
from voiceai_assets.checks import structure
from voiceai_assets.checks.expectations import Validator
from voiceai_assets.checks.gate import Recorded, Verdict, decide, demands, in_force, waivers_changed
from voiceai_assets.checks.judging import evaluate
from voiceai_assets.checks.reviewed import Waiver, waivers
from voiceai_assets.checks.suites import Suite, all_suites, is_asked
from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.abreast import refine_abreast
from voiceai_assets.lake.account import DayLoad, LakeDay, with_erasures
from voiceai_assets.lake.inbox import Refresh, files_by_day, input_fingerprint, refresh
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.lake.remote import Remote, forget_left_out
from voiceai_assets.partitions import today
from voiceai_assets.privacy.pseudonyms import Pseudonymiser, load_pseudonymiser
from voiceai_assets.rotation import assert_key_of, held_key
from voiceai_assets.settings import Settings
from voiceai_assets.sources import longest_timeout_minutes
from voiceai_assets.transcripts.version import code_version as transcripts_version
from voiceai_assets.versions import code_revision, lock_sha256, mart_code_version, views_code_version
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.copy import load_day
from voiceai_assets.warehouse.erasure import tombstones
from voiceai_assets.warehouse.locks import held_days
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.publications import Publication, publish_day, withdraw_day
from voiceai_assets.warehouse.readers import columns_of, ensure_readers
from voiceai_assets.warehouse.server import Warehouse, open_warehouse


class RefusedRowsError(RuntimeError):
    """PostgreSQL refuses rows of the lake; the message says which table's and why, without the row."""


@dataclass(frozen=True)
class Pipeline:
    """The platform on one warehouse and one home."""

    settings: Settings
    warehouse: Warehouse

    @classmethod
    def open(cls, settings: Settings) -> Pipeline:
        """Start or reach the warehouse.

        Raises:
            WarehouseError: when there is none.
        """
        return cls(settings, open_warehouse(settings))

    def held_key(self) -> AbstractContextManager[Pseudonymiser]:
        """The pseudonym key, which nobody rotates until the end of the block.

        Raises:
            WrongKeyError: when the key files are not those of the tables.
        """
        return held_key(self.settings, self.warehouse)

    def held_days(self, days: Iterable[str]) -> AbstractContextManager[None]:
        """Keep other runs' steps away from these days meanwhile."""
        return held_days(self.warehouse, days)

    def dbt_environment(self) -> dict[str, str]:
        """What the dbt project reads, the window of days aside: where the warehouse is, and the settings of models."""
        return {
            **self.warehouse.dbt_environment(),
            "DBT_SESSION_TIMEOUT_MINUTES": str(self.settings.session_timeout_minutes),
            "DBT_SOURCE_TIMEZONE": self.settings.source_timezone,
        }

    # -- landing ---------------------------------------------------------------------------------------------------

    def look_into_landing(self, *, quiet_seconds: float | None = None, limit_bytes: int | None = None) -> Refresh:
        """Bring the index of landing up to date.

        Raises:
            StoreError: when landing lies on an object store that cannot be read.
        """
        if store := self.landing_store:
            store.pull()
        else:
            forget_left_out(self.settings.landing)
        with self.warehouse.connect() as connection:
            known = ledger.known_files(connection)
        found = refresh(
            self.settings.landing,
            known,
            timezone=self.settings.source_timezone,
            quiet_seconds=self.settings.quiet_seconds if quiet_seconds is None else quiet_seconds,
            limit_bytes=limit_bytes,
        )
        with self.warehouse.connect() as connection:
            ledger.record_refresh(connection, found)
        return found

    @property
    def landing_store(self) -> Remote | None:
        """The object store that landing lies on, if it does; who changes a file in landing pushes it."""
        url = self.settings.landing_url
        return Remote(url, self.settings.landing) if url else None

    @property
    def lake_store(self) -> Remote | None:
        """The object store that the lake is written to as well, if there is one."""
        return Remote(self.settings.lake_url, self.settings.lake) if self.settings.lake_url else None

    def files(self) -> list[IndexedFile]:
        """Every file in landing, as last looked at."""
        with self.warehouse.connect() as connection:
            return list(ledger.known_files(connection).values())

    def input_fingerprints(self) -> dict[str, str]:
        """What each day's present files would be loaded as: the load ids of its datasets, in one text."""
        files = self.files()
        by_day = files_by_day(files)
        with self.warehouse.connect() as connection:
            erased = ledger.erased_records(connection)
            frozen = self._frozen(connection, files)
            loaded = {row["day"]: row["loads"] for row in ledger.loaded_days(connection)} if frozen else {}
        return {
            day: self._frozen_load(day, loaded)
            if day in frozen
            else _loads_text(self._expected_loads(day, by_day[day], erased))
            for day in by_day
        }

    def frozen_days(self) -> set[str]:
        """Days whose landed files retention removed."""
        with self.warehouse.connect() as connection:
            return self._frozen(connection, self.files())

    def _frozen(self, connection: ledger.Connection, files: Sequence[IndexedFile]) -> set[str]:
        """Days of files that retention removed: the lake is the only place they can be loaded from."""
        retired = ledger.retired_files(connection)
        return {day for f in files if f.path in retired for day in f.days}

    def _frozen_load(self, day: str, loaded: Mapping[str, str]) -> str:
        """A day that cannot be read again is never stale: what it was loaded as is what it would be loaded as."""
        return loaded.get(day) or _loads_text({load.dataset: load.load_id for load in self._accounts(day)})

    def late_files(self) -> dict[str, list[str]]:
        """Files that came after the other files of a day were retired, with the days that cannot take them in."""
        files = self.files()
        with self.warehouse.connect() as connection:
            frozen = self._frozen(connection, files)
            retired, booked = ledger.retired_files(connection), ledger.booked_files(connection)
        found = {
            f.path: sorted(day for day in f.days & frozen if not is_booked(f, day, booked))
            for f in files
            if f.path not in retired
        }
        return {path: days for path, days in found.items() if days}

    def _expected_loads(
        self, day: str, files: Sequence[IndexedFile], erased: ledger.Erased | None = None
    ) -> dict[str, str]:
        """Dataset -> load id that the files would give; turns always, because a day without any must not be silent.

        Records of the forgotten are known once a file was refined: until then a file that was landed again promises
        its old load id, and gets the one that fits when it is read.
        """
        known = erased or {}
        lineage = load_pseudonymiser(self.settings).lineage
        zone = self.settings.source_timezone
        found = {
            dataset: [f for f in files if f.feeds(dataset, day)]
            for dataset in DATASETS
            if dataset == "turns" or any(f.feeds(dataset, day) for f in files)
        }
        return {
            name: with_erasures(
                input_fingerprint(name, inputs, timezone=zone, key_id=lineage),
                {f.path: known.get((name, day), {}).get((f.path, f.sha256), 0) for f in inputs},
            )
            for name, inputs in found.items()
        }

    def loaded_fingerprints(self) -> dict[str, str]:
        """The same for what each day was last loaded as, days loaded without any file left out."""
        with self.warehouse.connect() as connection:
            return {row["day"]: row["loads"] for row in ledger.loaded_days(connection) if row["has_files"]}

    # -- lake and raw ----------------------------------------------------------------------------------------------

    def refine(self, days: Sequence[str]) -> Iterator[tuple[str, list[DayLoad], Exception | None]]:
        """Write the days into the lake, each reported as soon as it is there; one that cannot be read stops no other.

        A day that fails is no longer loaded as far as the gate is concerned: what the tables hold is not what lies
        in landing. A day whose files were retired stays in the lake as it is.
        """
        with self.held_key() as pseudonymise:
            yield from self._refine(days, pseudonymise)

    def _refine(
        self, days: Sequence[str], pseudonymise: Pseudonymiser
    ) -> Iterator[tuple[str, list[DayLoad], Exception | None]]:
        files = self.files()
        with self.warehouse.connect() as connection:
            frozen = self._frozen(connection, files)
            forgotten = tombstones(connection, pseudonymise)

        def refinery(share: Sequence[str]) -> Refinery:
            return Refinery(
                self.settings.landing,
                self.settings.lake,
                self.settings.source_timezone,
                pseudonymise,
                share,
                tombstones=forgotten,
                texts_from=self.texts_from(),
            )

        for day in sorted(frozen.intersection(days)):
            yield day, self._accounts(day), None
        for day, loads, problem in refine_abreast([d for d in days if d not in frozen], files, refinery):
            trouble = problem or self._push(day, loads)
            if trouble:
                self._retire(day)
            yield day, [] if trouble else loads, trouble

    def _push(self, day: str, loads: Sequence[DayLoad]) -> OSError | None:
        """Bring a day of the lake to its object store, if it has one; what went wrong, or None."""
        if store := self.lake_store:
            try:
                store.push(p for load in loads for p in LakeDay(self.settings.lake, load.dataset, day).paths)
            except OSError as error:
                return error
        return None

    def _accounts(self, day: str) -> list[DayLoad]:
        """A day of the lake as it was last written."""
        places = [LakeDay(self.settings.lake, dataset, day) for dataset in DATASETS]
        for place in places:
            if store := self.lake_store:
                store.fetch(place.paths)
        return [place.read_account() for place in places if place.account.exists()]

    def _retire(self, day: str) -> None:
        for dataset in DATASETS:
            place = LakeDay(self.settings.lake, dataset, day)
            place.account.unlink(missing_ok=True)
            if store := self.lake_store:
                store.push([place.account])
        with self.warehouse.connect() as connection:
            self._disown(connection, day)

    @staticmethod
    def _disown(connection: ledger.Connection, day: str) -> None:
        """Nothing may be certified from what the tables hold of a day, whichever of its datasets is at fault."""
        for dataset in DATASETS:
            ledger.retire_load(connection, dataset, day)

    def load(self, day: str) -> list[DayLoad]:
        """One day, as :meth:`load_days` loads it; its problem is raised."""
        [(_, loads, problem)] = self.load_days([day])
        if problem:
            raise problem
        return loads

    def load_days(self, days: Iterable[str]) -> Iterator[tuple[str, list[DayLoad], RefusedRowsError | None]]:
        """Load days of the lake into ``raw``, replacing them, each dataset of a day in one transaction.

        A dataset that no file feeds any more is emptied, and its part of the lake removed. A day with a value that
        PostgreSQL refuses stops no other; it is no longer loaded as far as the gate is concerned.
        """
        with self.held_key() as pseudonymise, self.warehouse.connect(autocommit=True) as connection:
            for day in days:
                with self.held_days([day]):
                    try:
                        loads, problem = self._load(connection, day, pseudonymise), None
                    except RefusedRowsError as error:
                        self._disown(connection, day)
                        loads, problem = [], error
                yield day, loads, problem

    def _load(self, connection: ledger.Connection, day: str, pseudonymise: Pseudonymiser) -> list[DayLoad]:
        loads = []
        for dataset in DATASETS:
            place = LakeDay(self.settings.lake, dataset, day)
            if store := self.lake_store:
                store.fetch(place.paths)
            try:
                account = place.read_account()
            except FileNotFoundError:
                continue
            assert_key_of(account, pseudonymise)
            try:
                with connection.transaction():
                    load_day(connection, self.settings.lake, account)
                    if not account.files and dataset != "turns":
                        ledger.retire_load(connection, dataset, day)
            except psycopg.DataError as error:
                # in the server's first words: its details quote the row
                why = error.diag.message_primary
                raise RefusedRowsError(f"{day}: PostgreSQL refuses rows of raw.{dataset}: {why}") from error
            if not account.files and dataset != "turns":
                shutil.rmtree(place.rows.parent)
                if store := self.lake_store:
                    store.push(place.paths)
                continue
            loads.append(account)
        return loads

    # -- marts -----------------------------------------------------------------------------------------------------

    def name_mart_loads(self, days: Sequence[str]) -> dict[str, str]:
        """Record what the marts of each loaded day are about to be built from; dbt writes these ids into its rows."""
        version = self.mart_code_version()
        names = {}
        with self.warehouse.connect() as connection:
            ledger.forget_results(connection, days, structure.DBT)
            for day in days:
                name = self._mart_load_id(connection, day)
                if name is not None:
                    ledger.record_mart_load(connection, day, name, version)
                    names[day] = name
            if len(days) > 1:
                # of what was just written the planner would think a row or two, and read every turn of the range once
                # per day: 3.8 s instead of 0.2 s for 90 small days, and the square of that for four times as many
                connection.execute("analyze raw.session_days, governance.loads")
        return names

    def refuse_marts(self, day: str, nodes: Sequence[structure.FailedNode], run_id: str) -> None:
        """Say what dbt found wrong with the marts of a day, which must be built again to be certified."""
        with self.warehouse.connect() as connection:
            if load_id := ledger.live_load_id(connection, "marts", day):
                ledger.record_results(connection, day, {structure.DBT: load_id}, run_id, structure.as_results(nodes))
            ledger.retire_load(connection, "marts", day)
            self._settle(connection, day, run_id)

    def _mart_load_id(self, connection: ledger.Connection, day: str) -> str | None:
        return ledger.mart_load_id(connection, day, self.mart_code_version(), self.longest_timeout_minutes)

    @property
    def longest_timeout_minutes(self) -> int:
        """Silence after which a session of any source has ended."""
        return longest_timeout_minutes(self.settings.session_timeout_minutes)

    def expected_mart_load(self, connection: ledger.Connection, day: str) -> str | None:
        """What the marts of a day would be called if they were built now; None where the day was never loaded."""
        return self._mart_load_id(connection, day)

    def texts_from(self) -> str | None:
        """First day whose free text is kept; None where all is."""
        return limit(datetime.now(UTC), self.settings.source_timezone, self.settings.keep_text_days)

    def mart_code_version(self) -> str:
        """What besides the data decides the marts: dbt's code, the rules that read transcripts, settings."""
        settings = self.settings
        code = f"{mart_code_version()}-{transcripts_version()}"
        return f"{code}-{settings.session_timeout_minutes}-{settings.source_timezone}"

    # -- judgement and publication ---------------------------------------------------------------------------------

    def judge(
        self, suites: Sequence[Suite], days: Sequence[str], validator: Validator, run_id: str
    ) -> dict[str, dict[str, list[ledger.CheckResult]]]:
        """Evaluate suites on days and write the results into the ledger, under the loads that were looked at.

        A day of which nothing is loaded is judged too: a day without any event must fail, not be silent.

        Returns:
            day -> suite -> results of its rules; suites of datasets that a day has nothing of are left out.
        """
        # samples of rows hold pseudonyms: a rotation between looking and writing would leave old ones in the ledger
        with self.held_key(), self.held_days(days), self.warehouse.connect(autocommit=True) as connection:
            before = {day: self._load_ids(connection, day) for day in days}
            found = evaluate(self.warehouse, suites, before, validator)
            for day in days:
                with connection.transaction():
                    self._keep(connection, day, suites, found[day], before[day], run_id)
        return found

    def _keep(
        self,
        connection: ledger.Connection,
        day: str,
        suites: Sequence[Suite],
        found: Mapping[str, Sequence[ledger.CheckResult]],
        before: Mapping[str, str | None],
        run_id: str,
    ) -> None:
        now = self._load_ids(connection, day)
        for suite in suites:
            if suite.suite in found and now.get(suite.dataset) != before.get(suite.dataset):
                raise RuntimeError(f"{day} was loaded again while {suite.suite} looked at it; run the day again")
        load_ids = {s.suite: now.get(s.dataset) or ledger.NOTHING_LOADED for s in suites}
        results = [r for its_results in found.values() for r in its_results]
        ledger.record_results(connection, day, load_ids, run_id, results)
        self._settle(connection, day, run_id)

    def waived(self, day: str) -> dict[str, Waiver]:
        """Check -> waiver that holds for it on this day today.

        Raises:
            ReviewedFileError: when expectations/waivers.yaml has a mistake.
        """
        return in_force(waivers(), day, today(self.settings))

    def verdict(self, connection: ledger.Connection, day: str) -> tuple[Verdict, dict[str, str | None]]:
        """What the gate says of a day now, and the loads it speaks of."""
        load_ids, expected = self._load_ids(connection, day), self._mart_load_id(connection, day)
        if load_ids["marts"] != expected:
            load_ids["marts"] = None  # built from something else than what is loaded now: not built, for the gate
        recorded = [
            Recorded(r["asset"], r["check_name"], r["load_id"], r["suite_version"], r["status"], r["observed"])
            for r in ledger.results_of_day(connection, day)
        ]
        demanded = [*demands(all_suites(), load_ids), *structure.demanded(recorded, expected)]
        return decide(demanded, recorded, self.waived(day)), load_ids

    def _load_ids(self, connection: ledger.Connection, day: str) -> dict[str, str | None]:
        """What the suites judge of a day now: each dataset, all that was taken in together, the marts."""
        return {
            "turns": None,
            "marts": None,
            **ledger.live_load_ids(connection, day),
            "intake": ledger.intake_id(connection, day),
        }

    def _settle(self, connection: ledger.Connection, day: str, run_id: str) -> Verdict:
        """Keep the verdict where readers find it; bad data takes the day's older publication out of sight."""
        verdict, load_ids = self.verdict(connection, day)
        ledger.record_verdict(
            connection, day, verdict.status, [r.as_dict() for r in verdict.reasons], load_ids["turns"], run_id
        )
        if verdict.is_bad_data:
            withdraw_day(connection, day)
        return verdict

    def is_built(self, part: str) -> bool:
        """Whether a part of the dbt project is of the present code: staging, marts or views."""
        with self.warehouse.connect() as connection:
            return ledger.built_version(connection, part) == _PARTS[part]()

    def record_built(self, part: str) -> None:
        """Remember that a part is of the present code."""
        with self.warehouse.connect() as connection:
            ledger.record_built(connection, part, _PARTS[part]())

    def readers_need_views(self) -> bool:
        """Bring tables and views of readers up to date; whether the views over days must be made (again).

        Never before every mart was built once.
        """
        with self.warehouse.connect() as connection:
            ensure_readers(connection)
            if any(not columns_of(connection, "certified", mart) for mart in certified_marts()):
                return False
        return not self.is_built("views")

    def publish(self, day: str, run_id: str) -> tuple[Verdict, list[Publication]]:
        """One day, as :meth:`publish_days` publishes it."""
        [(_, verdict, publications)] = self.publish_days([day], run_id)
        return verdict, publications

    def publish_days(self, days: Iterable[str], run_id: str) -> Iterator[tuple[str, Verdict, list[Publication]]]:
        """Publish each day that the gate lets through; of another nothing becomes visible and the verdict says why."""
        with self.held_key(), self.warehouse.connect(autocommit=True) as connection:
            for day in days:
                with self.held_days([day]), connection.transaction():
                    verdict, publications = self._publish(connection, day, run_id)
                yield day, verdict, publications

    def _publish(self, connection: ledger.Connection, day: str, run_id: str) -> tuple[Verdict, list[Publication]]:
        verdict = self._settle(connection, day, run_id)
        if not verdict.may_publish:
            return verdict, []
        marts = ledger.live_load_id(connection, "marts", day)
        assert marts is not None
        return verdict, publish_day(connection, day, marts, self._evidence(connection, day, verdict))

    def days_to_repair(self, within: Sequence[str]) -> dict[str, str]:
        """Days that must be run again, with the reason: missing, failed or stale."""
        expected = self.input_fingerprints()
        with self.warehouse.connect() as connection:
            known = {row["day"]: row for row in ledger.day_states(connection)}
            states = [
                DayState(
                    day=day,
                    expected_load=expected.get(day)
                    or (_loads_text(self._expected_loads(day, [])) if row.get("loaded") else None),
                    expected_mart=self._mart_load_id(connection, day),
                    loaded=row.get("loaded"),
                    built_mart=row.get("built_mart"),
                    judged_suites=frozenset(row.get("judged_suites") or ()),
                    status=row.get("status"),
                    has_error=bool(row.get("has_error")),
                    published_load=row.get("published_load"),
                    demanded_suites=_suites_of(row.get("loaded")),
                    waivers_changed=waivers_changed(row.get("reasons") or (), self.waived(day)),
                    tried_mart=row.get("tried_mart"),
                    is_blocked_by_marts=any(
                        r["kind"] == "failed" and r["asset"].startswith("marts/") for r in row.get("reasons") or ()
                    ),
                )
                for day in sorted(expected.keys() | known.keys())
                for row in [known.get(day, {})]
            ]
        return days_to_repair(states, within)

    def _evidence(self, connection: ledger.Connection, day: str, verdict: Verdict) -> dict[str, Any]:
        """What a certificate rests on; nothing in it depends on when or how often the day was run."""
        loads = ledger.evidence_of_loads(connection, day)
        judged = [*(load["load_id"] for load in loads), ledger.intake_id(connection, day)]
        return {
            "status": verdict.status.value,
            "loads": loads,
            "checks": ledger.evidence_of_checks(connection, day, judged),
            "warnings": [r.as_dict() for r in verdict.reasons],
            "definitions": definitions(),
            "code": {
                "revision": code_revision(self.settings),
                "marts": self.mart_code_version(),
                "lock": lock_sha256(),
            },
            "settings": {
                "key_id": load_pseudonymiser(self.settings).key_id,
                "session_timeout_minutes": self.settings.session_timeout_minutes,
                "source_timezone": self.settings.source_timezone,
            },
        }


_PARTS = {"staging": mart_code_version, "marts": mart_code_version, "views": views_code_version}


def _suites_of(loaded: str | None) -> frozenset[str]:
    """Versions of the suites that are asked of a day with these loads."""
    datasets = [part.split(":")[0] for part in loaded.split(",")] if loaded else []
    loads = dict.fromkeys(datasets, "loaded")
    return frozenset(suite.version for suite in all_suites() if is_asked(suite, loads))


def _loads_text(loads: Mapping[str, str]) -> str:
    """Load ids of a day's datasets in one text, as the ledger spells it too."""
    return ",".join(f"{dataset}:{load_id}" for dataset, load_id in sorted(loads.items()))


def is_booked(file: IndexedFile, day: str, booked: set[tuple[str, str, str, str]]) -> bool:
    """Whether all that a file holds of a day is in the account of what is loaded."""
    return all((dataset, day, file.path, file.sha256) in booked for dataset in file.rows if file.feeds(dataset, day))
