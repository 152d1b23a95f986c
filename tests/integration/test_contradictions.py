"""What Irembo's files say against one another is found, counted and published, and equals a count by hand.

A month of them: four files that were drawn apart from one another, so nearly everything that can disagree does.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.world import World
from voiceai_assets.dashboard.days import Request
from voiceai_assets.dashboard.queries import CertifiedReader

MONTH = ("2025-01-01", "2025-01-31")


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


def _counted(files: dict[str, pd.DataFrame]) -> dict[str, int]:
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
    return {
        "transferred without a transfer reason": int((transferred & ~reason).sum()),
        "a transfer reason without a transfer": int((~transferred & reason).sum()),
        "escalation flag without a transfer": int(((flag == "yes") & ~transferred).sum()),
        "a transfer without the escalation flag": int(((flag == "no") & transferred).sum()),
        "the record claims other turns than arrived": int((sessions.total_turns.astype(int) != arrived).sum()),
        "turn numbers repeat or skip": int(((distinct != arrived) | (last != arrived)).sum()),
        "a business record of a session that is not there": int((~known).sum()),
        "a session with several business records": int((applications.session_id.map(per_session) > 1).sum()),
        "the business record names another user than the session": int(
            (known & (joined.user_id != joined.user_id_session)).sum()
        ),
        "the business record names another channel than the session": int(
            (known & (joined.channel != joined.channel_session)).sum()
        ),
        "the business record is older than its session": int((known & (joined.submitted_at < joined.created_at)).sum()),
        "the business record is completed, the session is not": int(
            (known & completed & (joined.final_outcome != "completed")).sum()
        ),
        "the session is completed, its business record is not": int(
            (known & ~completed & (joined.final_outcome == "completed")).sum()
        ),
    }


def _rate(rows: pd.DataFrame) -> float:
    return float((rows.final_outcome == "completed").mean())


def _ways(files: dict[str, pd.DataFrame]) -> dict[tuple[str, str], float]:
    sessions, turns, metrics = files["sessions"], files["turns"], files["metrics"]
    applications = files["applications"]
    # the last business record of a session; among those of one moment the first by id
    newest_first = applications.sort_values(["submitted_at", "application_id"], ascending=[False, True])
    last = newest_first.drop_duplicates("session_id")
    recorded = sessions.join(last.set_index("session_id"), rsuffix="_record", how="inner")
    regions = sessions.user_id.map(files["users"].region)
    return {
        ("completion", "outcome of the session"): _rate(sessions),
        ("completion", "business record completed"): float((recorded.status == "completed").mean()),
        ("transfer_rate", "outcome is transferred"): float((sessions.final_outcome == "transferred").mean()),
        ("transfer_rate", "a transfer reason is given"): float((sessions.transfer_reason != "").mean()),
        ("transfer_rate", "escalation flag"): float(
            (metrics.escalation_flag.reindex(sessions.session_id).dropna() == "yes").mean()
        ),
        ("turns_per_session", "turns that arrived"): len(turns) / len(sessions),
        ("turns_per_session", "turns that the record claims"): float(sessions.total_turns.astype(int).mean()),
        ("rural_urban_gap", "region of the user of the session"): _rate(sessions[regions == "rural"])
        - _rate(sessions[regions == "urban"]),
        ("voice_share", "channel of the session"): float((sessions.channel == "voice").mean()),
    }


def test_every_contradiction_is_counted_and_what_hangs_on_it_is_withheld(
    world: World, irembo: Path, files: dict[str, pd.DataFrame]
) -> None:
    folder = world.settings.landing / "irembo"
    folder.mkdir(parents=True)
    for path in irembo.glob("*.csv"):
        shutil.copyfile(path, folder / path.name)
    world.look()
    world.run(*MONTH)
    published = set(world.certified())
    assert published == set(files["sessions"].created_at), "every day of the month is published"

    found = {row["contradiction"]: row["found_count"] for row in world.query("select * from certified.contradictions")}
    assert found == _counted(files)

    report: list[dict[str, Any]] = world.query("select * from certified.contradiction_report")
    values = {(row["kpi"], row["way"]): row["value"] for row in report}
    for way, by_hand in _ways(files).items():
        assert values[way] == pytest.approx(by_hand, abs=2e-6), way
    verdicts = {row["kpi"]: row["verdict"] for row in report}
    assert verdicts["transfer_rate"] == "withheld"
    assert verdicts["turns_per_session"] == "withheld"
    assert verdicts["asr_confidence"] == "consistent"
    with world.as_reader() as connection:
        assert connection.execute("select count(*) from certified.contradiction_report").fetchone() == (len(report),)

    numbers = CertifiedReader(world.pipeline.warehouse.reader).snapshot(Request()).numbers
    assert numbers is not None
    assert {"completion", "turns_per_session"} <= numbers.withheld.keys(), "no page shows them as single numbers"
    assert not {"asr_confidence", "error_rate"} & numbers.withheld.keys()
