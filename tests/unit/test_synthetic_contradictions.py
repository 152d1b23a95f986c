"""Records that contradict what happened: as often as the world is told, and what happened stays the same."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from voiceai_assets.cli.app import app
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.synthetic.config import Contradictions, WorldConfig
from voiceai_assets.synthetic.generate import write_all
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.world import World

CONFIG = WorldConfig(users=1_500, sessions_per_day=700, days=2)
SHARES = Contradictions(escalation=0.1, transfer_reason=0.2, record=0.3, applicant=0.4, turn_count=0.5)
Tables = dict[str, pd.DataFrame]


def tables(config: WorldConfig, folder: Path) -> Tables:
    write_all(World(config), SOURCES["irembo"], folder)
    return {
        name: pd.concat([pd.read_csv(path, dtype=str) for path in sorted(folder.glob(f"{name}-*.csv"))])
        for name in ("voice_turns", "voice_sessions", "voice_ai_metrics", "applications", "users")
    }


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables(CONFIG, tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="module")
def contradictory(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables(replace(CONFIG, contradictions=SHARES), tmp_path_factory.mktemp("contradictory"))


def contradictions(of: Tables) -> dict[str, float]:
    """Shares of sessions and records that contradict one another; an application may fail, so records are not here."""
    sessions = of["voice_sessions"].set_index("session_id")
    was_transferred = sessions["final_outcome"].eq("transferred")
    flag = of["voice_ai_metrics"].set_index("session_id")["escalation_flag"].eq("yes")
    turns = of["voice_turns"].groupby("session_id").size()
    records = of["applications"].set_index("session_id")
    return {
        "escalation": (flag != was_transferred[flag.index]).mean(),
        "transfer_reason": (sessions["transfer_reason"].notna() != was_transferred).mean(),
        "applicant": (records["user_id"] != sessions["user_id"][records.index]).mean(),
        "turn_count": (sessions["total_turns"].astype(int) != turns[sessions.index]).mean(),
    }


def test_by_default_nothing_contradicts(honest: Tables) -> None:
    assert set(contradictions(honest).values()) == {0.0}
    abandoned = honest["voice_sessions"].query("final_outcome == 'abandoned'")["session_id"]
    records = honest["applications"].set_index("session_id")["status"]
    assert not records[records.index.isin(abandoned)].eq("completed").any()


def test_records_contradict_as_often_as_the_world_is_told(honest: Tables, contradictory: Tables) -> None:
    found = contradictions(contradictory)
    assert len(contradictory["voice_sessions"]) > 1_000
    for kind, share in found.items():
        assert share == pytest.approx(asdict(SHARES)[kind], abs=0.05), kind
    # seen from the outcome: an honest record of an abandoned session never succeeds
    sessions = contradictory["voice_sessions"].set_index("session_id")["final_outcome"]
    records = contradictory["applications"].set_index("session_id")["status"].eq("completed")
    is_done = sessions[records.index].eq("completed")
    assert records[~is_done].mean() == pytest.approx(SHARES.record, abs=0.15)
    before = honest["applications"].set_index("session_id")["status"].eq("completed")
    assert records[is_done].mean() == pytest.approx(before[is_done].mean() * (1 - SHARES.record), abs=0.05)


def test_what_happened_stays_the_same(honest: Tables, contradictory: Tables) -> None:
    for name in ("voice_turns", "users"):
        pd.testing.assert_frame_equal(honest[name], contradictory[name])
    changed = {
        "voice_sessions": {"total_turns", "transfer_reason"},
        "voice_ai_metrics": {"escalation_flag"},
        "applications": {"user_id", "status"},
    }
    for name, columns in changed.items():
        differs = {c for c in honest[name] if not honest[name][c].equals(contradictory[name][c])}
        assert differs == columns, name


def test_the_command_contradicts_in_every_kind(tmp_path: Path) -> None:
    arguments = ["generate", "--to", str(tmp_path), "--source", "irembo", "--days", "2", "--contradictions", "1"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    of = {
        name: pd.concat([pd.read_csv(path, dtype=str) for path in tmp_path.glob(f"{name}-*.csv")])
        for name in ("voice_turns", "voice_sessions", "voice_ai_metrics", "applications")
    }
    assert set(contradictions(of).values()) == {1.0}


def spreads(of: Tables) -> dict[str, float]:
    """Between the ways of ``certified.contradiction_report`` to compute a figure, of those that must agree here."""
    sessions = of["voice_sessions"]
    flagged = of["voice_ai_metrics"]["escalation_flag"].eq("yes").mean()
    transfers = (
        flagged,
        sessions["transfer_reason"].notna().mean(),
        sessions["final_outcome"].eq("transferred").mean(),
    )
    declared, arrived = sessions["total_turns"].astype(int).mean(), len(of["voice_turns"]) / len(sessions)
    return {"transfer_rate": max(transfers) - min(transfers), "turns_per_session": abs(declared - arrived)}


def test_the_report_would_withhold_what_contradicts_and_only_that(honest: Tables, contradictory: Tables) -> None:
    limits = pd.read_csv(REPOSITORY / "dbt_project" / "seeds" / "contradiction_limits.csv", index_col="kpi")
    for kpi, spread in spreads(contradictory).items():
        assert spread > limits["spread_limit"][kpi], kpi
    assert set(spreads(honest).values()) == {0.0}
