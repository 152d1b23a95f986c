"""The lake: made again from landing to the same bytes, raw made again from it alone, and read by anybody's tools."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.integration.world import World, session
from voiceai_assets.contracts import DATASETS

DAYS = ["2026-08-01", "2026-08-02", "2026-08-03"]


@pytest.fixture(scope="module")
def filled() -> Iterator[World]:
    """Three days from landing to raw: one with few fields, one with every type, one with nothing but a refusal."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    full = {"cost_usd": 0.25, "barge_in": True, "derived": ["speaker"], "tokens_in": 7, "mood": {"calm": 1}}
    world.land("plain.jsonl", session("a", f"{DAYS[0]}T10:00"))
    world.land("full.jsonl", [*session("b", f"{DAYS[1]}T10:00", **full), {"timestamp": f"{DAYS[1]}T10:00:00Z"}])
    world.land(f"empty-{DAYS[2]}.jsonl", [{"session_id": "c", "timestamp": f"{DAYS[2]}T10:00:00Z"}])
    calls = world.landing / "calls"
    calls.mkdir()
    (calls / "calls.csv").write_text(
        "call_id,timestamp,upsell_amount\n" + "".join(f"{day},{day}T10:00:00Z,1.5\n" for day in DAYS)
    )
    world.look()
    _refine(world)
    for day in DAYS:
        world.pipeline.load(day)
    yield world
    world.close()
    shutil.rmtree(folder, ignore_errors=True)


def _refine(world: World) -> None:
    assert [problem for _, _, problem in world.pipeline.refine(DAYS) if problem] == []


def _in_postgres(world: World) -> dict[str, list[dict[str, Any]]]:
    """What a load fills, but for when it did."""
    tables = [*(f"raw.{dataset}" for dataset in DATASETS), "raw.session_days", "governance.quarantine"]
    loads = "select to_jsonb(l) - 'loaded_at' as row from governance.loads l order by dataset, day"
    return {
        "loads": world.query(loads),
        "files": world.query("select * from governance.load_files order by dataset, day, file"),
        **{
            table: world.query(f"select to_jsonb(t) as row from {table} t order by to_jsonb(t)::text")
            for table in tables
        },
    }


def test_the_whole_lake_is_made_again_from_landing_to_the_same_bytes(filled: World) -> None:
    before = filled.lake_bytes()
    assert len(before) == 2 * 3 * len(DAYS), "rows, quarantine and account of turns and calls"
    shutil.rmtree(filled.settings.lake)
    _refine(filled)
    assert filled.lake_bytes() == before


def test_raw_is_made_again_from_the_lake_alone(filled: World) -> None:
    before = _in_postgres(filled)
    assert [len(before[table]) for table in ("raw.turns", "raw.calls", "governance.quarantine", "loads")] == [
        6,
        3,
        2,
        6,
    ]
    elsewhere = filled.settings.landing.rename(filled.settings.home / "elsewhere")
    try:
        with filled.pipeline.warehouse.connect() as connection:
            connection.execute("delete from governance.quarantine; delete from governance.load_files")
            for dataset in (*DATASETS, "session_days"):
                connection.execute(f"truncate raw.{dataset}")
        for day in DAYS:
            filled.pipeline.load(day)
    finally:
        elsewhere.rename(filled.settings.landing)
    assert _in_postgres(filled) == before


@pytest.mark.parametrize("dataset", ["turns", "calls", "quarantine/turns"])
def test_a_dataset_is_one_table_for_pandas_arrow_and_duckdb(filled: World, dataset: str) -> None:
    folder = filled.settings.lake / dataset
    counts = {"turns": [3, 3, 0], "calls": [1, 1, 1], "quarantine/turns": [0, 1, 1]}[dataset]
    expected = {day: count for day, count in zip(DAYS, counts, strict=True) if count}
    arrow = ds.dataset(folder, partitioning="hive").to_table()
    assert dict(pd.Series(arrow["date"].to_pylist()).value_counts()) == expected
    assert dict(pd.read_parquet(folder)["date"].astype(str).value_counts()) == expected
    with duckdb.connect() as db:
        query = "SELECT CAST(date AS VARCHAR), count(*) FROM read_parquet(?, hive_partitioning = true) GROUP BY 1"
        assert dict(db.execute(query, [f"{folder}/*/*.parquet"]).fetchall()) == expected


def test_spark_finds_one_schema_of_types_it_knows_and_no_file_that_is_no_data(filled: World) -> None:
    """By its rules: names that begin with a dot or an underscore are hidden, every other file is Parquet.

    What Spark's converter of Parquet schemas refuses: times of day that are not microseconds (here there are none),
    nanoseconds, half and wide numbers, unsigned ones before version 3.2. What is marked as JSON is a string to it.
    """
    assert {path.name for path in filled.settings.lake.iterdir() if not path.name.startswith((".", "_"))} == {
        "turns", "calls", "quarantine"
    }  # fmt: skip
    for dataset in ("turns", "calls", "quarantine/turns", "quarantine/calls"):
        files = [p for p in (filled.settings.lake / dataset).rglob("*") if p.is_file() and p.name[0] not in "._"]
        assert [path.name for path in files] == ["rows.parquet"] * len(DAYS)
        schemas = [pq.read_schema(path) for path in files]
        # Spark takes every column for nullable, whatever a single file promises of it
        names_and_types = {tuple((field.name, field.type) for field in schema) for schema in schemas}
        assert len(names_and_types) == 1, dataset
        assert "date" not in schemas[0].names, "Spark takes it from the folder's name, and would find it twice"
        for field in schemas[0]:
            assert _is_known_to_spark(field.type), (dataset, field)


def _is_known_to_spark(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind):
        return _is_known_to_spark(kind.value_type)
    if types.is_timestamp(kind):
        return bool(kind.unit == "us" and kind.tz == "UTC")
    if types.is_decimal128(kind):
        return bool(kind.precision <= 38)
    return isinstance(kind, pa.JsonType) or any(
        is_a(kind) for is_a in (types.is_string, types.is_boolean, types.is_int64, types.is_float64, types.is_date32)
    )
