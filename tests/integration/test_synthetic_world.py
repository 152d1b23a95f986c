"""The synthetic world in all five sources, from files to certified: nothing refused, and the truth comes out again."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from psycopg import sql

from tests.integration import (
    grains,
    slow_path,
    slow_path_events,
    slow_path_irembo,
    slow_path_sources,
    slow_path_turns,
)
from tests.integration.slow_path_events import same
from tests.integration.slow_path_turns import Told
from tests.integration.world import World as Platform
from voiceai_assets.catalogue import catalogue
from voiceai_assets.governance.gaps import read_gaps
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.synthetic.config import Effect, Experiment, Outage, References, Texts, Variant, WorldConfig
from voiceai_assets.synthetic.generate import Delivery, write_all
from voiceai_assets.synthetic.sources import SOURCES, converza
from voiceai_assets.synthetic.truth import planted
from voiceai_assets.synthetic.world import World
from voiceai_assets.warehouse.marts import views_over_days

pytestmark = pytest.mark.timeout(900)  # the fixture runs four days, within the time of the first test

CONFIG = WorldConfig(
    users=150,
    sessions_per_day=40,
    days=2,
    texts=Texts(personal_share=0.2),
    references=References(share=0.2),
    outages=(Outage(day=0, from_hour=10, to_hour=14),),  # else nothing would be a technical error or missing
    experiments=(
        Experiment("greeting", (Variant("short", 0.5, is_control=True), Variant("long", 0.5, Effect(hazard=0.4)))),
    ),
)
DAYS = tuple(CONFIG.day(number).isoformat() for number in range(CONFIG.days))
REFERENCE = REPOSITORY / "dbt_project" / "seeds"
#: Conversation events are about the calls of the canonical files; the other platforms have callers of their own.
SEEDS = {"canonical": 1, "events": 1, "irembo": 2, "bakame": 3, "converza": 4}
#: Metrics without a single value here, because nothing of the kind is generated or two days cannot tell.
UNKNOWN_HERE = {
    "no_repeat_7d", "online_minus_offline", "repeat_usage", "satisfaction", "tts_barge_in_rate", "tts_chunks",
    "tts_fallback_rate", "tts_pause", "tts_transcode",
}  # fmt: skip


@dataclass(frozen=True)
class Fed:
    """A platform that was fed, and the worlds it was fed from."""

    platform: Platform
    worlds: dict[str, World]

    def accounts(self) -> dict[str, tuple[int, int, int]]:
        """Dataset -> loaded, quarantined, repeated."""
        return {
            row["dataset"]: (int(row["l"]), int(row["q"]), int(row["d"]))
            for row in self.platform.query(
                "select dataset, sum(rows_loaded) l, sum(rows_quarantined) q, sum(rows_duplicate) d "
                "from governance.loads where is_live and dataset <> 'marts' group by 1"
            )
        }


@pytest.fixture(scope="module")
def fed() -> Iterator[Fed]:
    """Everything but the late rows landed, and both days run; then those, and both days again."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    platform = Platform(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    worlds = {source: World(replace(CONFIG, seed=seed)) for source, seed in SEEDS.items()}
    try:
        for source, world in worlds.items():
            delivery = Delivery(late=0.2, repeated=0.1) if source == "canonical" else None
            write_all(world, SOURCES[source], folder / source, delivery=delivery)
            target = platform.settings.landing / source
            shutil.copytree(folder / source, target, ignore=shutil.ignore_patterns("late"))
        platform.look()
        assert platform.run(*DAYS).success
        fed = Fed(platform, worlds)
        before = fed.accounts()
        shutil.copytree(folder / "canonical" / "late", platform.settings.landing / "canonical" / "late")
        platform.look()
        assert [platform.status(day) for day in DAYS] == ["stale", "stale"]
        assert platform.run(*DAYS).success
        assert fed.accounts()["turns"][0] > before["turns"][0]
        yield fed
    finally:
        platform.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_both_days_are_certified_and_no_record_of_any_source_is_refused(fed: Fed) -> None:
    assert {fed.platform.status(day) for day in DAYS} <= {"certified", "certified with warnings"}
    accounts = fed.accounts()
    assert set(accounts) == {
        "turns", "turn_metrics", "sessions", "session_metrics", "applications", "users", "calls",
        "experiment_events", "experiments", "variants", "assignments", "policy_versions", "deployments",
        "metric_aggregates",
    }  # fmt: skip
    assert {dataset: refused for dataset, (_, refused, _) in accounts.items() if refused} == {}
    # what was written twice was counted once
    assert accounts["turns"][2] > 10
    canonical, irembo, bakame = (fed.worlds[name].facts() for name in ("canonical", "irembo", "bakame"))
    loaded = {
        row["source"]: row["n"]
        for row in fed.platform.query("select source, count(*) n from raw.turns where source <> 'converza' group by 1")
    }
    closed = irembo[1][irembo[1]["final_outcome"] != "in_progress"]
    assert loaded == {
        "canonical": len(canonical[0]),
        "bakame": len(bakame[0]),
        "irembo": 2 * int(closed["turn_count"].sum()),
    }


def test_certified_sessions_are_the_sessions_of_the_world(fed: Fed) -> None:
    with fed.platform.as_reader() as reader:
        rows = reader.execute(
            "select session_id, session_date, final_outcome, outcome_basis, turn_count, region, language "
            "from certified.fact_voice_ai_sessions where source = 'canonical'"
        ).fetchall()
    columns = ["session_id", "session_date", "final_outcome", "outcome_basis", "turn_count", "region", "language"]
    found = pd.DataFrame(rows, columns=columns).set_index("session_id").sort_index()
    truth = fed.worlds["canonical"].facts()[1].set_index("session_id").sort_index()
    assert list(found.index) == list(truth.index)
    for column in ("session_date", "turn_count", "region", "language"):
        assert (found[column] == truth[column]).all(), column
    ended = truth["final_outcome"] != "in_progress"
    assert (found["final_outcome"] == truth["final_outcome"])[ended].all()


def test_what_callers_said_about_themselves_is_in_no_text(fed: Fed) -> None:
    world = fed.worlds["canonical"]
    values = [
        value
        for number in range(CONFIG.days)
        for block in world.blocks(number)
        for value in planted(world, block)["value"].array().to_pylist()
    ]
    assert len(values) > 20
    texts = fed.platform.query("select coalesce(string_agg(user_text, ' '), '') as texts from raw.turns")[0]["texts"]
    assert [value for value in values if value in texts] == []


def test_calls_are_converted_and_pay_what_the_world_knows(fed: Fed) -> None:
    world = fed.worlds["converza"]
    made = [converza.calls(world.config, block) for number in range(CONFIG.days) for block in world.blocks(number)]
    converted = sum(calls.is_converted(call) for calls in made for call in range(len(calls.session)))
    accepted = sum(calls.accepted(call) for calls in made for call in range(len(calls.session)))
    with fed.platform.as_reader() as reader:
        found = reader.execute(
            "select count(*) filter (where is_converted), sum(upsell_amount) from certified.gold_performance_metrics"
        ).fetchone()
    assert found == (converted, accepted)


def test_who_got_which_variant_is_what_the_world_drew(fed: Fed) -> None:
    sessions = fed.worlds["events"].facts()[1].drop_duplicates("user_id")
    found = fed.platform.query("select variant_id, count(*) n from raw.assignments group by 1")
    assert sum(row["n"] for row in found) == CONFIG.users
    seen = fed.platform.query(
        "select a.variant_id, count(distinct a.unit_id) n from raw.assignments a join raw.turns t "
        "on t.user_id = a.unit_id and t.source = 'canonical' group by 1"
    )
    assert {row["variant_id"]: row["n"] for row in seen} == sessions["variant_greeting"].value_counts().to_dict()


def test_every_row_is_the_only_one_of_its_grain(fed: Fed) -> None:
    """Of all sources at once, and every relation has some."""
    assert grains.shared(fed.platform) == {}
    assert grains.empty(fed.platform) == set()


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_reader_can_compute_every_metric_of_the_catalogue(fed: Fed, name: str) -> None:
    """By the catalogue's own words, and a share is one."""
    metric = catalogue()[name]
    view = views_over_days().get(metric.relation)
    relation = sql.Identifier(view.schema if view else "certified", metric.relation)
    parts = sql.SQL(", ").join(sql.SQL(f"({part or 1})::float8") for part in (metric.numerator, metric.denominator))  # type: ignore[arg-type]
    with fed.platform.as_reader() as connection:
        found = connection.execute(sql.SQL("select {} from {}").format(parts, relation)).fetchall()
    rows = [row for row in found if None not in row]
    above, below = (sum(column) for column in zip(*rows, strict=True)) if rows else (0, 0)
    assert bool(below) != (name in UNKNOWN_HERE), name
    if below and metric.denominator:
        assert 0 <= above <= (below if metric.unit == "share" else math.inf)


def test_gaps_between_groups_are_those_of_the_sessions_one_by_one(fed: Fed) -> None:
    with fed.platform.as_reader() as connection:
        gaps = read_gaps(connection, *(date.fromisoformat(day) for day in DAYS), withheld=[])
        cursor = connection.execute(
            "select * from certified.fact_voice_ai_sessions where final_outcome <> 'in_progress'"
        )
        sessions = pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or []])
    found = {(gap.source, gap.comparison): gap.gap for gap in gaps}
    assert {source for source, _ in found} >= {"canonical", "irembo"}
    of_source = sessions[sessions["source"] == "canonical"].fillna("unknown")
    sides = of_source[of_source["region"].isin(["rural", "urban"])]
    rates = _completed(sides, ["region"])
    gap = found["canonical", "rural callers less urban ones"]
    assert gap is not None
    assert gap.observed.estimate == pytest.approx(rates["rural"] - rates["urban"])
    by_stratum = _completed(sides, ["user_type", "language", "channel", "region"]).unstack("region").dropna()
    sizes = sides.groupby(["user_type", "language", "channel"]).size()[by_stratum.index]
    wanted = ((by_stratum["rural"] - by_stratum["urban"]) * sizes).sum() / sizes.sum()
    assert gap.standardised.estimate == pytest.approx(wanted)
    assert gap.compared_share == pytest.approx(sizes.sum() / len(sides))


def _completed(sessions: pd.DataFrame, by: list[str]) -> pd.Series:
    return (sessions["final_outcome"] == "completed").groupby([sessions[name] for name in by]).mean()


# -- every figure from the generated files -----------------------------------------------------------------------------

#: Where a figure came from: not recomputed here.
PROVENANCE = {"publication_version", "certificate_id", "load_id"}
Row = dict[str, Any]


def read(fed: Fed, relation: str) -> list[Row]:
    """As a dashboard does."""
    return fed.platform.read(f"select * from {relation}")


def by(rows: list[Row], *names: str) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in names): row for row in rows}


def of_source(rows: list[Row], source: str) -> list[Row]:
    return [row for row in rows if row["source"] == source]


def files(fed: Fed, source: str, pattern: str) -> list[Path]:
    return sorted((fed.platform.settings.landing / source).rglob(pattern))


@pytest.fixture(scope="module")
def events(fed: Fed) -> list[Row]:
    return slow_path_events.events_of(files(fed, "events", "events-*.jsonl"))


@pytest.fixture(scope="module")
def told(fed: Fed, events: list[Row]) -> Mapping[str, Told]:
    """Source -> its sessions and turns, of the three sources whose sessions follow from turns and events."""
    rows = {
        "canonical": slow_path_sources.canonical(files(fed, "canonical", "turns-*.jsonl")),
        "bakame": slow_path_sources.bakame(files(fed, "bakame", "*.csv")),
        "converza": slow_path_sources.converza(files(fed, "converza", "*.jsonl")),
    }
    endings: dict[tuple[date, str], str] = {}
    for event in events:
        key = (event["day"], event["session"])
        if event["event_type"] == "flow_completed":
            endings[key] = "completed"
        elif event["event_type"] == "user_dropped_off":
            endings.setdefault(key, "abandoned")
    turns = {source: slow_path.filed(of_source) for source, of_source in rows.items()}
    last = date.fromisoformat(DAYS[-1])
    every = (of for sessions in turns.values() for of in sessions.values() if of[0]["at"].date() == last)
    seen = {last: max(row["at"] for of in every for row in of)}
    pseudonym = load_pseudonymiser(fed.platform.settings)
    return {
        source: Told(
            slow_path.sessions(
                rows[source],
                pseudonym,
                slow_path.Elsewhere(
                    source=source, observes_transfers=source == "canonical", endings=endings, seen_until=seen
                ),
            ),
            turns[source],
        )
        for source in rows
    }


@pytest.fixture(scope="module")
def sessions(fed: Fed, told: Mapping[str, Told]) -> dict[str, Row]:
    """Every session of the four sources that have any."""
    pseudonym = load_pseudonymiser(fed.platform.settings)
    irembo = slow_path_irembo.sessions_of(fed.platform.settings.landing / "irembo", *DAYS)
    return {
        **{name: row for of in told.values() for name, row in of.sessions.items()},
        **{name: slow_path_irembo.session_row(row, pseudonym) for name, row in irembo.items()},
    }


def test_every_column_of_every_session_is_what_the_files_say(fed: Fed, sessions: dict[str, Row]) -> None:
    published = read(fed, "certified.fact_voice_ai_sessions")
    assert Counter(row["source"] for row in published).keys() == {"canonical", "bakame", "converza", "irembo"}
    assert published[0].keys() - PROVENANCE == next(iter(sessions.values())).keys()
    same(by(published, "session_id"), {(name,): row for name, row in sessions.items()})
    kinds = Counter((row["source"], row["final_outcome"], row["outcome_basis"]) for row in sessions.values())
    assert kinds["canonical", "abandoned", "inferred"] > 0
    assert kinds["canonical", "completed", "declared"] > 0
    assert kinds["bakame", "abandoned", "inferred"] > 0


def test_daily_sums_and_figures_are_those_of_the_sessions(fed: Fed, sessions: dict[str, Row]) -> None:
    found: dict[Any, Counter[str]] = defaultdict(Counter)
    wanted: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in read(fed, "certified.agg_sessions_daily"):
        for name in slow_path.SUMS:
            found[row["session_date"], row["source"]][name] += row[name] or 0
    for row in sessions.values():
        for name, of in slow_path.SUMS.items():
            wanted[row["session_date"], row["source"]][name] += of(row)
    assert found == wanted
    lengths = by(read(fed, "certified.session_duration_daily"), "session_date", "source")
    same(lengths, slow_path_turns.durations(sessions.values()))
    for day in DAYS:
        rows = [row for row in sessions.values() if str(row["session_date"]) == day]
        figures = [row for row in read(fed, "certified.agg_metrics_daily") if str(row["session_date"]) == day]
        for name, parts in slow_path.METRICS.items():
            totals = tuple(sum(round(of(row) * 1e9) for row in rows) for of in parts)
            assert tuple(sum(row[f"{name}_{part}"] for row in figures) for part in "nd") == totals, (day, name)


@pytest.mark.parametrize("source", ["canonical", "bakame"])
def test_latencies_costs_languages_and_modules_are_what_the_turns_say(
    fed: Fed, told: Mapping[str, Told], source: str
) -> None:
    of = told[source]
    segment = ("session_date", "component", "channel", "language", "model_version", "experiment_variant", "latency_ms")
    counts = by(of_source(read(fed, "certified.agg_latency_histogram_daily"), source), *segment)
    assert {key: row["turn_count"] for key, row in counts.items()} == slow_path_turns.histogram(of)
    levels = by(of_source(read(fed, "certified.sla_daily"), source), "session_date", "component")
    same(levels, slow_path_turns.service_levels(of, REFERENCE / "sla_limits.csv", lambda message: "other"))
    assert all(levels[date.fromisoformat(day), "total"]["measured_turn_count"] > 50 for day in DAYS)
    during, after = (levels[date.fromisoformat(day), "total"] for day in DAYS)
    assert (during["is_error_rate_met"], after["is_error_rate_met"]) == (False, True)
    assert levels[date.fromisoformat(DAYS[0]), "llm"]["coverage"] < 1
    cost = by(of_source(read(fed, "certified.cost_daily"), source),
              "session_date", "channel", "model_version", "experiment_variant")  # fmt: skip
    same(cost, slow_path_turns.costs(of, slow_path_turns.Prices.read(REFERENCE / "prices.csv")))
    synthesis = of_source(read(fed, "certified.tts_metrics_daily"), source)
    same(by(synthesis, "session_date", *slow_path_turns.SETTINGS), slow_path_turns.synthesis(of))
    heard = of_source(read(fed, "certified.asr_by_language"), source)
    same(by(heard, "session_date", "language", "model_version"), slow_path_turns.recognition(of))
    uses = slow_path_turns.uses(of)
    same(by(of_source(read(fed, "certified.user_sessions"), source), "session_id", "user_id", "module"), uses)
    usage = slow_path_turns.module_usage(uses)
    users = {user for user, _ in usage}
    found = [row for row in read(fed, "certified.module_usage") if row["user_id"] in users]
    same(by(found, "user_id", "module"), usage)


def test_conversations_and_experiments_are_what_the_events_say(fed: Fed, events: list[Row]) -> None:
    pseudonym = load_pseudonymiser(fed.platform.settings)
    segment = ("flow_id", "experiment_id", "variant_id")
    of_days = slow_path_events.conversations(events, pseudonym, by_day=True)
    whole = slow_path_events.conversations(events, pseudonym, by_day=False)
    same(by(read(fed, "certified.conversation_sessions"), "event_date", "session_id"), of_days)
    same(by(read(fed, "certified.conversation_funnel"), "event_date", *segment), slow_path_events.funnel(of_days))
    found = by(read(fed, "exp.v_conversations_funnel"), "session_date", *segment)
    same(found, slow_path_events.funnel_of_starts(whole))
    places = by(read(fed, "certified.flow_drop_off_points"),
                "event_date", *segment, "last_active_state", "drop_off_reason")  # fmt: skip
    same(places, slow_path_events.drop_off_points(of_days))
    hours = by(read(fed, "certified.conversation_events_hourly"), "event_date", "event_hour", "event_type", *segment)
    same(hours, slow_path_events.hourly(events, of_days))
    kinds = ("event_date", "experiment_id", "variant_id", "event_type")
    same(by(read(fed, "certified.experiment_events_daily"), *kinds), slow_path_events.experiment_events(events))
    variants = by(read(fed, "exp.experiment_performance"), "experiment_id", "variant_id")
    same(slow_path_events.with_short_ratios(variants), slow_path_events.performance(events))
    counts = by(read(fed, "certified.experiment_latency_histogram_daily"), *kinds, "latency_ms")
    assert {key: row["event_count"] for key, row in counts.items()} == slow_path_events.histogram(events, "latency_ms")


def test_aggregates_of_the_source_stand_as_it_sent_them(fed: Fed) -> None:
    """Their own figures are checked against the events in the unit tests of the generator."""
    grain = ("experiment_id", "variant_id", "metric_name", "bucket_type", "bucket_start")
    sent = [
        json.loads(line)
        for path in files(fed, "events", "metric_aggregates-*")
        for line in path.read_text().splitlines()
    ]
    wanted = {tuple(datetime.fromisoformat(r[n]) if n == "bucket_start" else r[n] for n in grain): r for r in sent}
    found = by(read(fed, "exp.v_experiment_metrics"), *grain)
    assert found.keys() == wanted.keys()
    names = {"observation_count": "count", "min_value": "min", "max_value": "max"}
    names |= {name: name for name in ("mean", "stddev", "p50", "p95", "p99")}
    for key, row in found.items():
        assert {name: row[name] for name in names} == {name: wanted[key].get(of) for name, of in names.items()}, key
    violations = by(read(fed, "exp.constraint_violations"), *grain)
    broken = {key for key, row in wanted.items() if row["metric_name"] == "constraint_respect" and row["mean"] < 1}
    assert violations.keys() == broken
    assert len(broken) > 0


def test_where_nobody_would_see_a_transfer_containment_is_unknown(fed: Fed, sessions: dict[str, Row]) -> None:
    ladder = by(read(fed, "certified.outcome_ladder_daily"), "session_date", "source")
    for (day, source), found in ladder.items():
        ended = [
            row["final_outcome"] for row in sessions.values()
            if (row["session_date"], row["source"]) == (day, source) and row["final_outcome"] != "in_progress"
        ]  # fmt: skip
        assert found["settled_session_count"] == len(ended)
        assert found["completed_session_count"] == ended.count("completed")
        contained = len(ended) - ended.count("transferred")
        assert found["contained_session_count"] == (contained if source in {"canonical", "irembo"} else None)
        assert (found["confirmed_session_count"] is None) == (source != "irembo"), "the others send no business records"
    assert {source for _, source in ladder} == {"canonical", "bakame", "converza", "irembo"}
