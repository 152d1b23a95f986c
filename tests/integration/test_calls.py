"""Calls from landing to certified: what transcripts say, what the business system booked, and no text for readers."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from tests.integration.world import World, session
from voiceai_assets import retention
from voiceai_assets.assets.calls import CALL_SIGNALS
from voiceai_assets.transcripts.signals import read
from voiceai_assets.warehouse.calls import TEXTS

DAY, NEXT = "2026-08-01", "2026-08-02"
SOLD = "Agent: Shall I add the extended warranty for $25? Customer: Yes please. Agent: Done."
REFUSED = "Agent: Shall I add the extended warranty for $25? Customer: I would not book that."


def call(call_id: str, text: str | None, day: str = DAY, **fields: Any) -> dict[str, Any]:
    return {"call_id": call_id, "agent_name": "Ada", "timestamp": f"{day}T10:00:00", "transcript_text": text, **fields}


def land_calls(world: World, *calls: dict[str, Any], day: str = DAY) -> None:
    """As canonical documents, beside turns of the same day."""
    folder = world.landing / "calls"
    folder.mkdir(exist_ok=True)
    (folder / f"calls-{day}.jsonl").write_text("".join(json.dumps(c) + "\n" for c in calls))
    world.land(f"turns-{day}.jsonl", session(f"s{day}", f"{day}T09:00"))


def gold(world: World) -> dict[str, dict[str, Any]]:
    with world.as_reader() as connection:
        cursor = connection.execute("select * from certified.gold_performance_metrics")
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {row["call_id"]: row for row in rows}


@pytest.fixture
def real(world: World, converza: Path) -> tuple[World, pd.DataFrame]:
    """Every document of the real set, run as one range, and the documents."""
    folder = world.settings.landing / "converza"
    folder.mkdir(parents=True)
    for path in converza.glob("*.json"):
        shutil.copyfile(path, folder / path.name)
    world.look()
    documents = pd.DataFrame([json.loads(path.read_text()) for path in sorted(converza.glob("*.json"))])
    documents["day"] = documents.timestamp.str[:10]
    result = world.run(documents.day.min(), documents.day.max())
    unheard = set(pd.date_range(documents.day.min(), documents.day.max()).strftime("%Y-%m-%d")) - set(documents.day)
    assert result.success or unheard, "a day without any file is blocked, and nothing else is"
    return world, documents


def test_real_calls_convert_as_they_did_and_each_agent_gets_what_is_theirs(real: tuple[World, pd.DataFrame]) -> None:
    world, documents = real
    found = pd.DataFrame(gold(world).values())
    assert len(found) == len(documents) == 150
    assert int(found.is_converted.sum()) == 49
    assert found.upsell_amount.sum() == Decimal(550)
    assert set(found.currency.dropna()) == {"USD"}
    assert set(found.signal_source) == {"text"}

    # the phrases of the generator, found without any of our rules
    closed = documents.transcript_text.str.contains("So would you like to proceed?", regex=False)
    prices = documents.transcript_text.str.extract(r"\$(\d+)")[0].fillna("0").map(Decimal)
    expected = documents.assign(converted=closed, upsell=prices).groupby("agent_name").agg(
        call_count=("call_id", "count"), converted=("converted", "sum"), upsell=("upsell", "sum"),
        first=("day", "min"), last=("day", "max"),
    )  # fmt: skip
    expected["moods"] = (
        documents.assign(mood=[read(t).sentiment for t in documents.transcript_text])
        .groupby("agent_name")
        .mood.agg(lambda moods: tuple(int((moods == m).sum()) for m in ("positive", "neutral", "negative")))
    )
    with world.as_reader() as connection:
        agents = connection.execute(
            "select agent_name, call_count, converted_call_count, upsell_amount, conversion_rate, upsell_per_call, "
            "positive_call_count, neutral_call_count, negative_call_count, first_date::text, last_date::text, "
            "positive_share + neutral_share + negative_share from certified.agent_performance"
        ).fetchall()
    assert len(agents) == len(expected)
    for name, calls, converted, upsell, rate, per_call, *moods, first, last, shares in agents:
        wanted = expected.loc[name]
        assert (calls, converted, upsell) == (wanted.call_count, wanted.converted, wanted.upsell)
        assert float(rate) == pytest.approx(wanted.converted / wanted.call_count)
        assert float(per_call) == pytest.approx(float(wanted.upsell) / wanted.call_count)
        assert (tuple(moods), first, last) == (wanted.moods, wanted["first"], wanted["last"])
        assert float(shares) == pytest.approx(1)

    # a run of one day finds what the range found
    day = documents.day.iloc[0]
    before = world.query("select content_sha256 from governance.publications where day = %s order by mart", day)
    assert world.run(day).success
    assert world.query("select content_sha256 from governance.publications where day = %s order by mart", day) == before


def test_a_business_event_wins_over_the_text_and_says_that_they_disagree(world: World) -> None:
    land_calls(
        world,
        call("text", SOLD),
        call("refused", REFUSED),
        call("event", REFUSED, is_converted=True, upsell_amount="40", currency="EUR"),
        call("no sale", SOLD, is_converted=False),
        call("amount alone", None, upsell_amount="12.50", currency="USD"),
        call("same amount", SOLD, is_converted=True, upsell_amount="25"),
    )
    assert world.run(DAY).success
    found = {
        key: (r["is_converted"], r["upsell_amount"], r["currency"], r["signal_source"], r["is_contradicted_by_text"])
        for key, r in gold(world).items()
    }
    assert found == {
        "text": (True, Decimal(25), "USD", "text", False),
        "refused": (False, Decimal(0), "USD", "text", False),
        "event": (True, Decimal(40), "EUR", "business_event", True),
        "no sale": (False, Decimal(0), "USD", "business_event", True),
        "amount alone": (True, Decimal("12.5"), "USD", "business_event", None),
        "same amount": (True, Decimal(25), "USD", "business_event", False),
    }
    assert gold(world)["event"]["is_currency_mixed"], "25 USD were offered, 40 EUR were booked"
    with world.as_reader() as connection:
        (agent,) = connection.execute(
            "select call_count, converted_call_count, upsell_amount, upsell_amounts from certified.agent_performance"
        ).fetchall()
    assert agent == (6, 4, None, {"USD": 62.5, "EUR": 40}), "amounts of two currencies are not added up"


def test_what_cannot_be_known_is_null_and_in_no_rate(world: World) -> None:
    land_calls(
        world,
        call("no customer", "Agent: Shall I sign you up? Agent: Great, I'll take it as a yes. You are signed up."),
        call("no marks", "Shall I add it for $25? Yes, sign me up."),
        call("no text", None),
        call("empty", " "),
    )
    assert world.run(DAY).success
    found = {
        key: (r["is_converted"], r["upsell_amount"], r["sentiment"], r["signal_source"])
        for key, r in gold(world).items()
    }
    assert found == {
        "no customer": (False, Decimal(0), None, "text"),
        "no marks": (None, None, None, None),
        "no text": (None, None, None, None),
        "empty": (None, None, None, None),
    }
    with world.as_reader() as connection:
        assert connection.execute(
            "select call_count, decided_call_count, converted_call_count, conversion_rate, positive_share "
            "from certified.agent_performance"
        ).fetchall() == [(4, 1, 0, Decimal(0), None)]
    assert figures(world) == {
        "conversion": (Decimal(0), Decimal(1)),
        "upsell_per_call": (Decimal(0), Decimal(1)),
        "positive_sentiment_share": (Decimal(0), Decimal(0)),
        "negative_sentiment_share": (Decimal(0), Decimal(0)),
    }, "the catalogue divides by what the view divides by"


def test_amounts_of_two_currencies_have_no_sum(world: World) -> None:
    sold = "Agent: Would you like the extra for {}? Customer: Yes, I'll take it."
    land_calls(world, call("dollars", sold.format("$25")), call("euros", sold.format("€30")))
    assert world.run(DAY).success
    assert {row["currency"]: row["upsell_amount"] for row in gold(world).values()} == {"USD": 25, "EUR": 30}
    found = figures(world)
    assert found["conversion"] == (Decimal(2), Decimal(2))
    assert "upsell_per_call" not in found


def figures(world: World) -> dict[str, tuple[Decimal, Decimal]]:
    """Metric -> numerator and denominator, of calls."""
    with world.as_reader() as connection:
        rows = connection.execute(
            "select metric, numerator, denominator from certified.figure_history where day = %s and is_live "
            "and mart = 'gold_performance_metrics'",
            [DAY],
        ).fetchall()
    return {metric: (numerator, denominator) for metric, numerator, denominator in rows}


def test_text_never_reaches_a_reader(world: World) -> None:
    secret = "zanzibar umbrella"
    land_calls(world, call("a", f"Agent: {secret}? Customer: {secret.upper()}, I've said."))
    assert world.run(DAY).success
    places = world.query(
        "select table_schema || '.' || table_name as name from information_schema.tables "
        "where table_schema not in ('information_schema', 'pg_catalog')"
    )
    holding = {
        place["name"]
        for place in places
        if world.query(f"select count(*) as n from {place['name']} t where t::text ilike %s", f"%{secret}%")[0]["n"]
    }
    assert {name for name in holding if not name.startswith("raw.")} == set(TEXTS)
    assert world.query("select cleaned_text from marts.silver_calls") == [
        {"cleaned_text": f"agent: {secret}? customer: {secret}, i have said."}
    ]
    with world.as_reader() as connection:
        assert (
            connection.execute(
                "select table_schema, table_name, column_name from information_schema.columns "
                "where table_schema in ('certified', 'exp') and column_name ~ 'transcript|(cleaned|user|agent)_text'"
            ).fetchall()
            == []
        )


def test_days_with_and_without_calls_run_together_and_a_day_that_loses_its_calls_is_emptied(world: World) -> None:
    land_calls(world, call("a", SOLD), call("b", REFUSED))
    world.land(f"turns-{NEXT}.jsonl", session("later", f"{NEXT}T09:00"))
    assert world.run(DAY, NEXT).success
    assert world.certified() == {DAY: 1, NEXT: 1}
    assert {key: row["call_date"].isoformat() for key, row in gold(world).items()} == {"a": DAY, "b": DAY}
    land_calls(world, call("b", REFUSED))
    assert world.run(DAY, NEXT).success
    assert set(gold(world)) == {"b"}
    (world.landing / "calls" / f"calls-{DAY}.jsonl").unlink()
    world.look()
    assert world.run(DAY).success
    assert gold(world) == {}
    assert world.query("select * from intermediate.call_signals") == []


def test_the_step_stands_between_raw_and_dbt_and_reports_how_good_it_is(world: World) -> None:
    graph = world.definitions().resolve_asset_graph()
    assert graph.get(CALL_SIGNALS).parent_keys == {dg.AssetKey(["raw", "calls"])}
    assert CALL_SIGNALS in graph.get(dg.AssetKey(["marts", "silver_calls"])).parent_keys
    silver = dg.AssetKey(["marts", "silver_calls"])
    assert silver in graph.get(dg.AssetKey(["marts", "gold_performance_metrics"])).parent_keys
    assert dg.AssetKey(["certified", "silver_calls"]) not in graph.get_all_asset_keys()

    land_calls(world, call("a", SOLD))
    result = world.run(DAY)
    assert result.success
    (event,) = result.asset_materializations_for_node("intermediate__call_signals")
    assert event.metadata["calls"].value == 1
    assert event.metadata["converted"].value == 1
    parts = {record.data["part"]: record.data for record in event.metadata["evaluation"].value.records}
    assert parts.keys() == {"development", "held out", "unseen"}
    assert 0.5 < parts["unseen"]["macro_f1"] <= 1


def test_retention_takes_the_texts_of_calls_and_no_figure_changes(world: World) -> None:
    today = datetime.now(UTC).date()
    old, new = (today - timedelta(days=9)).isoformat(), (today - timedelta(days=1)).isoformat()
    land_calls(world, call("old", SOLD, old), day=old)
    land_calls(world, call("new", SOLD, new), day=new)
    assert world.run(old, new).success is False, "the days between are empty, hence blocked"
    before = gold(world)
    assert {row["upsell_amount"] for row in before.values()} == {Decimal(25)}

    object.__setattr__(world, "settings", world.settings.model_copy(update={"keep_text_days": 5}))
    object.__setattr__(world.pipeline, "settings", world.settings)
    retention.carry_out(world.pipeline, retention.plan(world.pipeline), lambda what: None)
    for table, columns in TEXTS.items():
        for column in columns:
            left = world.query(f"select call_id from {table} where {column} is not null")
            assert left == [{"call_id": "new"}], f"{table}.{column}"
    assert world.run(old).success
    assert gold(world) == before, "a day that is run again keeps what was read while there was a text"
    assert (
        not retention.plan(world.pipeline).texts
        or retention.carry_out(world.pipeline, retention.plan(world.pipeline), lambda what: None) == {}
    )
