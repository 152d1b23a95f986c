"""From landed files to a champion whose scores a reader sees; what is refused does not score."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pandas as pd
import psycopg
import pytest
from rich.console import Console

from tests.integration.world import World as Platform
from voiceai_assets.assets.abandonment import CHAMPION, MODEL
from voiceai_assets.cli import models as command
from voiceai_assets.models.abandonment.certified import read_certified_days
from voiceai_assets.models.abandonment.registry import Registry
from voiceai_assets.synthetic.config import linear
from voiceai_assets.synthetic.world import World
from voiceai_assets.warehouse.scores import ScoresError, publish_scores

FIRST, LAST = "2026-01-01", "2026-01-08"
COLUMNS = ["session_id", "turn_number", "timestamp", "user_id", "channel", "user_type", "region", "language", "module"]
COLUMNS += ["intent_confidence", "asr_confidence", "error_type", "total_ms", "session_outcome"]


pytestmark = pytest.mark.timeout(900)  # the shared world is made in the first test's time


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """Eight certified days of a world in which ASR drives callers away, and one training."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    made = Platform(folder / "home")
    turns, sessions = World(linear(users=1500, days=8, sessions_per_day=250, seed=1, undeclared=0.0)).facts()
    outcome = sessions.set_index("session_id")["final_outcome"].replace("in_progress", None)
    rows = turns.assign(
        timestamp=turns["turn_at"].map(pd.Timestamp.isoformat), session_outcome=turns["session_id"].map(outcome)
    )
    for day, part in rows.groupby("session_date"):
        plain = part[COLUMNS].astype(object).where(part[COLUMNS].notna(), None)
        made.land(f"turns-{day}.jsonl", plain.to_dict("records"))
    assert made.run(FIRST, LAST).success
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def training(platform: Platform) -> dg.ExecuteInProcessResult:
    return _train(platform)


@pytest.fixture(scope="module")
def registry(platform: Platform, training: dg.ExecuteInProcessResult) -> Registry:
    assert training.success
    return Registry(platform.settings.models)


def _train(platform: Platform, selection: list[dg.AssetKey] | None = None) -> dg.ExecuteInProcessResult:
    job = platform.definitions().resolve_job_def("train_job")
    return job.execute_in_process(instance=platform.instance, raise_on_error=False, asset_selection=selection)


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in result.get_asset_check_evaluations()}


def test_training_on_certified_days_makes_a_champion(
    platform: Platform, training: dg.ExecuteInProcessResult, registry: Registry
) -> None:
    assert _checks(training)["promotion_criteria_hold"] is True
    champion = registry.champion()
    assert champion == registry.candidate()
    card = registry.card(str(champion))
    assert card["data_versions"] == read_certified_days(platform.pipeline.warehouse.reader).versions
    assert card["extra"]["evidence"]["claims"]["hazard"]["verdict"] == "true"
    assert len(registry.versions()) == 2, "the kind that was not proposed is kept, too"
    words = (registry.folder / str(champion) / "card.md").read_text()
    assert "## When callers give up" in words
    (event,) = training.asset_materializations_for_node("models__abandonment_model")
    assert event.metadata["reliability"].value.startswith("![](data:image/png;base64,")


def test_a_reader_sees_a_score_for_each_published_turn(platform: Platform, registry: Registry) -> None:
    days = read_certified_days(platform.pipeline.warehouse.reader)
    expected = days.table.join(registry.load(str(registry.champion())).predict(days.table))
    with platform.as_reader() as connection:
        seen = connection.execute(
            "select session_id, k, hazard, landmark, model_version from certified.abandonment_scores "
            'order by session_date, session_id collate "C", k'
        ).fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from governance.abandonment_scores")
    assert len(seen) == len(expected) > 5000
    for name, column in (("hazard", 2), ("landmark", 3)):
        pd.testing.assert_series_equal(
            pd.Series([row[column] for row in seen]), expected[name], check_names=False, rtol=0, atol=1e-12
        )
    assert {row[4] for row in seen} == {registry.champion()}


def test_each_scored_day_is_watched(training: dg.ExecuteInProcessResult) -> None:
    """The days that were learned from, among others: none may be far from what was learned."""
    found = {check.check_name: check for check in training.get_asset_check_evaluations()}
    for name in ("callers_of_scored_days_are_usual", "scored_days_came_true"):
        days = found[name].metadata["days"].value.records
        assert [record.data["day"] for record in days] == [f"2026-01-{n:02}" for n in range(1, 9)]
        assert found[name].passed
        assert found[name].severity is dg.AssetCheckSeverity.WARN
    assert all(record.data["drift"] == "too few rows" or record.data["psi"] < 0.1 for record in days)
    assert all(record.data["landmark expected"] > 0 for record in days[:-1])


def test_a_session_has_its_last_and_its_highest_chance(platform: Platform, registry: Registry) -> None:
    with platform.as_reader() as connection:
        turns = pd.DataFrame(
            connection.execute("select session_id, k, hazard, landmark from certified.abandonment_scores").fetchall(),
            columns=["session_id", "k", "hazard", "landmark"],
        )
        sessions = connection.execute(
            "select session_id, user_turn_count, last_hazard, last_landmark, highest_hazard "
            "from certified.abandonment_session_scores"
        ).fetchall()
    assert len(sessions) == turns["session_id"].nunique() > 1000
    by_session = {name: rows.sort_values("k") for name, rows in turns.groupby("session_id")}
    for name, count, hazard, landmark, highest in sessions:
        rows = by_session[name]
        assert (count, hazard, landmark) == tuple(rows.iloc[-1][["k", "hazard", "landmark"]])
        assert highest == rows["hazard"].max()


def test_scores_go_out_of_sight_with_their_day(platform: Platform, registry: Registry) -> None:
    count = "select count(*) from certified.abandonment_scores where session_date = %s"
    with platform.pipeline.warehouse.connect() as connection:
        before = connection.execute(count, [FIRST]).fetchone()
        connection.execute("update governance.publications set is_live = false where day = %s", [FIRST])
        assert connection.execute(count, [FIRST]).fetchone() == (0,)
        connection.rollback()
        assert connection.execute(count, [FIRST]).fetchone() == before != (0,)


def test_a_day_with_a_score_missing_is_not_shown(platform: Platform, registry: Registry) -> None:
    days = read_certified_days(platform.pipeline.warehouse.reader)
    table = days.table[days.table["session_date"].astype(str) == FIRST].reset_index(drop=True)
    scored = table[["session_date", "session_id", "k"]].astype({"session_date": str}).assign(hazard=0.1, landmark=0.2)
    with platform.pipeline.warehouse.connect() as connection:
        with pytest.raises(ScoresError, match="published turns and"):
            publish_scores(
                connection, str(registry.champion()), scored[:-1], {FIRST: days.versions[FIRST]["certificate"]}
            )
        connection.rollback()


def test_trained_again_on_the_same_days_nothing_changes(platform: Platform, registry: Registry) -> None:
    before = registry.champion(), registry.versions()
    again = _train(platform)
    assert again.success
    assert (registry.champion(), registry.versions()) == before
    assert registry.verdict(str(before[0])) is not None
    assert registry.verdict(str(before[0]))["action"] == "keep"


def test_a_refused_candidate_does_not_become_champion_in_a_later_run_either(
    platform: Platform, registry: Registry
) -> None:
    champion = registry.champion()
    other = next(version for version in registry.versions() if version != champion)
    registry.record_verdict(other, {"action": "refuse", "because": "too sure of itself", "criteria": []})
    assert not _train(platform, [CHAMPION]).success
    assert registry.champion() == champion


def test_a_leak_in_the_mart_blocks_the_run_and_the_champion_goes_on_scoring(
    platform: Platform, registry: Registry
) -> None:
    """Session averages in published rows: the blocking check stops the pointer, the next scores are the champion's."""
    champion, before = registry.champion(), registry.versions()
    with _with_session_averages(platform):
        refused = _train(platform)
    assert not refused.success
    (check,) = (c for c in refused.get_asset_check_evaluations() if c.check_name == "promotion_criteria_hold")
    assert check.passed is False
    assert "made again from the turns until then: differ: asr_mean" in str(check.description)
    materialised = {event.asset_key for event in refused.get_asset_materialization_events()}
    assert materialised == {MODEL}, "what comes after the blocking check did not run"
    assert len(registry.versions()) > len(before), "the refused version is kept beside its verdict"
    assert (registry.verdict(str(registry.candidate())) or {})["action"] == "refuse"
    assert registry.champion() == champion
    assert _scores_of_the_first_day(platform) == (0, None, None), "they were taken away to be made again"
    assert platform.run_unpartitioned("score_job").success
    rows, *versions = _scores_of_the_first_day(platform)
    assert rows > 500
    assert versions == [champion, champion]


@contextmanager
def _with_session_averages(platform: Platform) -> Iterator[None]:
    """A leak in all published rows, mended afterwards; the first day loses its scores."""
    same = "(m.session_date, m.session_id, m.k) = (s.session_date, s.session_id, s.k)"
    change = f"update published.feature_session_prefix m set asr_mean = s.{{}} from governance.kept s where {same}"
    with platform.pipeline.warehouse.connect() as connection:
        connection.execute(
            "create table governance.kept as select session_date, session_id, k, asr_mean as old, "
            "avg(asr_now) over (partition by session_date, session_id) as mean from published.feature_session_prefix"
        )
        connection.execute(change.format("mean"))  # type: ignore[arg-type]
    yield
    with platform.pipeline.warehouse.connect() as connection:
        connection.execute(change.format("old"))  # type: ignore[arg-type]
        connection.execute("drop table governance.kept")
        connection.execute("delete from governance.abandonment_scores where session_date = %s", [FIRST])


def _scores_of_the_first_day(platform: Platform) -> tuple[int, str | None, str | None]:
    with platform.as_reader() as connection:
        found = connection.execute(
            "select count(*), min(model_version), max(model_version) from certified.abandonment_scores "
            "where session_date = %s",
            [FIRST],
        ).fetchone()
    assert found is not None
    return found


def test_days_without_signal_give_no_model_and_leave_the_champion(platform: Platform, registry: Registry) -> None:
    champion = registry.champion()
    job = platform.definitions().resolve_job_def("train_job")
    config = {"ops": {"models__abandonment_model": {"config": {"last_days": 1}}}}
    result = job.execute_in_process(
        instance=platform.instance, raise_on_error=False, asset_selection=[MODEL], run_config=config
    )
    assert not result.success
    assert registry.champion() == champion


def test_the_command_line_lists_promotes_and_rolls_back(registry: Registry, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        console = Console(file=file, width=200)
        champion = str(registry.champion())
        other = next(version for version in registry.versions() if version != champion)
        assert command.show(registry, console) == 0
        assert command.promote(registry, other, console, console, is_forced=False) == 1
        assert command.promote(registry, "0123456789ab", console, console, is_forced=True) == 1
        assert registry.champion() == champion
        assert command.promote(registry, other, console, console, is_forced=True) == 0
        assert registry.champion() == other
        assert command.rollback(registry, console, console) == 0
        assert registry.champion() == champion
        assert command.rollback(registry, console, console) == 1
    said = (tmp_path / "out").read_text()
    assert "champion" in said
    assert "too sure of itself" in said
