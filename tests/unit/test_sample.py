"""The sample world is what it says it is: reproducible, valid, with known structure and one bad day."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.synthetic.sample import bad_day, write_sample

LAST_DAY = date(2026, 8, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_sample(tmp_path_factory.mktemp("sample"), LAST_DAY)


@pytest.fixture(scope="module")
def turns_by_day(files: list[Path]) -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem.removeprefix("turns-"): [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in files
    }


@pytest.fixture(scope="module")
def sessions(turns_by_day: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Turns of each session across files, in order of time."""
    found = defaultdict(list)
    for day in sorted(turns_by_day):
        for turn in turns_by_day[day]:
            found[turn["session_id"]].append(turn)
    return dict(found)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_sample(tmp_path / "a", LAST_DAY, days=6, sessions_per_day=20, seed=7)
    second = write_sample(tmp_path / "b", LAST_DAY, days=6, sessions_per_day=20, seed=7)
    other = write_sample(tmp_path / "c", LAST_DAY, days=6, sessions_per_day=20, seed=8)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [path.read_bytes() for path in first] != [path.read_bytes() for path in other]


def test_one_file_per_day_and_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    reported: list[str] = []
    paths = write_sample(tmp_path, LAST_DAY, days=5, sessions_per_day=10, on_day=reported.append)
    expected = [(LAST_DAY - timedelta(days=n)).isoformat() for n in range(4, -1, -1)]
    assert reported == expected
    assert [path.name for path in paths] == [f"turns-{day}.jsonl" for day in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def test_there_are_as_many_days_and_sessions_as_asked(
    turns_by_day: dict[str, list[dict[str, Any]]], sessions: dict[str, list[dict[str, Any]]]
) -> None:
    assert len(turns_by_day) == 30
    assert len(sessions) == pytest.approx(30 * 120, rel=0.02)
    assert 600 < len({turns[0]["user_id"] for turns in sessions.values()}) <= 720


@pytest.mark.parametrize(("days", "sessions_per_day"), [(0, 120), (30, 0)])
def test_no_days_or_no_sessions_is_refused(tmp_path: Path, days: int, sessions_per_day: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        write_sample(tmp_path, LAST_DAY, days=days, sessions_per_day=sessions_per_day)


def test_a_single_day_with_hardly_a_session_has_at_least_one(tmp_path: Path) -> None:
    (path,) = write_sample(tmp_path, LAST_DAY, days=1, sessions_per_day=1)
    assert 1 <= path.read_text().count('"turn_number":1,') <= 5


def test_every_line_is_a_contract_row(turns_by_day: dict[str, list[dict[str, Any]]]) -> None:
    required = {field.name for field in TURNS.fields if field.required}
    known = {field.name for field in TURNS.fields}
    choices = {field.name: field.choices for field in TURNS.fields if field.choices}
    for day, turns in turns_by_day.items():
        for turn in turns:
            assert required <= turn.keys() <= known
            assert turn["timestamp"].startswith(day)
            assert turn["timestamp"].endswith("Z")
            assert all(turn[name] in allowed for name, allowed in choices.items() if name in turn)
            assert all(type(turn[name]) is int and turn[name] >= 0 for name in turn if name.endswith("_ms"))


def test_exactly_one_day_has_confidences_outside_0_to_1(turns_by_day: dict[str, list[dict[str, Any]]]) -> None:
    impossible = {
        day
        for day, turns in turns_by_day.items()
        if any(not 0 < turn["asr_confidence"] < 1 for turn in turns if "asr_confidence" in turn)
    }
    assert impossible == {bad_day(LAST_DAY).isoformat()} == {"2026-07-29"}
    scores = [turn["asr_confidence"] for turn in turns_by_day["2026-07-29"] if "asr_confidence" in turn]
    assert all(score < 0 for score in scores)


def test_no_session_of_a_good_day_reaches_into_the_bad_one(sessions: dict[str, list[dict[str, Any]]]) -> None:
    broken = {
        turns[0]["timestamp"][:10]
        for turns in sessions.values()
        if any(turn.get("asr_confidence", 1) < 0 for turn in turns)
    }
    assert broken == {"2026-07-29"}


def test_turn_numbers_are_1_to_n_in_each_session_across_files(sessions: dict[str, list[dict[str, Any]]]) -> None:
    for turns in sessions.values():
        assert [turn["turn_number"] for turn in turns] == list(range(1, len(turns) + 1))
        times = [turn["timestamp"] for turn in turns]
        assert times == sorted(times)


def test_some_sessions_cross_midnight_and_none_crosses_the_last_one(
    sessions: dict[str, list[dict[str, Any]]],
) -> None:
    crossing = [turns for turns in sessions.values() if turns[0]["timestamp"][:10] != turns[-1]["timestamp"][:10]]
    assert 5 <= len(crossing) <= 40
    assert max(turns[-1]["timestamp"] for turns in sessions.values()) < "2026-08-02"


def test_only_a_first_session_is_first_time_and_nobody_holds_two_calls(
    sessions: dict[str, list[dict[str, Any]]],
) -> None:
    last_seen: dict[str, str] = {}
    newcomers = 0
    for turns in sorted(sessions.values(), key=lambda turns: turns[0]["timestamp"]):
        user = turns[0]["user_id"]
        (user_type,) = {turn["user_type"] for turn in turns}
        # some had called before the sample begins, so a first session seen need not be the first one
        assert user_type == "returning" or user not in last_seen
        newcomers += user_type == "first_time"
        assert last_seen.get(user, "") < turns[0]["timestamp"]
        last_seen[user] = turns[-1]["timestamp"]
    assert newcomers > 300


def test_an_outcome_stands_on_the_last_turn_or_nowhere(sessions: dict[str, list[dict[str, Any]]]) -> None:
    assert not any("session_outcome" in turn for turns in sessions.values() for turn in turns[:-1])
    outcomes = [turns[-1].get("session_outcome") for turns in sessions.values()]
    assert set(outcomes) == {"completed", "abandoned", "transferred", None}
    assert 0 < outcomes.count(None) < 0.05 * len(outcomes)


def test_abandonment_is_more_likely_at_low_confidence(sessions: dict[str, list[dict[str, Any]]]) -> None:
    spoken = [
        (turn["asr_confidence"], turn.get("session_outcome") == "abandoned")
        for turns in sessions.values()
        for turn in turns
        if turn.get("asr_confidence", -1) > 0
    ]
    low = [abandoned for confidence, abandoned in spoken if confidence < 0.6]
    high = [abandoned for confidence, abandoned in spoken if confidence > 0.85]
    assert len(low) > 500
    assert len(high) > 500
    assert sum(low) / len(low) > 3 * sum(high) / len(high)


def test_errors_are_more_likely_at_low_confidence(sessions: dict[str, list[dict[str, Any]]]) -> None:
    spoken = [turn for turns in sessions.values() for turn in turns if turn.get("asr_confidence", -1) > 0]
    low = ["error_type" in turn for turn in spoken if turn["asr_confidence"] < 0.6]
    high = ["error_type" in turn for turn in spoken if turn["asr_confidence"] > 0.85]
    assert sum(low) / len(low) > 2 * sum(high) / len(high)


def test_the_total_latency_is_not_the_sum_of_its_parts(turns_by_day: dict[str, list[dict[str, Any]]]) -> None:
    spoken = [turn for turns in turns_by_day.values() for turn in turns if "asr_ms" in turn]
    equal = [turn for turn in spoken if turn["total_ms"] == turn["asr_ms"] + turn["llm_ms"] + turn["tts_ms"]]
    assert len(equal) < 0.05 * len(spoken)


def test_the_model_version_changes_once_in_the_middle(sessions: dict[str, list[dict[str, Any]]]) -> None:
    ordered = sorted(sessions.values(), key=lambda turns: turns[0]["timestamp"])
    versions = [turns[0]["model_version"] for turns in ordered]
    changes = [index for index in range(1, len(versions)) if versions[index] != versions[index - 1]]
    assert len(changes) == 1
    assert ordered[changes[0]][0]["timestamp"][:10] == "2026-07-18"
