"""The server and its boundary: roles, ledgers, life and death of the embedded PostgreSQL."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psutil
import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from tests.integration.world import World, session
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.warehouse import copy, ledger
from voiceai_assets.warehouse.copy import copy_query

_CLOSED = ("raw", "staging", "intermediate", "marts", "published", "governance")


SECRET = "my name is Immaculate Uwase"


@pytest.fixture(scope="module")
def published() -> Iterator[World]:
    """One published session; for tests that only look."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    world.land("turns.jsonl", session("a", "2026-08-01T10:00", user_text=SECRET, agent_text=SECRET, note=SECRET))
    assert world.run("2026-08-01").success
    yield world
    world.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_bi_reader_reads_certified_and_nothing_else(published: World) -> None:
    tables = published.query(
        "select schemaname || '.' || tablename as name from pg_tables where schemaname = any(%s)", list(_CLOSED)
    )
    assert len(tables) > 10
    with published.as_reader() as reader:
        assert reader.execute("select count(*) from certified.fact_voice_ai_sessions").fetchone() == (1,)
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"select 1 from {table['name']}")
            reader.rollback()


def test_bi_reader_cannot_write_or_create(published: World) -> None:
    with published.as_reader() as reader:
        for statement in (
            "create table certified.mine (a int)",
            "create table public.mine (a int)",
            "create schema mine",
            "delete from certified.fact_voice_ai_sessions",
            "set role voiceai_owner",
        ):
            reader.execute("set default_transaction_read_only = off")  # even without the default that protects it
            with pytest.raises(psycopg.Error):
                reader.execute(statement)  # type: ignore[arg-type]  # literals above
            reader.rollback()


def test_a_reader_who_joins_certified_marts_never_waits_for_a_nested_loop(published: World) -> None:
    """The planner takes a live version for one row: a loop over a month of small days took a minute."""
    with published.as_reader() as reader:
        plan = reader.execute(
            "explain select count(*) from certified.fact_voice_ai_turns "
            "join certified.fact_voice_ai_sessions using (session_date, session_id)"
        ).fetchall()
    joins = [line for (line,) in plan if "Join" in line or "Nested Loop" in line]
    assert joins
    assert not [line for line in joins if "Nested Loop" in line], plan


def test_copy_brings_every_type_over_to_the_last_digit(published: World) -> None:
    """Binary COPY converts nothing: a type that was encoded as another one would be other values, and no error."""
    rows = """(VALUES
      ('t', 9223372036854775807, 0.1::DOUBLE, 999999999999.999999::DECIMAL(18,6), true,
       '9999-12-31 23:59:59.999999+00'::TIMESTAMPTZ, '0001-01-01'::DATE,
       ['a', NULL, '{,"\\}', ''], '{"a": [1, "ü"]}'::JSON),
      ('', -1, -1e-300, -0.000001, false, '0001-01-01 00:00:00+00', '9999-12-31', [], '{}'),
      (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS t(a, b, c, d, e, f, g, h, i)"""
    kinds = ("text", "bigint", "double precision", "numeric(18,6)", "boolean", "timestamptz", "date", "text[]", "jsonb")
    with published.pipeline.warehouse.connect() as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in zip("abcdefghi", kinds, strict=True))
        connection.execute(f"create temp table every_type ({columns})")
        copy_query(connection, f"SELECT * FROM {rows}", sql.Identifier("every_type"), list("abcdefghi"))
        found = connection.execute("select * from every_type").fetchall()
    utc = datetime.UTC
    assert found == [
        ("t", 2**63 - 1, 0.1, Decimal("999999999999.999999"), True,
         datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, utc), datetime.date(1, 1, 1),
         ["a", None, '{,"\\}', ""], {"a": [1, "ü"]}),
        ("", -1, -1e-300, Decimal("-0.000001"), False, datetime.datetime(1, 1, 1, tzinfo=utc),
         datetime.date(9999, 12, 31), [], {}),
        (None,) * 9,
    ]  # fmt: skip


def test_what_is_the_same_in_all_rows_of_a_large_day_is_told_once_and_stands_in_every_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = "2026-08-01"
    rows = [{**row, "region": None if n % 2 else "rural"} for n, row in enumerate(session("a", f"{day}T10:00"))]
    world.land("turns.jsonl", rows)
    assert world.run(day).success
    before = world.query("select * from raw.turns order by turn_number")
    footer = pq.read_metadata(LakeDay(world.settings.lake, "turns", day).rows)
    assert copy._same_everywhere(footer) == {}, "a small day is not worth the catalogue's time"
    monkeypatch.setattr(copy, "_LARGE_DAY", 1)
    same = copy._same_everywhere(footer)
    assert {"load_id", "source", "source_file", "turn_date", "channel"} <= same.keys()
    assert same.keys().isdisjoint({"region", "turn_number", "timestamp"})
    world.pipeline.load(day)
    assert world.query("select * from raw.turns order by turn_number") == before
    left = "select count(*) as n from pg_attrdef where adrelid = 'raw.turns_20260801'::regclass"
    assert world.query(left) == [{"n": 0}]


def test_ids_that_are_used_again_the_next_day_tie_the_two_days_together(published: World) -> None:
    """An emitter that counts its sessions from one each day: all of them share their ids with their neighbours."""
    days = ("2030-01-01", "2030-01-02", "2030-01-09")
    with published.pipeline.warehouse.connect() as connection:
        for day in days:
            connection.execute(
                "insert into raw.session_days (turn_date, session_id) "
                "select %s, 's' || n from generate_series(1, 100000) n",
                [day],
            )
            ledger.record_sessions_of(connection, day, None, None)
            connection.execute("analyze raw.session_days")  # now the planner knows of no later day, and expects no row
        bridges = connection.execute(
            "select day::text, neighbour::text from governance.session_bridges where day >= '2030-01-01' order by 1, 2"
        ).fetchall()
        connection.rollback()
    assert bridges == [(days[0], days[1]), (days[1], days[0])]


def test_the_ledger_refuses_an_account_that_does_not_add_up(world: World) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        world.query(
            "insert into governance.loads (dataset, day, load_id, is_live, code_version, inputs, rows_in, rows_loaded, "
            "rows_quarantined, rows_duplicate) "
            "values ('turns', '2026-08-01', 'x', true, '', '[]', 10, 8, 1, 0) returning 1"
        )


def test_no_free_text_leaves_raw(published: World) -> None:
    """Until names can be redacted, nothing that a caller said is published or even modelled."""
    tables = "select table_name from information_schema.tables where table_schema = %s"
    for schema in ("intermediate", "marts", "published", "certified"):
        for table in published.query(tables, schema):
            found = published.query(
                f"select count(*) as n from {schema}.{table['table_name']} t where t::text like %s", f"%{SECRET}%"
            )
            assert found == [{"n": 0}], f"{schema}.{table['table_name']}"


_OPEN = (
    "import sys, time; from pathlib import Path; from voiceai_assets.settings import Settings; "
    "from voiceai_assets.pipeline import Pipeline; p = Pipeline.open(Settings(home=Path(sys.argv[1]))); "
    "print(p.warehouse.owner.parameters['host'], flush=True); time.sleep(float(sys.argv[2]))"
)


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="about the embedded server")
def test_the_embedded_server_is_shared_adopted_after_a_kill_and_stopped_by_the_last(home: Path) -> None:
    place = home / "home"

    def start(seconds: float) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(place), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline().strip()
        return child

    def server_pid() -> int:
        return int((place / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    first = start(60)
    pid = server_pid()
    second = start(60)
    assert server_pid() == pid, "the second process joins the server of the first"

    first.send_signal(signal.SIGKILL)
    second.send_signal(signal.SIGKILL)
    first.wait()
    _wait_for_zombie(second.pid)  # dead, and nobody has asked how it ended: in a container it may stay so for ever
    os.kill(pid, 0)  # orphaned, still alive

    third = start(0.1)
    assert third.wait(30) == 0
    deadline = time.monotonic() + 15
    while (place / "postgres" / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    second.wait()
    assert not (place / "postgres" / "postmaster.pid").exists(), "the last one stops the server it adopted"


def _wait_for_zombie(pid: int) -> None:
    deadline = time.monotonic() + 15
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_opening_twice_changes_nothing(world: World) -> None:
    from voiceai_assets.warehouse.schema import migrate

    before = world.query("select * from governance.schema_version")
    migrate(world.pipeline.warehouse, world.settings)
    assert world.query("select * from governance.schema_version") == before


def test_the_planner_knows_the_sessions_of_a_range_before_its_marts_are_built(world: World) -> None:
    """Or a first backfill would read every turn of the range once for each of its days."""
    days = ["2026-08-01", "2026-08-02"]
    for day in days:
        world.land(f"{day}.jsonl", [row for n in range(200) for row in session(f"{day} {n}", f"{day}T10:00")])
    world.look()
    assert len(list(world.pipeline.refine(days))) == len(list(world.pipeline.load_days(days))) == 2
    sessions = "select reltuples::bigint as n from pg_class where oid = 'raw.session_days'::regclass"
    assert world.query(sessions) == [{"n": -1}], "nothing is known yet"
    world.pipeline.name_mart_loads(days)
    assert world.query(sessions) == [{"n": 400}]


def test_rows_that_the_server_refuses_cost_their_day_and_no_other(world: World) -> None:
    """Whatever the readers overlook: a value in the lake that jsonb does not take."""
    days = ["2026-08-01", "2026-08-02"]
    for day in days:
        world.land(f"{day}.jsonl", [{**row, "note": "abc"} for row in session(day, f"{day}T10:00")])
    list(world.pipeline.refine(days))
    rows = LakeDay(world.settings.lake, "turns", days[0]).rows
    table = pq.ParquetFile(rows).read()
    index = table.schema.get_field_index("extra")
    kind = table.schema.field(index)
    extra = pc.replace_substring(table["extra"].cast("string"), "abc", "\\u0000").cast(kind.type)
    pq.write_table(table.set_column(index, kind, extra), rows)
    found = {day: (len(loads), str(problem or "")) for day, loads, problem in world.pipeline.load_days(days)}
    assert found == {
        days[0]: (0, f"{days[0]}: PostgreSQL refuses rows of raw.turns: unsupported Unicode escape sequence"),
        days[1]: (1, ""),
    }
    assert world.status(days[0]) == "not loaded"
    for day in days:
        world.run(day)  # reads the files again
    assert world.certified() == dict.fromkeys(days, 1)
