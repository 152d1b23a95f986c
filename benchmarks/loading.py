r"""Landing to ``raw``, typed and accounted for, beside what people would use instead, on the same rows and server.

``psql \copy`` of the finished rows is the floor. ``dlt`` and ``pandas.to_sql`` are used as their first pages show them,
on fewer rows (they are slow), from the same JSON lines. They check, pseudonymise and redact nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.floor import copy_seconds
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse.server import Warehouse

FORMATS = ("jsonl", "csv", "parquet")
ROUNDS = 3


def rows_per_second(
    pipeline: Pipeline, folder: Path, source: Path, day: str, rows: int
) -> tuple[dict[str, float], dict[str, float]]:
    r"""Rows per second of each way, ours per format; and what that is of ``\copy``, per format.

    A machine shared with others is now quick, now slow: each format is measured in turns with ``\copy``, and the best
    of three stands for either. Each time it is a day that was not there before, as ``\copy`` gets a new table.

    Args:
        pipeline: on an empty home.
        folder: for files of the comparison.
        source: JSON lines of the day.
        day: ISO day of all rows.
        rows: how many there are.
    """
    found: dict[str, float] = {}
    of_copy: dict[str, float] = {}
    copied: list[float] = []
    new_days = (date.fromisoformat(day) + timedelta(days=n) for n in itertools.count(1))
    for name in FORMATS:
        pairs = [_ours_and_copy(pipeline, folder, source, (day, str(next(new_days))), name) for _ in range(ROUNDS)]
        ours, copy = (min(seconds) for seconds in zip(*pairs, strict=True))
        found[f"ours, {name}"], of_copy[name] = rows / ours, copy / ours
        copied.append(copy)
    found["psql \\copy"] = rows / min(copied)
    some = folder / "some.jsonl"
    for name, count in (("dlt", 100_000), ("pandas.to_sql", 50_000)):
        with source.open() as lines, some.open("w") as out:
            out.writelines(line for _, line in zip(range(count), lines, strict=False))
        found[name] = count / _foreign(name, pipeline.warehouse, some, folder)
    return found, of_copy


def _ours_and_copy(
    pipeline: Pipeline, folder: Path, source: Path, days: tuple[str, str], ending: str
) -> tuple[float, float]:
    """Seconds of the rows of the first of the days, moved to the second one, as sessions of their own."""
    moved = folder / "moved.jsonl"
    changes = f's/{days[0]}/{days[1]}/g; s/"session_id":"/&{days[1]}-/'
    with moved.open("w") as out:
        subprocess.run(["sed", changes, str(source)], stdout=out, check=True)
    landing = pipeline.settings.landing / "canonical"
    landing.mkdir(parents=True, exist_ok=True)
    path = landing / f"{days[1]}.{ending}"
    move_as(moved, path)
    pipeline.look_into_landing()

    def load() -> None:
        for _, _, problem in pipeline.refine([days[1]]):
            if problem:
                raise problem
        pipeline.load(days[1])

    ours = _seconds(load)
    path.unlink()
    return ours, copy_seconds(pipeline.warehouse, folder, days[1])


def move_as(lines: Path, target: Path) -> None:
    """Move a file of JSON lines to where its name says it is of another format."""
    if target.suffix != ".jsonl":
        options = "FORMAT csv, HEADER" if target.suffix == ".csv" else "FORMAT parquet"
        duckdb.execute(f"COPY (FROM read_json('{lines}', format = 'newline_delimited')) TO '{target}' ({options})")
        lines.unlink()
    else:
        lines.replace(target)


def _foreign(name: str, warehouse: Warehouse, source: Path, folder: Path) -> float:
    """Seconds of the load alone: the child measures, so that imports are not counted."""
    script = _DLT if name == "dlt" else _PANDAS
    python = str(Path(os.environ.get("BENCH_PYTHON", sys.executable)).absolute())
    owner = warehouse.owner.libpq_environment()
    environment = {**os.environ, **owner, "HOME": str(folder), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    done = subprocess.run(
        [python, "-c", script, str(source)], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


_URL = """
import json, os, sys, time
socket = os.environ["PGHOST"]
user, password, database = (os.environ.get(f"PG{name}", "") for name in ("USER", "PASSWORD", "DATABASE"))
url = f"postgresql{{driver}}://{user}:{password}@/{database}?host={socket}&port={os.environ.get('PGPORT', 5432)}"
"""
_DLT = (
    _URL
    + """
import dlt
def turns():
    with open(sys.argv[1]) as lines:
        for line in lines:
            yield json.loads(line)
# dlt insists on a host and a password; libpq takes the socket that is named last
address = url.replace("{driver}", "").replace(":@/", ":none@localhost/")
destination = dlt.destinations.postgres(credentials=address)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench_dlt")
began = time.perf_counter()
pipeline.run(turns(), table_name="turns", write_disposition="replace")
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
)
_PANDAS = (
    _URL
    + """
import pandas as pd
from sqlalchemy import create_engine, text
engine = create_engine(url.replace("{driver}", "+psycopg"))
with engine.begin() as connection:
    connection.execute(text("create schema bench_pandas"))
began = time.perf_counter()
pd.read_json(sys.argv[1], lines=True).to_sql("turns", engine, schema="bench_pandas", index=False)
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
