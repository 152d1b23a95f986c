"""What Irembo's files say against one another is found, counted and published, and equals a count by hand.

A month of them: four files that were drawn apart from one another, so nearly everything that can disagree does.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.integration import slow_path_irembo
from tests.integration.slow_path_irembo import Session
from tests.integration.world import World
from voiceai_assets.dashboard.days import Request
from voiceai_assets.dashboard.queries import CertifiedReader
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.settings import REPOSITORY

#: The fixture runs a month, within the time of the first test.
pytestmark = pytest.mark.timeout(900)

MONTH = ("2025-01-01", "2025-01-31")
LIMITS = REPOSITORY / "dbt_project" / "seeds" / "contradiction_limits.csv"
#: Where a figure came from: not recomputed here.
PROVENANCE = {"publication_version", "certificate_id", "load_id"}


@pytest.fixture(scope="module")
def month(irembo: Path) -> Iterator[World]:
    """The five files landed and a month of them certified."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    try:
        target = world.settings.landing / "irembo"
        target.mkdir(parents=True)
        for path in irembo.glob("*.csv"):
            shutil.copyfile(path, target / path.name)
        world.look()
        assert world.run(*MONTH).success
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def sessions(irembo: Path) -> dict[str, Session]:
    return slow_path_irembo.sessions_of(irembo, *MONTH)


def _landed(folder: Path, name: str, key: str) -> pd.DataFrame:
    """A file as the contract takes it: exact repeats once, of two records under one key the first."""
    rows = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
    return rows.drop_duplicates().drop_duplicates(key)


def _of_month(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows[rows[column].between(*MONTH)]


@pytest.fixture
def files(irembo: Path) -> dict[str, pd.DataFrame]:
    sessions = _of_month(_landed(irembo, "voice_sessions.csv", "session_id"), "created_at")
    turns = _landed(irembo, "voice_turns.csv", "turn_id")
    sessions = sessions[sessions.session_id.isin(turns.session_id)]
    sessions = sessions.set_index("session_id", drop=False).rename_axis(None)
    applications = _of_month(_landed(irembo, "applications.csv", "application_id"), "submitted_at")
    return {
        "sessions": sessions,
        "turns": turns[turns.session_id.isin(sessions.session_id)],
        "metrics": _landed(irembo, "voice_ai_metrics.csv", "session_id").set_index("session_id"),
        "applications": applications,
        "users": _landed(irembo, "users.csv", "user_id").set_index("user_id"),
    }


def _counted(files: dict[str, pd.DataFrame]) -> dict[str, tuple[int, int]]:
    """Contradiction -> records in which it occurs, and those that could show it."""
    sessions, turns, applications = files["sessions"], files["turns"], files["applications"]
    flag = files["metrics"].escalation_flag.reindex(sessions.session_id)
    transferred, reason = sessions.final_outcome == "transferred", sessions.transfer_reason != ""
    arrived = turns.groupby("session_id").size().reindex(sessions.session_id)
    numbers = turns.astype({"turn_number": int}).groupby("session_id").turn_number
    distinct, last = (numbers.agg(how).reindex(sessions.session_id) for how in ("nunique", "max"))
    joined = applications.merge(sessions, on="session_id", how="left", suffixes=("", "_session"))
    per_session = applications.groupby("session_id").size()
    known = joined.user_id_session.notna()
    completed = joined.status == "completed"
    of_sessions = {
        "transferred without a transfer reason": transferred & ~reason,
        "a transfer reason without a transfer": ~transferred & reason,
        "the record claims other turns than arrived": sessions.total_turns.astype(int) != arrived,
        "turn numbers repeat or skip": (distinct != arrived) | (last != arrived),
    }
    of_flagged = {
        "escalation flag without a transfer": (flag == "yes") & ~transferred,
        "a transfer without the escalation flag": (flag == "no") & transferred,
    }
    of_records = {
        "a business record of a session that is not there": ~known,
        "a session with several business records": applications.session_id.map(per_session) > 1,
    }
    of_joined = {
        "the business record names another user than the session": joined.user_id != joined.user_id_session,
        "the business record names another channel than the session": joined.channel != joined.channel_session,
        "the business record is older than its session": joined.submitted_at < joined.created_at,
        "the business record is completed, the session is not": completed & (joined.final_outcome != "completed"),
        "the session is completed, its business record is not": ~completed & (joined.final_outcome == "completed"),
    }
    return {
        **{name: (int(holds.sum()), len(sessions)) for name, holds in of_sessions.items()},
        **{name: (int(holds.sum()), int(flag.notna().sum())) for name, holds in of_flagged.items()},
        **{name: (int(holds.sum()), len(applications)) for name, holds in of_records.items()},
        **{name: (int((holds & known).sum()), int(known.sum())) for name, holds in of_joined.items()},
    }


def test_every_contradiction_is_counted(month: World, files: dict[str, pd.DataFrame]) -> None:
    assert set(month.certified()) == set(files["sessions"].created_at), "every day of the month is published"
    found = month.read("select * from certified.contradictions")
    assert {row["contradiction"]: (row["found_count"], row["out_of"]) for row in found} == _counted(files)


def test_every_way_of_every_kpi_its_spread_and_its_verdict_are_those_by_hand(
    month: World, sessions: dict[str, Session]
) -> None:
    with LIMITS.open(newline="") as lines:
        limits = {row["kpi"]: float(row["spread_limit"]) for row in csv.DictReader(lines)}
    expected = {(row["kpi"], row["way"]): row for row in slow_path_irembo.report(sessions.values(), limits)}
    found = {(row["kpi"], row["way"]): row for row in month.read("select * from certified.contradiction_report")}
    assert found.keys() == expected.keys()
    assert len(found) == 22
    for way, row in found.items():
        assert row.pop("limit_reason")
        assert row | {"spread_limit": float(row["spread_limit"])} == expected[way]


def test_what_hangs_on_a_contradiction_is_withheld_and_nothing_else(month: World) -> None:
    numbers = CertifiedReader(month.pipeline.warehouse.reader).snapshot(Request()).numbers
    assert numbers is not None
    segments = {"first_time_completion", "rural_completion", "urban_completion", "voice_completion",
                "non_voice_completion"}  # fmt: skip
    assert numbers.withheld.keys() == segments | {
        "completion", "abandonment", "transfer_rate", "escalation_rate", "turns_per_session", "session_duration",
        "voice_share", "cost_per_completed_session", "session_duration_p50", "session_duration_p90", "containment",
        "confirmed_completion", "no_repeat_24h", "no_repeat_7d",
    }  # fmt: skip
    assert {why.kpi for why in numbers.withheld["rural_completion"]} == {"completion", "rural_urban_gap"}
    assert {why.kpi for why in numbers.withheld["first_time_completion"]} == {"completion", "first_time_gap"}


def test_every_column_of_every_session_is_what_the_five_files_say(month: World, sessions: dict[str, Session]) -> None:
    pseudonym = load_pseudonymiser(month.settings)
    published = month.read("select * from certified.fact_voice_ai_sessions")
    assert {row["session_id"] for row in published} == sessions.keys()
    assert sum(len(session.repeated_failures) for session in sessions.values()) > 0
    for row in published:
        found = {name: value for name, value in row.items() if name not in PROVENANCE}
        wanted = slow_path_irembo.session_row(sessions[row["session_id"]], pseudonym)
        assert found.keys() == wanted.keys()
        assert {n: (v, wanted[n]) for n, v in found.items() if v != wanted[n]} == {}, row["session_id"]


def test_the_asset_of_the_report_lists_what_contradicts_and_what_is_withheld(month: World) -> None:
    done = month.run_unpartitioned("report_job")
    (made,) = done.get_asset_materialization_events()
    tables = {
        name: [dict(record.data) for record in made.materialization.metadata[name].records]  # type: ignore[union-attr]
        for name in ("contradictions", "withheld")
    }
    assert {row["kpi"] for row in tables["withheld"]} == {
        row["kpi"] for row in month.read("select kpi from certified.contradiction_report where verdict = 'withheld'")
    }
    found = month.read("select * from certified.contradictions where found_count > 0")
    assert {row["contradiction"]: row["found_count"] for row in tables["contradictions"]} == {
        row["contradiction"]: row["found_count"] for row in found
    }
