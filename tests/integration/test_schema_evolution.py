"""A contract changes under a database that holds rows: what is optional is added, what is wider is widened."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import World, session
from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.dbt import build_what_every_day_needs
from voiceai_assets.assets.dbt_calls import DbtCalls
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Field, Kind
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.warehouse.readers import ensure_readers
from voiceai_assets.warehouse.schema import migrate
from voiceai_assets.warehouse.server import WarehouseError

DAYS = ("2026-08-01", "2026-08-02")


@pytest.fixture(scope="module")
def loaded() -> Iterator[World]:
    """Two days in ``raw``, the second with a number that no fraction of eight bytes can be."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    world.land("one.jsonl", session("a", f"{DAYS[0]}T10:00", turns=1, tokens_in=7, csat=0.5))
    world.land("two.jsonl", session("b", f"{DAYS[1]}T10:00", turns=1, tokens_in=8, tokens_out=2**53 + 1))
    assert [problem for _, _, problem in world.pipeline.refine(DAYS) if problem] == []
    for day in DAYS:
        world.pipeline.load(day)
    yield world
    world.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def change(loaded: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Turns with other fields, and the database brought up to date with them; undone in the end."""

    def changed(*fields: Field) -> None:
        new = {f.name: f for f in fields}
        known = tuple(new.pop(f.name, f) for f in TURNS.fields)
        monkeypatch.setitem(DATASETS, "turns", replace(TURNS, fields=(*known, *new.values())))  # type: ignore[misc]
        migrate(loaded.pipeline.warehouse, loaded.settings)

    yield changed
    with loaded.pipeline.warehouse.connect() as connection:
        connection.execute("drop table raw.turns cascade; delete from governance.schema_version")
    monkeypatch.undo()
    migrate(loaded.pipeline.warehouse, loaded.settings)
    build_what_every_day_needs(DbtCalls(loaded.settings), PipelineResource(loaded.settings))
    for day in DAYS:
        loaded.pipeline.load(day)


def _as(name: str, kind: Kind) -> Field:
    return replace(TURNS.of(name), kind=kind)


def _types(world: World, column: str) -> set[str]:
    """In the table and in each of its partitions."""
    query = (
        "select format_type(atttypid, atttypmod) as kind from pg_attribute a join pg_class c on c.oid = attrelid "
        "where c.relname like 'turns%%' and c.relnamespace = 'raw'::regnamespace and attname = %s"
    )
    return {row["kind"] for row in world.query(query, column)}


def _values(world: World, column: str) -> list[Any]:
    return [row["value"] for row in world.query(f"select {column} as value from raw.turns order by session_id")]


def test_a_new_optional_column_is_added_to_every_day_and_older_days_load_without_it(loaded: World, change: Any) -> None:
    change(Field("mood", Kind.TEXT, "how the caller felt"))
    assert _types(loaded, "mood") == {"text"}
    loaded.pipeline.load(DAYS[0])
    assert _values(loaded, "mood") == [None, None]


@pytest.mark.parametrize(
    ("kind", "type_", "values"),
    [
        (Kind.NUMBER, "double precision", [7.0, 8.0]),
        (Kind.MONEY, "numeric(18,6)", [Decimal(7), Decimal(8)]),
        (Kind.TEXT, "text", ["7", "8"]),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_a_wider_type_is_taken_over_with_every_value(
    loaded: World, change: Any, kind: Kind, type_: str, values: list[Any]
) -> None:
    change(_as("tokens_in", kind))
    assert _types(loaded, "tokens_in") == {type_}
    assert _values(loaded, "tokens_in") == values
    assert not loaded.pipeline.is_built("staging"), "its view stood in the way, and the next run makes it again"
    loaded.pipeline.load(DAYS[0])  # of a lake that was written under the old contract, as retention may leave it
    assert _values(loaded, "tokens_in") == values


def test_staging_is_made_again_over_the_wider_column(loaded: World, change: Any) -> None:
    change(_as("tokens_in", Kind.NUMBER))
    build_what_every_day_needs(DbtCalls(loaded.settings), PipelineResource(loaded.settings))
    found = loaded.query("select pg_typeof(tokens_in)::text as kind from staging.stg_turns limit 1")
    assert found == [{"kind": "double precision"}]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("csat", Kind.INTEGER, "raw.turns.csat is double precision, and its contract says bigint: not every value"),
        ("session_id", Kind.DATE, "raw.turns.session_id is text, and its contract says date: not every value"),
        ("tokens_out", Kind.NUMBER, "raw.turns.tokens_out is bigint, .* says double precision: 1 of its values would"),
        (
            "tokens_out",
            Kind.MONEY,
            r"raw.turns.tokens_out is bigint, .* says numeric\(18,6\): some of its values would",
        ),
    ],
)
def test_a_type_that_would_lose_values_is_refused_by_name_and_nothing_is_changed(
    loaded: World, change: Any, name: str, kind: Kind, words: str
) -> None:
    before = _types(loaded, name), _values(loaded, name)
    with pytest.raises(WarehouseError, match=f"{words}.*Put the type of the contract back, or give the field"):
        change(_as("tokens_in", Kind.TEXT), _as(name, kind))
    assert (_types(loaded, name), _values(loaded, name)) == before
    assert _types(loaded, "tokens_in") == {"bigint"}


def test_somebody_elses_view_on_raw_is_named_and_stays(loaded: World, change: Any) -> None:
    with loaded.pipeline.warehouse.connect() as connection:
        connection.execute("create view raw.mine as select tokens_in from raw.turns")
    with pytest.raises(WarehouseError, match=r"raw.mine read raw.turns, whose tokens_in must get another type"):
        change(_as("tokens_in", Kind.NUMBER))
    assert _types(loaded, "tokens_in") == {"bigint"}
    assert loaded.query("select count(*) as n from raw.mine") == [{"n": 2}]


# -- what dbt makes of it --------------------------------------------------------------------------------------------


def test_a_table_of_an_older_model_gets_the_types_of_the_present_one(world: World) -> None:
    """Otherwise PostgreSQL would round fractions into whole numbers, and no check could know."""
    with world.pipeline.warehouse.connect() as connection:
        (view,) = connection.execute("select pg_get_viewdef('marts.fact_voice_ai_turns'::regclass)").fetchone() or ("",)
        connection.execute("drop view marts.fact_voice_ai_turns cascade")
        connection.execute("alter table intermediate.int_turns_sessionised alter column total_ms type bigint")
        connection.execute(f"create view marts.fact_voice_ai_turns as {view}")
        connection.execute("delete from governance.built_parts where part = 'marts'")
    world.land("one.jsonl", session("a", f"{DAYS[0]}T10:00", turns=1, total_ms=0.5))
    assert world.run(DAYS[0]).success
    found = world.query("select total_ms, pg_typeof(total_ms)::text as kind from intermediate.int_turns_sessionised")
    assert found == [{"total_ms": 0.5, "kind": "double precision"}]


def test_a_wider_field_has_dbt_look_at_its_tables_again(loaded: World, change: Any) -> None:
    loaded.pipeline.record_built("marts")
    change(_as("tokens_in", Kind.NUMBER))
    assert not loaded.pipeline.is_built("marts")


def test_what_was_published_keeps_its_types(world: World) -> None:
    """Certificates were computed over the values as they stand, so a mart of another type is refused by name."""
    world.land("one.jsonl", session("a", f"{DAYS[0]}T10:00", turns=1))
    assert world.run(DAYS[0]).success
    with world.pipeline.warehouse.connect() as connection:
        connection.execute("alter table marts.fact_voice_ai_sessions alter column turn_count type double precision")
        words = "marts.fact_voice_ai_sessions.turn_count is double precision, and what was published of it is bigint"
        with pytest.raises(WarehouseError, match=words):
            ensure_readers(connection)
