"""The feature store on real and generated calls: the mart, the function for a session, and what neither may know."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import psycopg
import pytest

from tests.integration.world import World
from voiceai_assets.models.abandonment.certified import CertifiedDays, read_certified_days
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.prefix import CATALOGUE, CATEGORICAL, NUMERIC, Turn, prefix_features
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.synthetic.config import MODULES, Population, WorldConfig
from voiceai_assets.synthetic.generate import write_all
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.world import World as SyntheticWorld

MART = REPOSITORY / "dbt_project" / "models" / "marts" / "features" / "feature_session_prefix.sql"
DAYS = ("2013-03-22", "2013-03-25")


pytestmark = pytest.mark.timeout(900)  # the shared world is made in the first test's time


@pytest.fixture(scope="module")
def calls(dstc2: Path) -> Iterator[World]:
    """Four days of real calls and of generated ones, certified.

    The generated callers speak four languages, type or talk, leave without a word, and call again soon after.
    """
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home")
    made = SyntheticWorld(
        WorldConfig(
            first_day=date.fromisoformat(DAYS[0]),
            days=4,
            users=150,
            sessions_per_day=80,
            undeclared=0.6,
            population=Population(callback=0.9),
        )
    )
    generated = write_all(made, SOURCES["canonical"], folder / "generated")
    world.land_copies(*sorted(dstc2.glob("*.jsonl"))[:4], *generated)
    assert world.run(*DAYS).success
    yield world
    world.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def days(calls: World) -> CertifiedDays:
    return read_certified_days(calls.pipeline.warehouse.reader)


def _frame(world: World, query: str) -> pd.DataFrame:
    with psycopg.connect(world.pipeline.warehouse.reader.libpq()) as connection:
        cursor = connection.execute(query)
        assert cursor.description is not None
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


@pytest.fixture(scope="module")
def facts(calls: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    turns, sessions = (_frame(calls, f"select * from certified.fact_voice_ai_{name}") for name in ("turns", "sessions"))
    return turns, sessions


def _same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    for name in NUMERIC:
        np.testing.assert_allclose(left[name].astype(float), right[name].astype(float), rtol=0, atol=1e-9, err_msg=name)
    for name in (*CATEGORICAL, "user_id"):
        texts, expected = (frame[name].astype(object).where(frame[name].notna(), None) for frame in (left, right))
        assert texts.tolist() == expected.tolist(), name


def test_the_mart_and_python_agree_on_every_turn(days: CertifiedDays, facts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table = prefix_table(*facts)
    ended = days.table[days.table["final_outcome"] != "in_progress"]
    assert len(table) == len(ended) > 3500
    keys = ["session_date", "session_id", "k"]
    left, right = (frame.sort_values(keys, ignore_index=True) for frame in (table, ended))
    _same(left, right)
    assert left["label_hazard"].tolist() == right["label_hazard"].tolist()
    assert left["label_landmark"].tolist() == right["label_landmark"].tolist()
    assert (left["earlier_sessions"] > 0).mean() > 0.2, "callers return here: history must have been compared, too"
    generated = left[left["module"].isin(MODULES)]
    assert len(generated) > 700
    for name, values in (("language", 4), ("user_type", 2), ("channel", 3), ("region", 2), ("module", 4)):
        assert generated[name].nunique() == values, name
    assert generated["asr_now"].isna().any(), "who types is not heard"
    assert (generated["errors_in_row"] >= 2).any()
    assert generated["earlier_abandoned_share"].between(0.01, 0.99).any()
    sessions = facts[1].sort_values(["user_id", "started_at"])
    again = sessions["started_at"].shift(-1) - sessions["ended_at"]
    same = sessions["user_id"].eq(sessions["user_id"].shift(-1)) & sessions["outcome_basis"].eq("inferred")
    assert (again[same] < pd.Timedelta(minutes=30)).any(), "an inferred end, not known yet as the next one began"


def test_a_session_replayed_turn_by_turn_gets_the_rows_of_the_mart(
    days: CertifiedDays, facts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    turns = facts[0].sort_values(["session_id", "turn_number"])
    names = [*Turn.__dataclass_fields__]
    rows = days.table.set_index(["session_id", "k"]).sort_index()
    compared = 0
    for session_id, session in list(turns.groupby("session_id"))[::25]:
        plain = session[names].astype(object).where(session[names].notna(), None)
        said = [Turn(**row) for row in plain.to_dict("records")]
        for k in range(1, len(said) + 1):
            row = rows.loc[(session_id, float(k))]
            found = prefix_features(
                said[:k], {name: row[name] for name in ("earlier_sessions", "earlier_abandoned_share")}
            )
            _same(pd.DataFrame([found]), pd.DataFrame([row]).assign(k=float(k)))
            compared += 1
    assert compared > 100


def _mart(world: World, turns: str) -> str:
    """The mart's SQL over another table of turns."""
    relations = {
        "int_turns_sessionised": turns,
        "stg_sessions": "staging.stg_sessions",
        "int_users_of_days": "(select null::date as session_date, null as source, null as user_id, null as region, "
        "null as language, null::boolean as is_first_time_digital_user)",
    }
    return jinja2.Template(MART.read_text()).render(
        config=lambda **_: "",
        ref=relations.__getitem__,
        window_start=lambda: f"date '{DAYS[0]}'",
        window_end=lambda: f"date '{DAYS[1]}'",
    )


@pytest.mark.parametrize("k", [1, 3])
def test_what_happens_after_turn_k_leaves_the_rows_until_k_as_they_were(calls: World, k: int) -> None:
    with calls.pipeline.warehouse.connect() as connection:
        connection.execute(
            "create temporary table changed as select * from intermediate.int_turns_sessionised where false"
        )
        columns = [c.name for c in connection.execute("select * from changed").description or ()]
        later = {
            "asr_confidence": "0.01",
            "intent_confidence": "0.02",
            "total_ms": "99999",
            "is_error_turn": "not is_error_turn",
            "turn_at": "turn_at + interval '3 hours'",
            **dict.fromkeys(("channel", "region", "language", "module", "user_type", "user_id"), "'changed'"),
            "session_outcome": "'completed'",
        }
        kept, changed = f"turn_number <= {k}", ", ".join(later.get(name, name) for name in columns)
        source = "from intermediate.int_turns_sessionised"
        connection.execute(f"insert into changed select * {source} where {kept}")  # type: ignore[arg-type]
        connection.execute(f"insert into changed select {changed} {source} where not {kept}")  # type: ignore[arg-type]
        one_more = ", ".join({"turn_number": "turn_number + 50"}.get(name, later.get(name, name)) for name in columns)
        connection.execute(f"insert into changed select {one_more} {source} where not {kept}")  # type: ignore[arg-type]
        before, after = (
            f"select t.* from ({_mart(calls, turns)}) t where k <= {k}"
            for turns in ("intermediate.int_turns_sessionised", "changed")
        )
        rows = connection.execute(f"select count(*) from ({before}) b").fetchone()  # type: ignore[arg-type]
        differing = connection.execute(  # type: ignore[arg-type]
            f"select count(*) from (({before} except {after}) union all ({after} except {before})) d"
        ).fetchone()
        whole = connection.execute(  # type: ignore[arg-type]
            f"select count(*) from (({_mart(calls, 'changed')}) except ({_mart(calls, source[5:])})) d"
        ).fetchone()
        connection.rollback()
    assert rows is not None
    assert rows[0] > 500
    assert differing == (0,)
    assert whole is not None
    assert whole[0] > 500, "the change must have reached the rows after k, or nothing was tested"


def test_the_catalogue_is_what_the_mart_says(calls: World) -> None:
    comments = {
        row["name"]: row["text"]
        for row in calls.query(
            "select a.attname as name, col_description(a.attrelid, a.attnum) as text from pg_attribute a "
            "where a.attrelid = 'certified.feature_session_prefix'::regclass and a.attnum > 0"
        )
    }
    for feature in CATALOGUE:
        if not feature.name.startswith("earlier_"):
            assert comments[feature.name] == feature.doc


def test_versions_and_certificates_are_those_of_the_publications(calls: World, days: CertifiedDays) -> None:
    live = calls.query(
        "select day::text, version::text, certificate_id from governance.publications "
        "where mart = 'feature_session_prefix' and is_live and row_count > 0 order by day"
    )
    assert days.versions == {r["day"]: {"version": r["version"], "certificate": r["certificate_id"]} for r in live}
    assert next(iter(days.versions)) == DAYS[0]
