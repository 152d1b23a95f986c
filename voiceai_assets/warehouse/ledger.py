"""Read and write the governance ledgers; every statement here is parameterised and idempotent.

Belongs here: SQL over ``governance``. Does not belong here: decisions (``checks.gate``, ``automation.planning``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.account import DayLoad
from voiceai_assets.lake.inbox import Refresh
from voiceai_assets.lake.indexing import IndexedFile

Connection = psycopg.Connection[Any]
#: (dataset, day) -> (file, sha256) -> refused records of people who were forgotten.
Erased = dict[tuple[str, str], dict[tuple[str, str], int]]

#: A session may go on for so many days after the day it started on; later turns are reported as orphans.
SESSION_SPAN_DAYS = 2
#: Under which results are filed that were made on a day of which nothing is loaded.
NOTHING_LOADED = "nothing loaded"


def known_files(connection: Connection) -> dict[str, IndexedFile]:
    """Every file in landing, as last looked at, by path."""
    rows = connection.execute(
        "select path, adapter, size_bytes, mtime_ns, sha256, rows, home_day::text, problem, companions, "
        "read_by from governance.landing_files"
    ).fetchall()
    return {row[0]: IndexedFile(*row) for row in rows}


def record_refresh(connection: Connection, refresh: Refresh) -> None:
    """Remember what was found in landing."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into governance.landing_files "
            "(path, adapter, size_bytes, mtime_ns, sha256, rows, home_day, problem, companions, read_by) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (path) do update set "
            "adapter = excluded.adapter, size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, "
            "sha256 = excluded.sha256, rows = excluded.rows, home_day = excluded.home_day, "
            "problem = excluded.problem, companions = excluded.companions, read_by = excluded.read_by, "
            "indexed_at = now(), retired_at = null",
            [
                (
                    f.path, f.adapter, f.size_bytes, f.mtime_ns, f.sha256,
                    Jsonb(f.rows), f.home_day, f.problem, Jsonb(f.companions), f.read_by,
                )
                for f in refresh.fresh
            ],
        )  # fmt: skip
        if refresh.gone:
            # asked here and not before: retention may have removed a file while somebody looked into landing
            query = "delete from governance.landing_files where path = any(%s) and retired_at is null"
            cursor.execute(query, [refresh.gone])


def retired_files(connection: Connection) -> set[str]:
    """Files that retention removed from landing; what was made of them stays."""
    found = connection.execute("select path from governance.landing_files where retired_at is not null").fetchall()
    return {row[0] for row in found}


def retire_files(connection: Connection, paths: Sequence[str]) -> None:
    """Remember files as retired. To be committed before they are deleted: a sensor that looks meanwhile must know."""
    connection.execute("update governance.landing_files set retired_at = now() where path = any(%s)", [list(paths)])


def old_loads(connection: Connection, first_kept: str) -> list[tuple[str, str, bool]]:
    """(dataset, day, whether its texts were taken out) of what is loaded of the days before."""
    query = (
        "select dataset, day::text, texts_dropped_at is not null from governance.loads "
        "where is_live and dataset <> 'marts' and day < %s"
    )
    return connection.execute(query, [first_kept]).fetchall()


def mark_without_texts(connection: Connection, dataset: str, day: str) -> None:
    """Remember that retention took the texts out of what is loaded; loading the day again forgets it."""
    connection.execute(
        "update governance.loads set texts_dropped_at = now() where dataset = %s and day = %s and is_live",
        [dataset, day],
    )


def booked_files(connection: Connection) -> set[tuple[str, str, str, str]]:
    """(dataset, day, file, sha256) of everything that is in the account of what is loaded now."""
    query = (
        "select f.dataset, f.day::text, f.file, f.sha256 from governance.load_files f join governance.loads l "
        "using (dataset, day, load_id) where l.is_live"
    )
    return set(connection.execute(query).fetchall())


def erased_records(connection: Connection) -> Erased:
    """Records that were refused because they are those of somebody who was forgotten."""
    found: Erased = {}
    query = "select dataset, day::text, file, sha256, rows_erased from governance.load_files where rows_erased > 0"
    for dataset, day, file, sha256, count in connection.execute(query).fetchall():
        found.setdefault((dataset, day), {})[file, sha256] = count
    return found


def record_load(connection: Connection, load: DayLoad, lake: tuple[str, str]) -> None:
    """Make this the live load of its day, with the account of each file and the checksums of rows and quarantine."""
    inputs = [{"file": f.file, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in load.files]
    _make_live(
        connection,
        (load.dataset, load.day, load.load_id),
        DATASETS[load.dataset].version,
        inputs,
        (load.rows_in, load.rows_loaded, load.rows_quarantined, load.rows_duplicate),
        load.key_id or None,
    )
    connection.execute(
        "update governance.loads set lake_sha256 = %s, quarantine_sha256 = %s "
        "where dataset = %s and day = %s and load_id = %s",
        [*lake, load.dataset, load.day, load.load_id],
    )
    connection.execute("delete from governance.load_files where dataset = %s and day = %s", [load.dataset, load.day])
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into governance.load_files (dataset, day, load_id, file, sha256, size_bytes, rows_in, rows_loaded, "
            "rows_quarantined, rows_duplicate, is_truncated, problem, rows_erased, is_open_ended) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    load.dataset, load.day, load.load_id, f.file, f.sha256, f.size_bytes,
                    f.rows_in, f.rows_loaded, f.rows_quarantined, f.rows_duplicate, f.is_truncated, f.problem,
                    f.rows_erased, f.is_open_ended,
                )
                for f in load.files
            ],
        )  # fmt: skip


def _make_live(
    connection: Connection,
    key: tuple[str, str, str],
    code_version: str,
    inputs: Any,
    counts: tuple[int, int, int, int],
    key_id: str | None = None,
) -> None:
    dataset, day, load_id = key
    connection.execute(
        "update governance.loads set is_live = false where dataset = %s and day = %s and is_live and load_id <> %s",
        [dataset, day, load_id],
    )
    connection.execute(
        "insert into governance.loads (dataset, day, load_id, is_live, code_version, inputs, rows_in, rows_loaded, "
        "rows_quarantined, rows_duplicate, key_id) values (%s, %s, %s, true, %s, %s, %s, %s, %s, %s, %s) "
        "on conflict (dataset, day, load_id) do update set is_live = true, code_version = excluded.code_version, "
        "inputs = excluded.inputs, rows_in = excluded.rows_in, rows_loaded = excluded.rows_loaded, "
        "rows_quarantined = excluded.rows_quarantined, rows_duplicate = excluded.rows_duplicate, loaded_at = now(), "
        "texts_dropped_at = null, key_id = excluded.key_id",
        [dataset, day, load_id, code_version, Jsonb(inputs), *counts, key_id],
    )


def record_sessions_of(
    connection: Connection, day: str, last_turn_at: datetime | None, last_open_turn_at: datetime | None
) -> None:
    """Remember what later questions about a day would have to scan its turns for.

    Bridges: the neighbouring days that share a session with it. Ends: its last turn, and the last turn of a session
    that declares no outcome.
    """
    connection.execute("delete from governance.session_bridges where day = %s or neighbour = %s", [day, day])
    # no statistics know of rows that were copied in this transaction: where ids are used again the next day, a hundred
    # thousand sessions compared one by one with as many others had not come to an end after twenty minutes
    connection.execute("set local enable_nestloop = off")
    connection.execute(
        "with pairs as (select distinct mine.turn_date as a, other.turn_date as b from raw.session_days mine "
        "join raw.session_days other using (session_id) where mine.turn_date = %(day)s and other.turn_date <> %(day)s "
        "and other.turn_date between %(day)s::date - %(span)s and %(day)s::date + %(span)s) "
        "insert into governance.session_bridges select a, b from pairs union select b, a from pairs",
        {"day": day, "span": SESSION_SPAN_DAYS},
    )
    connection.execute("set local enable_nestloop = on")
    connection.execute(
        "update governance.loads set last_turn_at = %s, last_open_turn_at = %s "
        "where dataset = 'turns' and is_live and day = %s",
        [last_turn_at, last_open_turn_at, day],
    )


def retire_load(connection: Connection, dataset: str, day: str) -> None:
    """Say that what the tables hold of a day is no longer what lies in landing: nothing may be certified from it."""
    connection.execute(
        "update governance.loads set is_live = false where dataset = %s and day = %s and is_live", [dataset, day]
    )


def live_load_id(connection: Connection, dataset: str, day: str) -> str | None:
    """Load that the tables of a dataset hold for a day, or None where nothing was loaded."""
    row = connection.execute(
        "select load_id from governance.loads where dataset = %s and day = %s and is_live", [dataset, day]
    ).fetchone()
    return row[0] if row else None


def live_load_ids(connection: Connection, day: str) -> dict[str, str]:
    """Dataset -> load that its table holds for a day; the marts are among them, what is not loaded is not."""
    query = "select dataset, load_id from governance.loads where day = %s and is_live"
    return dict(connection.execute(query, [day]).fetchall())


def intake_id(connection: Connection, day: str) -> str | None:
    """Name of everything that was taken in for a day, or None where no turns were: the key of the intake's checks."""
    row = connection.execute("select intake_id from governance.intakes where day = %s", [day]).fetchone()
    return row[0] if row else None


def loaded_days(connection: Connection) -> list[dict[str, Any]]:
    """What each day was loaded as: the live load ids of its datasets in one text, and whether any came from a file."""
    return rows(connection, "select day::text, loads, has_files from governance.intakes")


def mart_load_id(connection: Connection, day: str, code_version: str, timeout_minutes: int) -> str | None:
    """Name of what the marts of a day are made from, or None where the day was never loaded.

    Covers all that was taken in for the day and for the days that share a session with it (across midnight), the user
    lists that hold for the day, whether sessions still open at the day's end are settled by a later day, and the code.
    So a late neighbour, a reload and a changed model each make a new id, and no older verdict fits it.
    """
    own = intake_id(connection, day)
    if own is None:
        return None
    window = {"day": day, "span": SESSION_SPAN_DAYS, "timeout": timeout_minutes}
    neighbours = connection.execute(
        "select i.day::text, i.intake_id from governance.intakes i join governance.session_bridges b "
        "on b.neighbour = i.day and b.day = %(day)s order by i.day",
        window,
    ).fetchall()
    settled = connection.execute(
        "select own.last_open_turn_at + make_interval(mins => %(timeout)s) >= own.last_turn_at and exists ("
        "select from governance.loads later where later.dataset = 'turns' and later.is_live and later.rows_loaded > 0 "
        "and later.day > own.day and later.day <= own.day + %(span)s) "
        "from governance.loads own where own.dataset = 'turns' and own.is_live and own.day = %(day)s",
        window,
    ).fetchone()
    lists = connection.execute(
        "select distinct on (split_part(f.file, '/', 1)) split_part(f.file, '/', 1) as source, f.load_id "
        "from governance.load_files f where f.dataset = 'users' and f.rows_loaded > 0 "
        "order by split_part(f.file, '/', 1), f.day > %(day)s, abs(f.day - %(day)s::date)",
        window,
    ).fetchall()
    text = json.dumps(
        [own, [list(n) for n in neighbours], settled and settled[0], [list(n) for n in lists], code_version]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def evidence_of_loads(connection: Connection, day: str) -> list[dict[str, Any]]:
    """What the day's tables hold, with the account of each file; in an order and spelling that never vary."""
    loads = rows(
        connection,
        "select dataset, load_id, code_version, inputs, rows_in, rows_loaded, rows_quarantined, rows_duplicate "
        'from governance.loads where day = %s and is_live order by dataset collate "C"',
        [day],
    )
    files = rows(
        connection,
        "select f.dataset, f.file, f.sha256, f.size_bytes, f.rows_in, f.rows_loaded, f.rows_quarantined, "
        "f.rows_duplicate, f.rows_erased, f.is_truncated, f.problem from governance.load_files f "
        "join governance.loads l using (dataset, day, load_id) where f.day = %s and l.is_live "
        'order by f.dataset collate "C", f.file collate "C"',
        [day],
    )
    by_dataset: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        by_dataset.setdefault(file.pop("dataset"), []).append(file)
    return [{**load, "inputs": by_dataset.get(load["dataset"], load["inputs"])} for load in loads]


def evidence_of_checks(connection: Connection, day: str, load_ids: Sequence[str | None]) -> list[dict[str, Any]]:
    """Every result that was made on these loads, with what was demanded and what was observed."""
    return rows(
        connection,
        "select asset, check_name, load_id, suite_version, status, severity, observed, expected "
        "from governance.quality_results where day = %s and load_id = any(%s) "
        'order by asset collate "C", check_name collate "C"',
        [day, list(load_ids)],
    )


def record_mart_load(connection: Connection, day: str, load_id: str, code_version: str) -> None:
    """Make this the live load of the day's marts; dbt writes the id into every row it builds."""
    turns = live_load_id(connection, "turns", day)
    _make_live(connection, ("marts", day, load_id), code_version, {"turns": turns}, (0, 0, 0, 0))


def built_version(connection: Connection, part: str) -> str | None:
    """Code that a part of the dbt project was built from (staging, marts, views), or None where it never was."""
    row = connection.execute("select version from governance.built_parts where part = %s", [part]).fetchone()
    return row[0] if row else None


def record_built(connection: Connection, part: str, version: str) -> None:
    """Remember of which code a part is."""
    connection.execute(
        "insert into governance.built_parts (part, version) values (%s, %s) "
        "on conflict (part) do update set version = excluded.version",
        [part, version],
    )


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one expectation on one day."""

    asset: str
    check_name: str
    status: str
    severity: str
    description: str
    suite_version: str
    observed: Any = None
    expected: Any = None
    sample: Any = None


def record_results(
    connection: Connection, day: str, load_ids: Mapping[str, str], run_id: str, results: Iterable[CheckResult]
) -> None:
    """Write verdicts under (asset, check, day, load); ``load_ids`` says by suite which load was looked at.

    One statement: three hundred rules over ninety days as single inserts would take 3 s.
    """
    found = [{**asdict(r), "load_id": load_ids[r.check_name.split(".", 1)[0]]} for r in results]
    connection.execute(
        "insert into governance.quality_results (asset, check_name, day, load_id, suite_version, status, severity, "
        "description, observed, expected, sample, run_id) select asset, check_name, %(day)s, load_id, suite_version, "
        "status, severity, description, observed, expected, coalesce(sample, 'null'), %(run)s "
        "from jsonb_to_recordset(%(found)s) as r (asset text, check_name text, load_id text, suite_version text, "
        "status text, severity text, description text, observed jsonb, expected jsonb, sample jsonb) "
        "on conflict (asset, check_name, day, load_id) do update set suite_version = excluded.suite_version, "
        "status = excluded.status, severity = excluded.severity, description = excluded.description, "
        "observed = excluded.observed, expected = excluded.expected, sample = excluded.sample, "
        "run_id = excluded.run_id, checked_at = now()",
        {"day": day, "run": run_id, "found": Jsonb(found, dumps=_json)},
    )


def forget_results(connection: Connection, days: Sequence[str], suite_version: str) -> None:
    """Delete what was found before that is found anew, or not at all, by what comes next."""
    connection.execute(
        "delete from governance.quality_results where day = any(%s::date[]) and suite_version = %s",
        [list(days), suite_version],
    )


def _json(value: Any) -> str:
    """Samples may hold dates and decimals."""
    return json.dumps(value, default=str)


def results_of_day(connection: Connection, day: str) -> list[dict[str, Any]]:
    """Every result recorded for a day, whatever load it was made on; the gate picks those that count."""
    return rows(
        connection,
        "select asset, check_name, load_id, suite_version, status, severity, description, observed, expected, sample "
        'from governance.quality_results where day = %s order by asset collate "C", check_name collate "C"',
        [day],
    )


def day_states(connection: Connection) -> list[dict[str, Any]]:
    """What was loaded, built, judged and published of each day, for the planner."""
    return rows(
        connection,
        "with live as (select i.day, i.loads as loaded, m.load_id as built_mart from governance.intakes i "
        "left join governance.loads m on m.day = i.day and m.dataset = 'marts' and m.is_live), "
        "judged as (select day, load_id from governance.loads where is_live "
        "union all select day, intake_id from governance.intakes), "
        "results as (select r.day, array_agg(distinct r.suite_version) as judged_suites, "
        "bool_or(r.status = 'error') as has_error from governance.quality_results r join judged j "
        "on j.day = r.day and j.load_id = r.load_id group by r.day), "
        "published as (select day, min(load_id) as load_id from governance.publications where is_live group by day), "
        "tried as (select distinct on (day) day, load_id from governance.loads where dataset = 'marts' "
        "order by day, loaded_at desc) "
        "select coalesce(live.day, v.day)::text as day, live.loaded, live.built_mart, results.judged_suites, "
        "coalesce(results.has_error, false) as has_error, v.status, v.reasons, published.load_id as published_load, "
        "tried.load_id as tried_mart "
        "from live full join governance.verdicts v on v.day = live.day "
        "left join results on results.day = live.day left join published on published.day = live.day "
        "left join tried on tried.day = live.day",
    )


def record_verdict(
    connection: Connection, day: str, status: str, reasons: Sequence[Any], load_id: str | None, run_id: str
) -> None:
    """Keep the gate's last word on a day."""
    connection.execute(
        "insert into governance.verdicts (day, status, reasons, load_id, run_id) values (%s, %s, %s, %s, %s) "
        "on conflict (day) do update set status = excluded.status, reasons = excluded.reasons, "
        "load_id = excluded.load_id, run_id = excluded.run_id, decided_at = now()",
        [day, status, Jsonb(list(reasons)), load_id, run_id],
    )
    # a day between two checks is not judged a dozen times a run: what counts is each word that decides something
    connection.execute(
        "insert into governance.verdict_log (day, status, load_id, reasons) select day, status, load_id, reasons "
        "from governance.verdicts v where v.day = %s and v.status <> 'not judged' and not exists ("
        "select from (select * from governance.verdict_log where day = v.day order by entry_id desc limit 1) l "
        "where l.status = v.status and l.load_id is not distinct from v.load_id and l.reasons = v.reasons)",
        [day],
    )


def rows(
    connection: Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """Result of a query as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
