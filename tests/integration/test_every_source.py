"""Five sources from landing to raw: every record is booked, and what a source computed itself can be computed again."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_command_line import voiceai
from tests.integration.world import World, session
from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.automation.planning import DayRange
from voiceai_assets.contracts import DATASETS
from voiceai_assets.dashboard.app import create_app
from voiceai_assets.partitions import remember_first_day

BAKAME = (
    "timestamp,phone_number,session_id,module_name,interaction_type,user_input,ai_response,session_duration,"
    "emotional_data,gamification_data,call_id,turn,asr_ms,llm_ms,tts_ms,total_ms,tokens_in,tokens_out,asr_confidence,error"
).split(",")


def _land(world: World, adapter: str, *paths: Path) -> None:
    folder = world.settings.landing / adapter
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    world.look()


def _write_csv(path: Path, header: list[str], rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, header)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _accounts(world: World) -> dict[str, tuple[int, int, int, int]]:
    """Dataset -> in, loaded, quarantined, repeated, of everything that is live."""
    return {
        row["dataset"]: (int(row["i"]), int(row["l"]), int(row["q"]), int(row["d"]))
        for row in world.query(
            "select dataset, sum(rows_in) i, sum(rows_loaded) l, sum(rows_quarantined) q, sum(rows_duplicate) d "
            "from governance.loads where is_live and dataset <> 'marts' group by 1"
        )
    }


def _of_every_source(folder: Path, day: str) -> None:
    """A file or two of each of the five, all of one day; in each of them a record stands twice."""
    noon = f"{day}T12:00:00Z"
    turn = session(f"canonical {day}", f"{day}T10:00", turns=1)[0]
    call = {"call_id": f"call {day}", "timestamp": noon, "transcript_text": "Agent: Hi. Customer: Hello."}
    event = {"id": f"e {day}", "event_type": "user_dropped_off", "timestamp": noon, "unit_id": "u"}
    irembo = f"T {day},irembo {day},1,user,2020-01-01"
    bakame = [f"{noon},bakame {day},{kind},+250788000001,c,1" for kind in ("voice", "turn_metrics", "voice")]
    for name, lines in {
        f"canonical/turns-{day}.jsonl": map(json.dumps, [turn, turn]),
        f"irembo/{day}/voice_turns.csv": ["turn_id,session_id,turn_number,speaker,created_at", irembo, irembo],
        f"irembo/{day}/voice_sessions.csv": [
            "session_id,user_id,final_outcome,created_at",
            f"irembo {day},U1,completed,{day}",
        ],
        f"bakame/user_sessions-{day}.csv": ["timestamp,session_id,interaction_type,phone_number,call_id,turn", *bakame],
        f"converza/calls-{day}.json": [json.dumps([call, call])],
        f"events/events-{day}.jsonl": map(json.dumps, [event, event]),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))


def _assert_in_raw(world: World, day: str) -> None:
    booked = world.query(
        "select f.dataset, split_part(f.file, '/', 1) as source, sum(f.rows_in)::int as i, "
        "sum(f.rows_loaded)::int as l, sum(f.rows_quarantined)::int as q, sum(f.rows_duplicate)::int as d "
        "from governance.load_files f join governance.loads using (dataset, day, load_id) "
        "where is_live and f.day = %s group by 1, 2",
        day,
    )
    assert {(row["dataset"], row["source"]): (row["i"], row["l"], row["q"], row["d"]) for row in booked} == {
        ("turns", "canonical"): (2, 1, 0, 1),
        ("turns", "irembo"): (2, 1, 0, 1),
        ("sessions", "irembo"): (1, 1, 0, 0),
        ("turns", "bakame"): (2, 1, 0, 1),
        ("turn_metrics", "bakame"): (1, 1, 0, 0),
        ("turns", "converza"): (4, 2, 0, 2),
        ("calls", "converza"): (2, 1, 0, 1),
        ("experiment_events", "events"): (2, 1, 0, 1),
    }
    turns = world.query("select source, count(*) as n from raw.turns where turn_date = %s group by 1", day)
    assert {row["source"]: row["n"] for row in turns} == {"bakame": 1, "canonical": 1, "converza": 2, "irembo": 1}
    for dataset in ("sessions", "turn_metrics", "calls", "experiment_events"):
        column = DATASETS[dataset].day_column
        assert world.query(f"select count(*) as n from raw.{dataset} where {column} = %s", day) == [{"n": 1}], dataset
    assert world.status(day).startswith("certified"), world.reasons(day)


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    yield world
    world.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_all_five_sources_come_from_landing_to_raw_through_the_sensor(shared: World) -> None:
    _of_every_source(shared.settings.landing, "2026-08-01")
    remember_first_day(shared.settings, ["2026-08-01"])
    tick = shared.tick()
    (run,) = shared.run_requested(tick)
    assert run.success
    assert {file.path: file.problem for file in shared.pipeline.files() if file.problem} == {}
    _assert_in_raw(shared, "2026-08-01")
    assert not shared.tick(tick.cursor).run_requests


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the commands use the embedded server of the home")
def test_all_five_sources_come_from_landing_to_raw_by_command(shared: World, tmp_path: Path) -> None:
    _of_every_source(tmp_path, "2026-08-02")
    for source in sorted(ADAPTERS):
        landed = voiceai(shared.settings.home, "land", "--adapter", source, str(tmp_path / source))
        assert landed.returncode == 0, landed.stderr
    assert "voiceai materialize --from 2026-08-02 --to 2026-08-02" in landed.stdout
    done = voiceai(shared.settings.home, "materialize", "--from", "2026-08-02", "--to", "2026-08-02")
    assert done.returncode == 0, done.stdout + done.stderr
    _assert_in_raw(shared, "2026-08-02")


def _fill_raw(world: World, first: str, last: str) -> None:
    """Landing to raw alone: what this file is about, and a tenth of the time."""
    days = DayRange(first, last).days
    assert [error for _, _, error in world.pipeline.refine(days) if error] == []
    for day in days:
        world.pipeline.load(day)


def test_irembo_is_filed_by_session_and_its_aggregates_recompute_exactly(world: World, irembo: Path) -> None:
    _land(world, "irembo", *sorted(irembo.glob("*.csv")))
    _fill_raw(world, "2025-01-01", "2025-04-30")
    accounts = _accounts(world)
    assert {dataset: counts[0] for dataset, counts in accounts.items()} == {
        "turns": 6500,
        "sessions": 1200,
        "session_metrics": 1196,
        "applications": 900,
        "users": 500,
    }
    assert all(i == loaded + refused + repeated for i, loaded, refused, repeated in accounts.values())
    # a turn lies on the day of its session, whatever its own date
    strays = world.query(
        "select count(*) from raw.turns t join raw.sessions s using (session_id) where t.turn_date <> s.session_date"
    )
    assert strays[0]["count"] == 0
    differing = world.query(
        """
        with found as (
          select session_id,
            avg(coalesce(asr_confidence, (extra ->> 'asr_confidence')::float8)) as asr,
            avg(intent_confidence) as intent,
            avg((error_type = 'misunderstanding' and error_type is not null)::int) as misunderstood,
            avg((error_type = 'silence' and error_type is not null)::int) as silent
          from raw.turns group by session_id
        )
        select m.session_id from raw.session_metrics m left join found f using (session_id)
        where f.session_id is null
          or abs(f.asr - m.avg_asr_confidence) > 1e-9 or abs(f.intent - m.avg_intent_confidence) > 1e-9
          or abs(f.misunderstood - m.misunderstanding_rate) > 1e-9 or abs(f.silent - m.silence_rate) > 1e-9
        """
    )
    assert differing == []


def test_converza_documents_become_calls_and_turns(world: World, converza: Path) -> None:
    _land(world, "converza", *sorted(converza.glob("*.json")))
    days = [row["day"] for row in world.query(
        "select distinct d.day from governance.landing_files f, jsonb_each(f.rows) r (dataset, days), "
        "jsonb_object_keys(r.days) d (day) order by 1"
    )]  # fmt: skip
    for day in days[:2]:
        world.run(day)
    found = world.query(
        "select count(*) as calls, count(distinct t.session_id) as sessions, count(t.*) as turns from raw.calls c "
        "left join raw.turns t on t.session_id = c.call_id group by c.call_date order by c.call_date"
    )
    assert len(found) == 2
    assert all(row["turns"] >= 4 for row in found)
    spoken = world.query("select speaker, count(*) from raw.turns group by 1 order by 1")
    assert {row["speaker"] for row in spoken} == {"agent", "user"}
    accounts = _accounts(world)
    assert accounts["calls"][1] >= 2
    assert accounts["turns"][2] == accounts["calls"][2] == 0


def test_bakame_turns_find_their_metrics(world: World, tmp_path: Path) -> None:
    common = {"phone_number": "+250788123456", "session_id": "s1", "module_name": "english", "call_id": "CA1"}
    rows = [
        {**common, "timestamp": "2026-08-01T10:00:00.123Z", "interaction_type": "voice", "turn": 1,
         "user_input": "hello, teach me", "ai_response": "gladly", "emotional_data": '{"sentiment": "positive"}'},
        {**common, "timestamp": "2026-08-01T10:00:02.000Z", "interaction_type": "turn_metrics", "turn": 1,
         "module_name": "metrics", "asr_ms": 234.5, "llm_ms": 800, "tts_ms": 300, "total_ms": 1400, "tokens_in": 25,
         "tokens_out": 45, "asr_confidence": 0.95},
        {**common, "timestamp": "2026-08-01T11:00:00.000Z", "interaction_type": "sms", "call_id": "", "turn": "",
         "user_input": "thanks", "emotional_data": "{broken"},
    ]  # fmt: skip
    _land(world, "bakame", _write_csv(tmp_path / "user_sessions_2026-08-01.csv", BAKAME, rows))
    world.run("2026-08-01")
    assert _accounts(world) == {"turns": (2, 2, 0, 0), "turn_metrics": (1, 1, 0, 0)}
    staged = world.query(
        "select channel, asr_ms, total_ms, tokens_out, asr_confidence from intermediate.int_turns_sessionised "
        "order by 1"
    )
    assert staged == [
        {"channel": "sms", "asr_ms": None, "total_ms": None, "tokens_out": None, "asr_confidence": None},
        {"channel": "voice", "asr_ms": 234.5, "total_ms": 1400.0, "tokens_out": 45, "asr_confidence": 0.95},
    ]
    stored = json.dumps(world.query("select * from raw.turns"), default=str)
    assert "788123456" not in stored
    assert world.certified() == {"2026-08-01": 1}
    # nobody says who is a first-time caller, and the dashboard's export copes with it
    page = create_app(world.pipeline.warehouse.reader, world.settings.dagster_url).server.test_client()
    assert "2026-08-01" in page.get("/export/days.csv").text


def test_a_call_document_that_is_cut_into_turns_does_not_stop_the_day(world: World, tmp_path: Path) -> None:
    call = {"call_id": "c1", "agent_name": "Aria", "timestamp": "2026-08-01T10:00:00Z",
            "transcript_text": "Agent: Hello. Customer: Hello. Agent: Bye."}  # fmt: skip
    path = tmp_path / "calls.json"
    path.write_text(json.dumps([call, {**call, "call_id": "c2"}]))  # no line end: was it cut off?
    _land(world, "converza", path)
    world.run("2026-08-01")
    assert _accounts(world) == {"calls": (2, 2, 0, 0), "turns": (6, 6, 0, 0)}


def test_events_and_experiment_tables_are_loaded_beside_turns(world: World, tmp_path: Path) -> None:
    event = {
        "id": "e1", "event_type": "message_sent", "unit_id": "user-7", "timestamp": "2026-08-01T10:00:00Z",
        "context": {"session_id": "c1", "flow_id": "f"}, "metrics": {"turn_number": 1, "latency_ms": 300},
        "payload": {}, "experiments": [{"experiment_id": "x", "variant_id": "v"}],
    }  # fmt: skip
    path = tmp_path / "events_2026-08-01.jsonl"
    path.write_text(json.dumps(event) + "\n" + json.dumps(event) + "\n" + '{"id": "e2"}\n')
    _land(world, "events", path)
    world.land("turns-2026-08-01.jsonl", session("s", "2026-08-01T10:00"))
    world.run("2026-08-01")
    assert _accounts(world)["experiment_events"] == (3, 1, 1, 1)
    refused = world.query("select file, line, reason from governance.quarantine")
    assert refused == [{"file": "events/events_2026-08-01.jsonl", "line": 3, "reason": "missing_field"}]
    stored = world.query("select unit_id, context ->> 'flow_id' as flow from raw.experiment_events")
    assert stored[0]["flow"] == "f"
    assert stored[0]["unit_id"] != "user-7"
    # half of the dataset was refused: the day is blocked, and says which dataset
    assert world.status("2026-08-01") == "blocked"
    said = {reason["check"]: reason["text"] for reason in world.reasons("2026-08-01")}
    assert said["intake_is_complete.quarantine_stays_under_one_percent"].endswith("left out (1 of 3)")
    assert said["intake_is_complete.nothing_was_quarantined"].endswith("forgotten people (1 of 3)")


def test_a_renamed_column_blocks_its_day_naming_file_and_column(world: World, tmp_path: Path) -> None:
    world.land("turns-2026-08-01.jsonl", session("s", "2026-08-01T10:00"))
    renamed = tmp_path / "more-2026-08-01.csv"
    renamed.write_text("session,turn_number,timestamp\na,1,2026-08-01T10:00:00\n")
    _land(world, "canonical", renamed)
    world.run("2026-08-01")
    assert world.status("2026-08-01") == "blocked"
    reasons = world.reasons("2026-08-01")
    assert reasons[0]["check"] == "intake_is_complete.every_file_was_read"
    problem = world.query("select problem from governance.load_files where problem is not null")[0]["problem"]
    assert "canonical/more-2026-08-01.csv: no column session_id; it has session, turn_number, timestamp" in problem
    assert _accounts(world)["turns"] == (3, 3, 0, 0)

    (world.landing / renamed.name).write_text("session_id,turn_number,timestamp\na,1,2026-08-01T10:00:00\n")
    world.look()
    world.run("2026-08-01")
    assert world.status("2026-08-01").startswith("certified")
    assert _accounts(world)["turns"] == (4, 4, 0, 0)


def test_a_renamed_column_of_the_file_that_says_the_days_blocks_all_of_them(world: World, tmp_path: Path) -> None:
    first, second = "2026-08-01", "2026-08-02"
    good = f"session_id,user_id,final_outcome,created_at\ns1,U1,completed,{first}\ns2,U2,completed,{second}\n"
    folder = world.settings.landing / "irembo"
    folder.mkdir(parents=True)
    (folder / "voice_sessions.csv").write_text(good)
    # the turns' own dates mean nothing: of the two sessions the first one's is the second one's day
    (folder / "voice_turns.csv").write_text(
        f"turn_id,session_id,turn_number,speaker,created_at\nT1,s1,1,user,{second}\nT2,s2,1,user,{second}\n"
    )
    world.look()
    for day in (first, second):
        world.run(day)
    assert world.certified() == {first: 1, second: 1}, [world.reasons(first), world.reasons(second)]

    (folder / "voice_sessions.csv").write_text(good.replace("created_at", "created"))
    world.look()
    for day in (first, second):
        world.run(day)
        assert world.status(day) == "blocked"
        assert "intake_is_complete.every_file_was_read" in {reason["check"] for reason in world.reasons(day)}
    assert world.certified() == {}

    (folder / "voice_sessions.csv").write_text(good)
    world.look()
    for day in (first, second):
        world.run(day)
        assert world.status(day).startswith("certified"), world.reasons(day)


def test_a_dataset_that_lost_its_file_is_emptied(world: World, tmp_path: Path) -> None:
    world.land("turns-2026-08-01.jsonl", session("s", "2026-08-01T10:00"))
    folder = world.landing / "sessions"
    folder.mkdir()
    (folder / "a-2026-08-01.csv").write_text("session_id,started_at\ns,2026-08-01T10:00:00\n")
    world.look()
    world.run("2026-08-01")
    assert _accounts(world)["sessions"] == (1, 1, 0, 0)
    (folder / "a-2026-08-01.csv").unlink()
    world.look()
    world.run("2026-08-01")
    assert world.query("select count(*) from raw.sessions")[0]["count"] == 0
    assert "sessions" not in _accounts(world)
    assert world.status("2026-08-01").startswith("certified")


@pytest.mark.parametrize("name", ["turns-2026-08-01.csv", "turns-2026-08-01.parquet", "turns-2026-08-01.csv.gz"])
def test_the_same_turns_in_another_format_give_the_same_marts(world: World, tmp_path: Path, name: str) -> None:
    import pandas as pd

    rows = pd.DataFrame(session("s", "2026-08-01T10:00") + session("t", "2026-08-01T12:00", turns=5))
    path = world.landing / name
    rows.to_parquet(path) if name.endswith("parquet") else rows.to_csv(path, index=False)
    world.look()
    world.run("2026-08-01")
    assert world.certified() == {"2026-08-01": 2}
    found = world.query(
        "select sum(turn_count) as turns, avg(avg_asr_confidence) as asr from marts.fact_voice_ai_sessions"
    )
    assert (int(found[0]["turns"]), round(found[0]["asr"], 9)) == (8, 0.8)
