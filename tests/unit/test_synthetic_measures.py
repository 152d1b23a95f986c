"""Aggregates of an experiment platform: recomputed here, slowly, from the events of the very files beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from voiceai_assets.synthetic.config import Effect, Experiment, Population, Variant, WorldConfig
from voiceai_assets.synthetic.generate import write_all
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.world import World

WORLD = World(
    WorldConfig(
        users=150,
        sessions_per_day=60,
        days=3,
        population=Population(near_midnight=0.2),
        experiments=(
            Experiment("greeting", (Variant("short", 0.5), Variant("long", 0.5, Effect(token_factor=1.2)))),
            Experiment("prompt", (Variant("x", 0.5), Variant("y", 0.5)), unit="session", first_day=1),
        ),
    )
)
GROUP = ["experiment_id", "variant_id", "metric_name", "bucket_type", "bucket_start"]
FIGURES = ["mean", "stddev", "min", "max", "p50", "p95", "p99"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    write_all(WORLD, SOURCES["events"], folder)
    return folder


def rows(folder: Path, stem: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(f"{stem}-*")) for line in path.read_text().splitlines()]


def observations(event: dict[str, Any]) -> dict[str, float]:
    """Figures on one event, under the names of the aggregates."""
    measured = {**event.get("metrics", {}), **event.get("payload", {})}
    names = ("latency_ms", "token_count", "cost_usd", "constraint_respect", "satisfaction_score")
    found = {name: measured[name] for name in names if name in measured}
    if event["event_type"].startswith("suggestion_"):
        found["acceptance"] = float(event["event_type"] == "suggestion_accepted")
    return found


def test_aggregates_are_those_of_the_events(folder: Path) -> None:
    seen = pd.DataFrame(
        [
            {**arm, "metric_name": name, "bucket_type": bucket, "bucket_start": start, "value": value}
            for event in rows(folder, "events")
            for arm in event.get("experiments", [])
            for name, value in observations(event).items()
            for bucket, start in (
                ("hourly", f"{event['timestamp'][:13]}:00:00Z"), ("daily", f"{event['timestamp'][:10]}T00:00:00Z")
            )
        ]
    )  # fmt: skip
    values = seen.groupby(GROUP)["value"]
    wanted = values.agg(["count", "mean", "std", "min", "max"]).rename(columns={"std": "stddev"})
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        wanted[name] = values.agg(lambda of, share=share: np.quantile(of, share, method="inverted_cdf"))
    found = pd.DataFrame(rows(folder, "metric_aggregates"))
    assert not found.duplicated(GROUP).any()
    assert set(found["metric_name"]) == {
        "latency_ms", "token_count", "cost_usd", "constraint_respect", "acceptance", "satisfaction_score"
    }  # fmt: skip
    found = found.set_index(GROUP).sort_index()
    assert list(found.index) == list(wanted.sort_index().index)
    assert (found["count"] == wanted["count"]).all()
    pd.testing.assert_frame_equal(found[FIGURES], wanted.loc[found.index, FIGURES], check_dtype=False, atol=1e-4)


def test_a_variant_that_says_more_breaks_the_constraint_more_often(folder: Path) -> None:
    daily = pd.DataFrame(rows(folder, "metric_aggregates")).query(
        "bucket_type == 'daily' and metric_name == 'constraint_respect' and experiment_id == 'greeting'"
    )
    respected = (daily["mean"] * daily["count"]).groupby(daily["variant_id"]).sum()
    share = respected / daily.groupby("variant_id")["count"].sum()
    assert 0.6 < share["long"] < share["short"] - 0.05 < 0.95


def test_spans_lie_in_the_file_of_their_day(folder: Path) -> None:
    for path in folder.glob("metric_aggregates-*"):
        spans = [json.loads(line) for line in path.read_text().splitlines()]
        assert {span["bucket_start"][:10] for span in spans} == {path.stem[-10:]}
        lengths = {(s["bucket_type"], pd.Timestamp(s["bucket_end"]) - pd.Timestamp(s["bucket_start"])) for s in spans}
        assert lengths == {("hourly", pd.Timedelta(hours=1)), ("daily", pd.Timedelta(days=1))}
