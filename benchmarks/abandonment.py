"""What the abandonment model is worth on real input: ``python -m benchmarks.abandonment dstc2|irembo FOLDER``.

Belongs here: reading the files straight into frames, without a server, and printing what the card would say. The
feature store's tests hold this path and the certified mart to the same rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from tests.unit.abandonment_world import frames
from voiceai_assets.models.abandonment.audit import leaks
from voiceai_assets.models.abandonment.card import said
from voiceai_assets.models.abandonment.contest import compete
from voiceai_assets.models.abandonment.features import mature, prefix_table
from voiceai_assets.models.abandonment.training import TrainingConfig

RESAMPLES = 500


def main() -> None:
    """Read, train, print."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    read = {"dstc2": lambda: frames(sorted(folder.glob("*.jsonl"))), "irembo": lambda: irembo(folder)}[name]
    turns, sessions = read()
    started = sessions.set_index("session_id")["started_at"]
    table = prefix_table(turns, sessions).assign(started_at=lambda rows: rows["session_id"].map(started))
    table = mature(table, pd.to_datetime(sessions["ended_at"], utc=True).max(), 2.0)
    contest = compete(table, TrainingConfig(resamples=RESAMPLES, tune=True), None, leaks(table, turns, sessions))
    print(f"{name}: {contest.candidate}, {contest.decision.action}: {contest.decision.because}")
    for head, result in contest.result.heads.items():
        found = result.evaluation
        print(f"{head}: {found.sessions} sessions, {found.users} users, share {found.base_rate:.3f}")
        print(f"  AUC {said(found.auc)}, turn 1 {said(found.auc_by_turn['1'])}, turn 2 {said(found.auc_by_turn['2'])}")
        print(f"  slope {said(found.calibration_slope)}, error {said(found.ece)}, by chance {found.ece_by_chance:.3f}")
        for baseline, compared in result.baselines.items():
            print(f"  log loss saved against {baseline}: {said(compared.gain, 4)}")
        print(f"  boosting instead of logistic regression saves {said(contest.boosting_gain[head], 4)}")
        claim = contest.evidence.claims[head]
        print(f"  ASR strongest: {claim.verdict} (lead {said(claim.lead, 4)}), {claim.because}")
    print(f"turn 1 minus later: {said(contest.evidence.first_turn_minus_later, 4)}")


def irembo(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames of the four files, a turn on the day of its session; outcomes as the session file declares them."""
    turns, sessions, users = (pd.read_csv(folder / f"{n}.csv") for n in ("voice_turns", "voice_sessions", "users"))
    sessions = sessions.drop_duplicates("session_id").merge(
        users.drop_duplicates("user_id"), on="user_id", how="left", suffixes=("", "_of_user")
    )
    sessions["started_at"] = pd.to_datetime(sessions["created_at"], utc=True)
    sessions["session_date"] = sessions["started_at"].dt.date
    sessions["ended_at"] = sessions["started_at"]
    sessions["outcome_basis"] = "declared"
    turns = turns.drop_duplicates().drop_duplicates("turn_id")
    static = ["session_date", "session_id", "user_id", "channel", "language", "region", "started_at"]
    turns = turns.merge(sessions[[name for name in static if name in sessions]], on="session_id")
    is_user = turns["speaker"] == "user"
    turns = turns.assign(
        turn_at=turns["started_at"],
        is_user_turn=is_user,
        is_error_turn=turns["error_type"].isin(["misunderstanding", "silence", "repeated_intent_failure"]),
        asr_confidence=turns["asr_confidence"].where(is_user),
        intent_confidence=turns.get("intent_confidence"),
        total_ms=None,
        user_type=None,
        module=None,
    )
    return turns, sessions


if __name__ == "__main__":
    main()
