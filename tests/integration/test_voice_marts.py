"""Voice marts: each published figure is recomputed from the landed files by an independent, slow path, and is equal.

One platform for all of it: real calls (dstc2), the contradictory tables (irembo), and small sessions for the traps.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from tests.conftest import SHARED_DATA
from tests.integration import grains, slow_path
from tests.integration.slow_path_turns import SHARES, percentile
from tests.integration.small_sessions import CALLS, LAST, LISTS, MADE, MADE_SESSIONS, TABLES, land_in_parts
from tests.integration.world import World
from voiceai_assets.assets.dbt import dbt_executable
from voiceai_assets.cli.tools import write_docs
from voiceai_assets.dashboard.days import make_request
from voiceai_assets.dashboard.queries import CertifiedReader
from voiceai_assets.dashboard.tiles import TILES
from voiceai_assets.instance import environment
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.warehouse.figures import metrics_of
from voiceai_assets.warehouse.marts import certified_marts, views_over_days

#: The fixture runs four times, within the time of the first test.
pytestmark = pytest.mark.timeout(900)

DBT_PROJECT = REPOSITORY / "dbt_project"


@pytest.fixture(scope="module")
def platform() -> Iterator[World]:
    """Everything landed and certified, once for all tests of this module."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    try:
        for first, last in land_in_parts(world):
            assert world.run(first, last).success, (first, last)
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


# -- sessions, column by column ----------------------------------------------------------------------------------------

#: Where a figure came from, and in which group of users: not recomputed here.
PROVENANCE = {"publication_version", "certificate_id", "load_id", "user_bucket"}


@pytest.fixture(scope="module")
def slow_sessions(platform: World) -> dict[str, dict[str, Any]]:
    """What the sessions of dstc2 and the small ones are, of which no other table speaks."""
    landed = [json.loads(line) for path in platform.landing.glob("*.jsonl") for line in path.read_text().splitlines()]
    alone = [row for row in landed if row["session_id"] not in {"mixed", "of the next day"}]
    users = {
        date(2026, 8, day): {who: {"region": region} for who, region in people.items()} for day, people in LISTS.items()
    }
    return slow_path.sessions(alone, load_pseudonymiser(platform.settings), slow_path.Elsewhere(users=users))


def test_every_column_of_every_session_is_what_its_turns_say(
    platform: World, slow_sessions: dict[str, dict[str, Any]]
) -> None:
    published = platform.read(
        "select * from certified.fact_voice_ai_sessions where source = 'canonical' and session_id = any(%s)",
        list(slow_sessions),
    )
    assert len(published) == len(slow_sessions) > (150 if (SHARED_DATA / "dstc2").is_dir() else 20)
    for row in published:
        found = {name: value for name, value in row.items() if name not in PROVENANCE}
        wanted = slow_sessions[row["session_id"]]
        assert found.keys() == wanted.keys()
        assert {n: (v, wanted[n]) for n, v in found.items() if v != wanted[n]} == {}, row["session_id"]
    listed = ("said", "listed", "not moved yet", "no longer listed")
    assert [slow_sessions[name]["region"] for name in listed] == ["urban", "urban", "rural", None]


def test_daily_sums_are_the_sums_of_those_sessions(platform: World, slow_sessions: dict[str, dict[str, Any]]) -> None:
    groups = ("session_date", "channel", "user_type", "region", "disability", "language", "model_version",
              "deployment_id", "experiment_id", "experiment_variant")  # fmt: skip
    wanted: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in slow_sessions.values():
        for name, of in slow_path.SUMS.items():
            wanted[tuple(row[group] for group in groups)][name] += of(row)
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in platform.read("select * from certified.agg_sessions_daily where source = 'canonical'"):
        key = tuple(row[group] for group in groups)
        assert row.keys() - PROVENANCE - set(groups) - {"source"} == slow_path.SUMS.keys()
        if str(key[0]) not in {LAST, "2026-08-03"}:  # sessions of which other tables speak
            found[key].update({name: row[name] or 0 for name in slow_path.SUMS})
    assert found == {key: sums for key, sums in wanted.items() if str(key[0]) not in {LAST, "2026-08-03"}}


def test_every_metric_of_the_catalogue_is_the_sum_of_what_each_session_adds(
    platform: World, slow_sessions: dict[str, dict[str, Any]]
) -> None:
    """In billionths, per day; and the figures kept per publication are the same numbers."""
    assert slow_path.METRICS.keys() == {m.metric for m in metrics_of("fact_voice_ai_sessions")}
    days = sorted({str(row["session_date"]) for row in slow_sessions.values()} - {"2026-08-03", LAST})
    for day in days:
        rows = [row for row in slow_sessions.values() if str(row["session_date"]) == day]
        sums = ", ".join(f"sum({name}_{part}) as {name}_{part}" for name in slow_path.METRICS for part in "nd")
        [found] = platform.read(f"select {sums} from certified.agg_metrics_daily where session_date = %s", day)
        kept = {
            figure["metric"]: (float(figure["numerator"]), float(figure["denominator"]))
            for figure in platform.read("select * from certified.figure_history where day = %s and is_live", day)
        }
        for name, parts in slow_path.METRICS.items():
            wanted = tuple(sum(round(of(row) * 1e9) for row in rows) for of in parts)
            assert (int(found[f"{name}_n"]), int(found[f"{name}_d"])) == wanted, (day, name)
            assert kept[name] == pytest.approx([total / 1e9 for total in wanted], abs=1e-6), (day, name)


def test_median_and_p90_of_durations_are_those_of_the_sorted_seconds(
    platform: World, slow_sessions: dict[str, dict[str, Any]]
) -> None:
    published = platform.read("select * from certified.session_duration_daily where source = 'canonical'")
    days = {str(row["session_date"]): row for row in published}
    for day in {str(row["session_date"]) for row in slow_sessions.values()} - {"2026-08-03"}:
        took = [row["duration_seconds"] for row in slow_sessions.values() if str(row["session_date"]) == day]
        whole = [math.ceil(seconds) for seconds in took]
        found = days[day]
        assert found["timed_session_count"] == len(took)
        assert (found["p50_seconds"], found["p90_seconds"]) == (percentile(whole, (1, 2)), percentile(whole, (9, 10)))
        assert float(found["mean_seconds"]) == pytest.approx(sum(took) / len(took), rel=1e-12)


def test_engagement_counts_the_last_thirty_published_days(
    platform: World, slow_sessions: dict[str, dict[str, Any]]
) -> None:
    since = date.fromisoformat(LAST) - timedelta(days=30)
    of_users = defaultdict(list)
    for row in slow_sessions.values():
        if row["session_date"] > since and row["session_date"] != date(2026, 8, 3):
            of_users[row["user_id"]].append(row)
    published = {row["user_id"]: row for row in platform.read("select * from certified.user_engagement")}
    assert len(published) >= len(of_users) > 10
    for user, rows in of_users.items():
        took = [row["duration_seconds"] for row in rows]
        found = published[user]
        assert (found["session_count"], found["interaction_count"]) == (len(rows), sum(r["turn_count"] for r in rows))
        assert found["avg_duration_seconds"] == pytest.approx(sum(took) / len(took), rel=1e-12)
        assert found["last_activity_at"] == max(row["ended_at"] for row in rows)


def test_every_column_of_every_turn_is_what_was_landed(platform: World, dstc2: Path) -> None:
    pseudonym = load_pseudonymiser(platform.settings)
    calls = _calls(dstc2)
    starts = {name: rows[0]["at"] for name, rows in calls.items()}
    landed = {(row["session_id"], row["turn_number"]): row for rows in calls.values() for row in rows}
    published = platform.read(
        "select * from certified.fact_voice_ai_turns where session_date between %s and %s", *CALLS
    )
    assert len(published) == len(landed)
    same = ("turn_id", "channel", "user_type", "region", "language", "module", "intent", "intent_confidence",
            "asr_confidence", "error_type", "asr_ms", "llm_ms", "tts_ms", "model_version",
            "experiment_variant")  # fmt: skip
    for row in published:
        source = landed[row["session_id"], row["turn_number"]]
        wanted = {name: source.get(name) for name in same} | {
            "session_id": source["session_id"],
            "turn_number": source["turn_number"],
            "session_date": starts[source["session_id"]].date(),
            "turn_at": source["at"],
            "speaker": "exchange",
            "is_user_turn": True,
            "user_id": pseudonym(source["user_id"]),
            "is_error_turn": source.get("error_type") in slow_path.ERRORS,
            "total_ms": source.get("total_latency_ms"),
            "is_cancelled": False,
        }
        found = {name: value for name, value in row.items() if name not in PROVENANCE}
        assert found.keys() == wanted.keys()
        assert {n: (v, wanted[n]) for n, v in found.items() if v != wanted[n]} == {}


# -- real calls --------------------------------------------------------------------------------------------------------


def _calls(dstc2: Path) -> dict[str, list[dict[str, Any]]]:
    """Session -> its turns in order."""
    found = defaultdict(list)
    for day in CALLS:
        for line in (dstc2 / f"{day}.jsonl").read_text().splitlines():
            row = json.loads(line)
            found[row["session_id"]].append(row | {"at": datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)})
    return {key: sorted(rows, key=lambda row: (row["at"], row["turn_number"])) for key, rows in found.items()}


def test_percentiles_of_real_calls_are_those_of_the_sorted_values(platform: World, dstc2: Path) -> None:
    calls = _calls(dstc2)
    for day in CALLS:
        turns = [row for rows in calls.values() if rows[0]["timestamp"][:10] == day for row in rows]
        values = [math.floor(row["total_latency_ms"]) for row in turns if row.get("total_latency_ms") is not None]
        (found,) = platform.read(
            "select * from certified.sla_daily where session_date = %s and component = 'total'", day
        )
        assert {name: found[name] for name in SHARES} == {name: percentile(values, p) for name, p in SHARES.items()}
        assert (found["measured_turn_count"], found["eligible_turn_count"]) == (len(values), len(turns))
        assert found["is_met"] is (percentile(values, (19, 20)) < 3000)
        histogram = platform.read(
            "select latency_ms, sum(turn_count)::int as n from certified.agg_latency_histogram_daily "
            "where session_date = %s and component = 'total' group by 1",
            day,
        )
        expected = Counter(values) | {None: len(turns) - len(values)}
        assert {row["latency_ms"]: row["n"] for row in histogram} == expected
        (asr,) = platform.read("select * from certified.sla_daily where session_date = %s and component = 'asr'", day)
        assert (asr["p95_ms"], asr["is_met"], asr["coverage"]) == (None, None, 0), "never measured is not met"


def test_recognition_of_real_calls_is_weighted_by_turn(platform: World, dstc2: Path) -> None:
    expected: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for rows in _calls(dstc2).values():
        figures = expected[rows[0]["timestamp"][:10], min(row["model_version"] for row in rows)]
        figures["session_count"] += 1
        figures["completed_session_count"] += rows[0]["session_outcome"] == "completed"
        for row in rows:
            sure = row["asr_confidence"]
            figures["turn_count"] += 1
            figures["asr_turn_count"] += 1
            figures["asr_confidence_nano"] += round(sure * 1e9)
            figures["misunderstanding_turn_count"] += row.get("error_type") == "misunderstanding"
            figures["error_turn_count"] += row.get("error_type") is not None
            figures["low_confidence_turn_count"] += sure < 0.6
            figures["medium_confidence_turn_count"] += 0.6 <= sure < 0.8
            figures["high_confidence_turn_count"] += sure >= 0.8
            counts = slow_path.edits(row["extra"]["reference_transcript"], row.get("user_text") or "")
            band = "low" if sure < 0.6 else "medium" if sure < 0.8 else "high"
            for name, count in zip(("reference_word_count", "word_error_count"), counts, strict=True):
                figures[name] += count
                figures[f"{band}_confidence_{name}"] += count
    found = platform.read("select * from certified.asr_by_language where session_date = any(%s::date[])", list(CALLS))
    assert {row["language"] for row in found} == {"en"}
    for row in found:
        figures = expected.pop((row["session_date"].isoformat(), row["model_version"]))
        assert {name: row[name] for name in figures} == figures
    assert not expected


def test_modules_of_real_calls_add_up_to_the_calls(platform: World, dstc2: Path) -> None:
    pseudonym = load_pseudonymiser(platform.settings)
    expected: dict[tuple[str, str, str], list[float]] = {}
    for key, rows in _calls(dstc2).items():
        spent: Counter[str] = Counter()
        for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
            spent[row["module"]] += round((following["at"] - row["at"]) / timedelta(microseconds=1))
        for module, microseconds in spent.items():
            turns = sum(row["module"] == module for row in rows)
            expected[key, pseudonym(rows[0]["user_id"]), module] = [turns, microseconds / 1e6]
    found = platform.read("select * from certified.user_sessions where session_date = any(%s::date[])", list(CALLS))
    assert {
        (row["session_id"], row["user_id"], row["module"]): [row["turn_count"], row["duration_seconds"]]
        for row in found
    } == expected

    usage: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0])
    for (_, user, module), (turns, seconds) in expected.items():
        entry = usage[user, module]
        entry[0] += 1
        entry[1] += turns
        entry[2] += round(seconds * 1000)
    modules = platform.read("select * from certified.module_usage where user_id = any(%s)", [user for user, _ in usage])
    assert {
        (row["user_id"], row["module"]): [
            row["usage_count"], row["turn_count"], round(row["total_duration_seconds"] * 1000)
        ]
        for row in modules
    } == usage  # fmt: skip


# -- tables that contradict one another --------------------------------------------------------------------------------


def _tables(irembo: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sessions of the days, their turns, and the applications submitted on them."""
    sessions = pd.read_csv(irembo / "voice_sessions.csv")
    sessions = sessions[sessions["created_at"].between(*TABLES)]
    turns = pd.read_csv(irembo / "voice_turns.csv").merge(
        sessions[["session_id", "created_at"]], on="session_id", suffixes=("_own", "")
    )
    applications = pd.read_csv(irembo / "applications.csv")
    return sessions, turns, applications[applications["submitted_at"].between(*TABLES)]


def test_confidence_of_system_rows_is_in_no_average(platform: World, irembo: Path) -> None:
    _, turns, _ = _tables(irembo)
    heard = turns[turns["speaker"] == "user"]
    (found,) = platform.read(
        "select sum(asr_turn_count)::int as n, sum(asr_confidence_nano)::bigint as nano, "
        "sum(turn_count)::int as turns, sum(user_turn_count)::int as user_turns, sum(session_count)::int as sessions, "
        "sum(misunderstanding_turn_count)::int as misunderstood "
        "from certified.asr_by_language where session_date between %s and %s",
        *TABLES,
    )
    confident = heard["asr_confidence"].dropna()
    assert found == {
        "n": len(confident),
        "nano": sum(round(value * 1e9) for value in confident),
        "turns": len(turns),
        "user_turns": len(heard),
        "sessions": turns["session_id"].nunique(),
        "misunderstood": int((turns["error_type"] == "misunderstanding").sum()),
    }
    assert found["nano"] / found["n"] != pytest.approx(turns["asr_confidence"].mean() * 1e9, rel=1e-6)


def test_sessions_without_turns_are_counted_and_nowhere_else(platform: World, irembo: Path) -> None:
    sessions, turns, _ = _tables(irembo)
    silent = sessions[~sessions["session_id"].isin(turns["session_id"])]
    engaged = turns[turns["speaker"] == "user"]["session_id"].nunique()
    (found,) = platform.read(
        "select sum(offered_session_count)::int as offered, sum(connected_session_count)::int as connected, "
        "sum(engaged_session_count)::int as engaged, sum(sessions_without_turns)::int as silent "
        "from certified.sessions_without_turns_daily where session_date between %s and %s",
        *TABLES,
    )
    connected = len(sessions) - len(silent)
    assert found == {"offered": len(sessions), "connected": connected, "engaged": engaged, "silent": len(silent)}
    (facts,) = platform.read(
        "select count(*)::int as n from certified.fact_voice_ai_sessions where session_date between %s and %s",
        *TABLES,
    )
    assert facts["n"] == connected


def test_applications_keep_their_own_user_and_day(platform: World, irembo: Path) -> None:
    _, _, applications = _tables(irembo)
    pseudonym = load_pseudonymiser(platform.settings)
    expected = {
        (row.submitted_at, row.application_id, row.session_id, pseudonym(row.user_id), row.status == "completed")
        for row in applications.itertuples()
    }
    found = platform.read(
        "select submitted_date::text as day, application_id, origin_session_id, user_id, is_completed "
        "from certified.fact_applications where submitted_date between %s and %s",
        *TABLES,
    )
    assert {tuple(row.values()) for row in found} == expected
    assert len(found) == len(applications)


def test_the_ladder_of_contradictory_tables(platform: World, irembo: Path) -> None:
    sessions, turns, applications = _tables(irembo)
    sessions = sessions[sessions["session_id"].isin(turns["session_id"])].sort_values(["created_at", "session_id"])
    applied = applications[applications["status"] == "completed"].groupby("session_id")["user_id"].agg(set).to_dict()
    days = [date.fromisoformat(TABLES[0]) + timedelta(n) for n in range(10)]
    expected = {}
    for day in days:
        of_day = sessions[sessions["created_at"] == day.isoformat()]
        completed = of_day[of_day["final_outcome"] == "completed"]
        named = of_day[of_day["session_id"].isin(applied)]
        repeats = {1: 0, 7: 0}
        for row in completed.itertuples():
            for other in sessions[sessions["user_id"] == row.user_id].itertuples():
                gap = (date.fromisoformat(other.created_at) - day).days
                if (other.created_at, other.session_id) > (row.created_at, row.session_id):
                    repeats = {width: n + (gap <= width) for width, n in repeats.items()}
                    break
        expected[day] = {
            "session_count": len(of_day),
            "settled_session_count": len(of_day),
            "contained_session_count": int((of_day["final_outcome"] != "transferred").sum()),
            "completed_session_count": len(completed),
            "applied_session_count": len(named),
            "confirmed_session_count": int(completed["session_id"].isin(applied).sum()),
            "applied_both_users_session_count": len(named),
            "applied_other_user_session_count": sum(
                row.user_id not in applied[row.session_id] for row in named.itertuples()
            ),
            "completed_user_session_count": len(completed),
            "no_repeat_24h_session_count": len(completed) - repeats[1] if day < days[-1] else None,
            "no_repeat_7d_session_count": len(completed) - repeats[7] if day <= days[2] else None,
        }
    found = platform.read("select * from certified.outcome_ladder_daily where session_date between %s and %s", *TABLES)
    assert {row.pop("session_date"): row for row in found if row.pop("source") == "irembo"} == expected
    assert sum(row["applied_other_user_session_count"] for row in expected.values()) > 0


# -- traps -------------------------------------------------------------------------------------------------------------


def test_a_percentile_is_of_the_turns_and_not_of_percentiles(platform: World) -> None:
    (day,) = platform.read(
        "select * from certified.sla_daily where session_date = '2026-08-01' and source = 'canonical' "
        "and component = 'total'",
    )
    assert (day["p50_ms"], day["p95_ms"], day["p99_ms"]) == (100, 900, 900), "the cancelled minute is not in it"
    assert day["measured_turn_count"] == 20
    cut = platform.read(
        "select channel, max(latency_ms) as slowest, sum(turn_count)::int as n "
        "from certified.agg_latency_histogram_daily where session_date = '2026-08-01' and component = 'total' "
        "and latency_ms is not null group by 1 order by 1",
    )
    assert cut == [{"channel": "voice", "slowest": 900, "n": 10}, {"channel": "web", "slowest": 100, "n": 10}]


def test_a_rate_is_a_ratio_of_sums(platform: World) -> None:
    names = ["long", "short"]
    (found,) = platform.read(
        "select sum(error_turn_count)::int as errors, sum(turn_count)::int as turns, "
        "avg(error_turn_proportion) as mean_of_rates from certified.fact_voice_ai_sessions where session_id = any(%s)",
        names,
    )
    assert (found["errors"], found["turns"]) == (2, 11)
    assert found["mean_of_rates"] == pytest.approx(0.55)
    day = platform.read(
        "select component, error_turn_count, turn_count, is_error_rate_met from certified.sla_daily "
        "where session_date = '2026-08-01' and component in ('llm', 'tts', 'total') order by 1",
    )
    turns = sum(len(rows) for rows in MADE_SESSIONS.values() if rows[0]["timestamp"].startswith("2026-08-01"))
    assert [tuple(row.values()) for row in day] == [
        ("llm", 1, turns, turns * 0.03 > 1),
        ("total", 1, turns, turns * 0.05 > 1),
        ("tts", 0, turns, True),
    ]


def test_sums_by_group_of_users_give_the_same_figures_as_the_sessions(platform: World, dstc2: Path) -> None:
    """What pages over long periods read, beside what they read over short ones."""
    asked = make_request(CALLS[1], CALLS[1])
    exact, grouped = (
        CertifiedReader(platform.pipeline.warehouse.reader, exact_turns=most).snapshot(asked).numbers
        for most in (10**9, 0)
    )
    assert exact is not None
    assert grouped is not None
    assert (exact.cluster, grouped.cluster) == ("user", "group of users")
    assert exact.by_period["sessions"] == grouped.by_period["sessions"] > 100
    for tile in TILES:
        for prefix in ("", "before_"):
            by_user, by_group = (tile.estimate(numbers.sums(tile.key, prefix)) for numbers in (exact, grouped))
            assert by_group.numerator == pytest.approx(by_user.numerator, abs=1e-6)
            assert by_group.denominator == by_user.denominator
            assert by_group.n_users <= by_user.n_users
        assert exact.sums_of_days(tile.key).keys() == grouped.sums_of_days(tile.key).keys()


def test_a_session_across_midnight_is_of_one_day(platform: World) -> None:
    found = platform.read(
        "select session_date::text, turn_count, duration_seconds from certified.user_sessions "
        "where session_id = 'crossing'",
    )
    assert found == [{"session_date": "2026-08-01", "turn_count": 5, "duration_seconds": 240}]


def test_repeats_are_known_only_when_their_window_is_published(platform: World) -> None:
    ladder = {
        row["session_date"].isoformat(): row
        for row in platform.read("select * from certified.outcome_ladder_daily where session_date >= %s", MADE[0])
    }
    first = ladder["2026-08-01"]
    # r1, s1 and t1 complete on the first day; r1 comes back after exactly 24 hours, s1 a minute later, t1 after a week
    assert first["completed_user_session_count"] == 8
    assert first["no_repeat_24h_session_count"] == 7
    assert first["no_repeat_7d_session_count"] == 6
    assert first["settled_session_count"] - first["contained_session_count"] == 1
    assert (first["applied_session_count"], first["confirmed_session_count"]) == (3, 2)
    assert (first["applied_both_users_session_count"], first["applied_other_user_session_count"]) == (3, 1)
    matured = {day for day, row in ladder.items() if row["no_repeat_7d_session_count"] is not None}
    assert matured == {"2026-08-01", "2026-08-02", "2026-08-03"}
    assert ladder[LAST]["no_repeat_24h_session_count"] is None
    with platform.pipeline.warehouse.connect() as connection:
        connection.execute("update governance.publications set is_live = false where day = '2026-08-05'")
        known = connection.execute(
            "select session_date::text from certified.outcome_ladder_daily where session_date >= '2026-08-01' "
            "and no_repeat_7d_session_count is not null"
        ).fetchall()
        connection.rollback()
    assert known == [], "one day that is hidden again unsettles every window that it lies in"


def test_repeat_usage_waits_for_thirty_published_days(platform: World) -> None:
    query = (
        "select user_count, repeat_user_count, is_mature from certified.repeat_usage "
        "where first_session_date = '2026-08-01' and source = 'canonical'"
    )
    users = {rows[0]["user_id"] for rows in MADE_SESSIONS.values() if rows[0]["timestamp"].startswith("2026-08-01")}
    assert platform.read(query) == [{"user_count": len(users), "repeat_user_count": None, "is_mature": False}]
    with platform.pipeline.warehouse.connect() as connection:
        for day in range(10, 31):
            _pretend_published(connection, date(2026, 8, 1) + timedelta(day))
        found = connection.execute(query).fetchall()
        connection.rollback()
    assert found == [(len(users), 3, True)]


def _pretend_published(connection: psycopg.Connection[Any], day: date) -> None:
    """Publish a session of nobody on a day."""
    (new,) = connection.execute(
        "insert into governance.publications (mart, day, version, load_id, certificate_id, row_count, content_sha256, "
        "is_live) select mart, %s, 1, load_id, certificate_id, 1, '', true from governance.publications "
        "where mart = 'fact_voice_ai_sessions' and day = %s and is_live returning publication_id",
        [day, LAST],
    ).fetchone() or (None,)
    connection.execute(
        f"create table published.fact_voice_ai_sessions_{day:%Y%m%d} partition of published.fact_voice_ai_sessions "  # type: ignore[arg-type]
        f"for values from ('{day}') to ('{day + timedelta(1)}')"
    )
    connection.execute(
        "insert into published.fact_voice_ai_sessions select (jsonb_populate_record(t, jsonb_build_object("
        "'publication_id', %s::bigint, 'session_date', %s::date, 'user_id', null))).* "
        "from published.fact_voice_ai_sessions t where session_id = 'of the next day' limit 1",
        [new, day],
    )


def test_versions_of_a_user_follow_the_exports(platform: World) -> None:
    pseudonym = load_pseudonymiser(platform.settings)
    names = {pseudonym(who): who for who in ("stays", "moves", "leaves")}
    found = platform.read(
        "select user_id, region, valid_from::text, valid_to::text, is_current from certified.dim_users "
        "where user_id = any(%s)",
        list(names),
    )
    assert {(names[row["user_id"]], *list(row.values())[1:]) for row in found} == {
        ("stays", "rural", "2026-08-01", None, True),
        ("moves", "rural", "2026-08-01", "2026-08-04", False),
        ("moves", "urban", "2026-08-04", "2026-08-05", False),
        ("moves", "rural", "2026-08-05", None, True),
        ("leaves", "urban", "2026-08-01", "2026-08-05", False),
    }


def test_what_a_spoken_session_costs_and_how_it_sounded(platform: World) -> None:
    (cost,) = platform.read("select * from certified.cost_daily where model_version = 'm' and source = 'canonical'")
    prices = pd.read_csv(DBT_PROJECT / "seeds" / "prices.csv")
    now = prices[prices["valid_to"].isna()].set_index(["item", "applies_to"])["usd_per_million"].to_dict()
    expected = (
        900 * now["llm_input_token", "default"]
        + 60 * now["llm_output_token", "default"]
        + 3000 * now["tts_character", "deepgram"]
    ) / 1e6
    assert float(cost["priced_cost_usd"]) == pytest.approx(expected, abs=1e-6)
    assert (cost["tokens_in"], cost["tokens_out"], cost["tts_characters"]) == (900, 60, 3000)
    assert cost["unpriced_unit_count"] == 0
    assert (cost["session_count"], cost["completed_session_count"], cost["emitted_cost_usd"]) == (1, 1, None)
    (tts,) = platform.read("select * from certified.tts_metrics_daily where tts_provider = 'deepgram'")
    assert (tts["tts_voice"], tts["turn_count"], tts["fallback_count"], tts["barge_in_turn_count"]) == ("luna", 3, 3, 3)
    assert (tts["transcoded_turn_count"], tts["transcode_us"], tts["sentence_chunk_count"]) == (3, 3750, None)


def test_a_changed_outcome_is_recorded_beside_the_old_one(platform: World) -> None:
    found = platform.query(
        "select final_outcome, outcome_basis from marts.session_outcome_history where session_id = 'open' "
        "order by recorded_at"
    )
    assert [tuple(row.values()) for row in found] == [("in_progress", "inferred"), ("abandoned", "inferred")]
    once = platform.query("select count(*) as n from marts.session_outcome_history where session_id = 'crossing'")
    assert once == [{"n": 1}], "the last day was run twice, the others said nothing new"
    with platform.as_reader() as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select 1 from marts.session_outcome_history")


def _dbt(world: World, *arguments: str, ends_with: int = 0) -> list[dict[str, Any]]:
    """Results of a dbt command on this database, as dbt reports them; asserts how it ended."""
    target = world.settings.home / "by_hand"
    with environment({**world.pipeline.warehouse.dbt_environment(), "DBT_PROFILES_DIR": str(DBT_PROJECT)}):
        done = subprocess.run(
            [dbt_executable(), "--no-use-colors", *arguments, "--target-path", str(target), "--log-path", str(target)],
            cwd=DBT_PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == ends_with, done.stdout[-4000:]
    report = "sources.json" if arguments[0] == "source" else "run_results.json"
    return list(json.loads((target / report).read_text())["results"])


def test_the_whole_project_builds_clean_and_every_rule_of_a_model_holds(platform: World) -> None:
    """Every model over every day at once, all data tests, all unit tests."""
    results = _dbt(platform, "build")
    dashboards = {result["status"] for result in results if result["unique_id"].startswith("exposure.")}
    assert dashboards == {"no-op"}, "nothing is built for them"
    assert {result["status"] for result in results} - dashboards == {"success", "pass"}
    kinds = Counter(result["unique_id"].split(".")[0] for result in results)
    written = sum(path.read_text().count("\n    model: ") for path in (DBT_PROJECT / "models").rglob("*.yml"))
    assert kinds["unit_test"] == written >= 29
    assert kinds["test"] > 25


def test_the_documentation_shows_every_model_with_its_columns_and_lineage(platform: World) -> None:
    page = write_docs(platform.pipeline).read_text()
    for name in (*certified_marts(), *views_over_days(), "stg_turns", "int_turns_sessionised"):
        assert f'"model.voiceai.{name}"' in page, name
    assert '"parent_map"' in page
    assert "sum of their ratings, in billionths" in page


def test_every_row_is_the_only_one_of_its_grain(platform: World) -> None:
    assert grains.shared(platform) == {}


def test_turns_that_stopped_coming_make_the_source_stale(platform: World) -> None:
    assert [found["status"] for found in _dbt(platform, "source", "freshness")] == ["pass"]
    platform.query("update governance.loads set loaded_at = loaded_at - interval '31 hours' returning 1")
    assert [found["status"] for found in _dbt(platform, "source", "freshness")] == ["warn"]
    platform.query("update governance.loads set loaded_at = loaded_at - interval '18 hours' returning 1")
    assert [found["status"] for found in _dbt(platform, "source", "freshness", ends_with=1)] == ["error"]
