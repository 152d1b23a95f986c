"""Files of the synthetic world: adapters read them, days are whole or absent, what is planted is where it says."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.unit.reading import Read, read
from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.cli.app import app
from voiceai_assets.privacy.redaction import redact
from voiceai_assets.synthetic.config import Effect, Experiment, Outage, Population, Release, Texts, Variant, WorldConfig
from voiceai_assets.synthetic.generate import Delivery, generate, write_all
from voiceai_assets.synthetic.sources import SOURCES, canonical, converza
from voiceai_assets.synthetic.sources.base import Piece
from voiceai_assets.synthetic.texts import KINDS
from voiceai_assets.synthetic.truth import planted
from voiceai_assets.synthetic.world import World
from voiceai_assets.transcripts.signals import read as read_transcript

CONFIG = WorldConfig(
    users=200,
    sessions_per_day=40,
    days=3,
    texts=Texts(personal_share=0.2),
    population=Population(near_midnight=0.2),
    outages=(Outage(1, 8, 20, "tts"),),
    experiments=(
        Experiment("greeting", (Variant("short", 0.5, is_control=True), Variant("long", 0.5, Effect(hazard=0.5)))),
        Experiment("prompt", (Variant("x", 0.5, is_control=True), Variant("y", 0.5)), unit="session", first_day=1),
    ),
)
WORLD = World(CONFIG)
#: Bytes are the same code for all, so one source shows all formats and each other its usual one and the last.
EVERY_FORMAT = [
    (source.name, ending)
    for source in SOURCES.values()
    for ending in (source.endings if source is canonical.SOURCE else (source.endings[0], source.endings[-1]))
]


@pytest.fixture(scope="module")
def facts() -> tuple[pd.DataFrame, pd.DataFrame]:
    return WORLD.facts()


def rows_of(source: str, folder: Path) -> dict[str, Read]:
    """Everything that the source's adapter makes of the files in a folder."""
    found: dict[str, Read] = defaultdict(Read)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        for dataset, part in read(ADAPTERS[source], path).items():
            found[dataset].rows += part.rows
            found[dataset].refused += part.refused
    return found


# -- every adapter -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "ending"), EVERY_FORMAT)
def test_an_adapter_reads_all_that_its_source_writes(source: str, ending: str, tmp_path: Path) -> None:
    write_all(WORLD, SOURCES[source], tmp_path, ending)
    found = rows_of(source, tmp_path)
    expected = {
        "canonical": {"turns"},
        "irembo": {"turns", "sessions", "session_metrics", "applications", "users"},
        "bakame": {"turns", "turn_metrics"},
        "converza": {"calls", "turns"},
        "events": {
            "experiment_events", "experiments", "variants", "assignments", "deployments", "policy_versions",
            "metric_aggregates",
        },
    }  # fmt: skip
    assert set(found) == expected[source]
    for dataset, part in found.items():
        assert part.rows, dataset
        assert part.refused == [], dataset
        assert [row for row in part.rows if row.get("invalid_fields")] == [], dataset
        unknown = {"bakame": {"call_id", "session_duration", "emotional_data"}}.get(source, set())
        assert {key for row in part.rows for key in json.loads(row.get("extra") or "{}")} <= unknown, dataset


def test_canonical_turns_are_the_turns_of_the_world(facts: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    turns, sessions = facts
    write_all(WORLD, SOURCES["canonical"], tmp_path)
    found = pd.DataFrame(rows_of("canonical", tmp_path)["turns"].rows)
    both = turns.merge(found, on=["session_id", "turn_number"], suffixes=("", "_read"), validate="1:1")
    assert len(both) == len(turns) == len(found)
    for name in ("user_id", "user_type", "channel", "region", "language", "module", "speaker", "model_version"):
        assert (both[name] == both[f"{name}_read"]).all(), name
    for name in ("asr_confidence", "intent_confidence", "asr_ms", "llm_ms", "tts_ms", "total_ms"):
        np.testing.assert_allclose(both[name].astype(float), both[f"{name}_read"].astype(float), atol=1e-9)
    assert (both["turn_at"] == pd.to_datetime(both["timestamp"])).all()
    assert both["error_type"].fillna("").eq(both["error_type_read"].fillna("")).all()
    declared = both.dropna(subset="session_outcome").set_index("session_id")["session_outcome"]
    says = sessions.set_index("session_id")
    says = says[(says["outcome_basis"] == "declared") & (says["final_outcome"] != "in_progress")]
    pd.testing.assert_series_equal(
        declared.sort_index(), says["final_outcome"].sort_index(), check_names=False, check_dtype=False
    )
    variant = both["session_id"].map(sessions.set_index("session_id")["variant_greeting"])
    assert (both["experiment_variant"] == variant).all()


def test_a_spoken_reply_says_how_it_was_spoken(tmp_path: Path) -> None:
    config = replace(CONFIG, releases=(Release(0, "dialogue-1.4"), Release(1, "dialogue-1.5")))
    write_all(World(config), SOURCES["canonical"], tmp_path)
    turns = pd.DataFrame(rows_of("canonical", tmp_path)["turns"].rows)
    spoken, typed = (turns[turns["channel"].eq("voice") == is_spoken] for is_spoken in (True, False))
    settings = ["tts_provider", "tts_voice", "tts_rate", "tts_pitch", "tts_style", "audio_encoding"]
    assert len(typed) > 0
    assert spoken[settings].notna().all().all()
    assert typed.reindex(columns=settings).isna().all().all()
    voices = spoken.groupby("language")["tts_voice"].nunique()
    assert voices.to_dict() == dict.fromkeys(("en", "fr", "rw", "sw"), 1)
    rates = spoken.groupby("model_version")["tts_rate"].unique()
    assert {version: list(found) for version, found in rates.items()} == {
        "dialogue-1.4": ["1.0"],
        "dialogue-1.5": ["1.1"],
    }


def test_each_file_holds_its_own_day_and_calls_go_on_in_the_next(tmp_path: Path) -> None:
    write_all(WORLD, SOURCES["canonical"], tmp_path)
    numbers = defaultdict(list)
    for path in sorted(tmp_path.iterdir()):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {line["timestamp"][:10] for line in lines} == {path.stem.removeprefix("turns-")}
        for line in lines:
            numbers[line["session_id"]].append((line["timestamp"], line["turn_number"]))
    assert all([n for _, n in sorted(turns)] == list(range(1, len(turns) + 1)) for turns in numbers.values())
    assert any(turns[0][0][:10] != turns[-1][0][:10] for turns in numbers.values())


def test_irembo_agrees_with_itself(tmp_path: Path) -> None:
    write_all(WORLD, SOURCES["irembo"], tmp_path)
    found = rows_of("irembo", tmp_path)
    turns, sessions, metrics = (pd.DataFrame(found[name].rows) for name in ("turns", "sessions", "session_metrics"))
    assert (turns["turn_date"] == turns["session_id"].map(sessions.set_index("session_id")["session_date"])).all()
    assert turns.groupby("session_id").size().eq(sessions.set_index("session_id")["turn_count"].astype(int)).all()
    mean = turns.groupby("session_id")[["asr_confidence", "intent_confidence"]].mean()
    metrics = metrics.set_index("session_id")
    np.testing.assert_allclose(metrics["avg_asr_confidence"], mean["asr_confidence"][metrics.index], atol=1e-4)
    np.testing.assert_allclose(metrics["avg_intent_confidence"], mean["intent_confidence"][metrics.index], atol=1e-4)
    wrong = turns["error_type"].eq("misunderstanding").groupby(turns["session_id"]).mean()
    np.testing.assert_allclose(metrics["misunderstanding_rate"], wrong[metrics.index], atol=1e-4)
    assert set(sessions["user_id"]) <= {row["user_id"] for row in found["users"].rows}
    assert {row["session_id"] for row in found["applications"].rows} <= set(sessions["session_id"])


def test_bakame_measures_every_turn_on_the_telephone(facts: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    write_all(WORLD, SOURCES["bakame"], tmp_path)
    found = rows_of("bakame", tmp_path)
    turns = {(row["session_id"], row["turn_number"]): row for row in found["turns"].rows}
    assert len(turns) == len(facts[0])
    for row in found["turn_metrics"].rows:
        said = turns[row["session_id"], row["turn_number"]]
        assert row["call_id"] == json.loads(said["extra"])["call_id"]
        assert said["user_id"] == row["user_id"]
        assert said["timestamp"] <= row["timestamp"]
    assert len(found["turn_metrics"].rows) == facts[0]["asr_ms"].notna().sum()


def test_a_transcript_says_what_its_truth_says(tmp_path: Path) -> None:
    paths = write_all(WORLD, SOURCES["converza"], tmp_path)
    documents = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    made = [(block, converza.calls(CONFIG, block)) for number in range(3) for block in WORLD.blocks(number)]
    truth = [(calls, call) for _, calls in made for call in range(len(calls.session))]
    assert len(documents) == len(truth) > 80
    fates = set()
    for document, (calls, call) in zip(documents, truth, strict=True):
        found = read_transcript(redact(document["transcript_text"]))
        assert found.is_converted == calls.is_converted(call), document
        assert found.accepted_amount == calls.accepted(call), document
        assert found.reversed_amount == (
            Decimal(converza.PRICES[calls.price[call]]) if converza.FATES[calls.fate[call]] == "reversed" else 0
        )
        fates.add(converza.FATES[calls.fate[call]])
    assert fates >= {"nothing", "refused", "sold", "declined", "accepted"}


def test_events_tell_the_outcome_and_every_unit_is_assigned_once(
    facts: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    sessions = facts[1].set_index("session_id")
    write_all(WORLD, SOURCES["events"], tmp_path)
    found = rows_of("events", tmp_path)
    events = found["experiment_events"].rows
    ends = {json.loads(row["context"])["session_id"]: row["event_type"] for row in events
            if row["event_type"] in {"flow_completed", "user_dropped_off", "handed_over"}}  # fmt: skip
    names = {"completed": "flow_completed", "abandoned": "user_dropped_off", "transferred": "handed_over"}
    says = sessions[(sessions["outcome_basis"] == "declared") & (sessions["final_outcome"] != "in_progress")]
    assert ends == says["final_outcome"].map(names).to_dict()
    assert sum(row["event_type"] == "message_sent" for row in events) == len(facts[0])
    assert len({row["id"] for row in events}) == len(events)
    assigned = pd.DataFrame(found["assignments"].rows)
    assert not assigned.duplicated(["experiment_id", "unit_id"]).any()
    greeting = assigned[assigned["experiment_id"] == "greeting"].set_index("unit_id")["variant_id"]
    assert len(greeting) == CONFIG.users
    assert (sessions["user_id"].map(greeting) == sessions["variant_greeting"]).all()
    prompt = assigned[assigned["experiment_id"] == "prompt"].set_index("unit_id")["variant_id"]
    assert prompt.to_dict() == sessions["variant_prompt"].dropna().to_dict()


# -- personal data -----------------------------------------------------------------------------------------------------


def _texts(folder: Path, config: WorldConfig) -> tuple[dict[tuple[str, int], str], list[dict[str, Any]]]:
    world = World(config)
    write_all(world, SOURCES["canonical"], folder)
    lines = [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]
    said = {(line["session_id"], line["turn_number"]): line.get("user_text") for line in lines}
    truth = [
        {name: column.array().to_pylist()[row] for name, column in table.items()}
        for number in range(config.days)
        for block in world.blocks(number)
        for table in [planted(world, block)]
        for row in range(len(table["kind"].array()))
    ]
    return said, truth


def test_personal_data_stands_where_the_truth_says_and_redaction_finds_all_of_it(tmp_path: Path) -> None:
    said, truth = _texts(tmp_path, CONFIG)
    assert len(truth) > 50
    assert {one["kind"] for one in truth} == set(KINDS)
    for one in truth:
        text = said[one["session_id"], one["turn_number"]]
        assert text[one["start"] : one["end"]] == one["value"]
        assert one["value"] not in redact(text), one
    with_some = {(one["session_id"], one["turn_number"]) for one in truth}
    clean = [text for key, text in said.items() if key not in with_some and text]
    assert all(redact(text) == text for text in clean)


def test_names_without_a_cue_are_planted_only_where_asked_for(tmp_path: Path) -> None:
    _, truth = _texts(tmp_path, replace(CONFIG, texts=Texts(personal_share=0.3, bare_names=True)))
    assert "bare_name" in {one["kind"] for one in truth}


# -- delivery ----------------------------------------------------------------------------------------------------------


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "jsonl.gz", "jsonl.zst"])
def test_the_same_world_gives_the_same_bytes(ending: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_all(World(replace(CONFIG)), SOURCES["canonical"], tmp_path / name, ending, Delivery(0.1, 0.1))
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    write_all(World(replace(CONFIG, seed=5)), SOURCES["canonical"], tmp_path / "c", ending)
    assert _contents(tmp_path / "a").keys() >= _contents(tmp_path / "c").keys()
    assert not set(_contents(tmp_path / "a").values()) & set(_contents(tmp_path / "c").values())


def test_late_rows_are_the_ones_that_are_missing_in_time(tmp_path: Path) -> None:
    write_all(WORLD, SOURCES["canonical"], tmp_path / "whole")
    write_all(WORLD, SOURCES["canonical"], tmp_path / "late", delivery=Delivery(late=0.2))
    whole, late = _contents(tmp_path / "whole"), _contents(tmp_path / "late")
    for name, content in whole.items():
        in_time = late[name].splitlines()
        afterwards = late[f"late/{name.removesuffix('.jsonl')}-late.jsonl"].splitlines()
        assert sorted(in_time + afterwards) == sorted(content.splitlines())
        assert 0.08 < len(afterwards) / len(content.splitlines()) < 0.35


def test_repeated_rows_and_files_and_missing_days(tmp_path: Path) -> None:
    write_all(WORLD, SOURCES["canonical"], tmp_path / "whole")
    delivery = Delivery(repeated=0.3, again=frozenset({0}), missing=frozenset({1}))
    write_all(WORLD, SOURCES["canonical"], tmp_path / "twice", delivery=delivery)
    whole, twice = _contents(tmp_path / "whole"), _contents(tmp_path / "twice")
    names = sorted(whole)
    assert set(twice) == {names[0], names[2], f"again/{names[0]}"}
    assert twice[f"again/{names[0]}"] == twice[names[0]]
    for name in (names[0], names[2]):
        lines = twice[name].splitlines()
        assert set(lines) == set(whole[name].splitlines())
        assert 1.15 < len(lines) / len(set(lines)) < 1.45


def test_whoever_stops_half_way_leaves_whole_days_and_nothing_else(tmp_path: Path) -> None:
    def stopping(world: World, block: Any) -> Any:
        for piece in canonical.SOURCE.pieces(world, block):
            yield piece
            yield Piece("more", piece.table, piece.moment_ms)
            if block.day.number == 1:
                raise KeyboardInterrupt

    source = replace(canonical.SOURCE, pieces=stopping)
    with pytest.raises(KeyboardInterrupt):
        list(generate(WORLD, source, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more-2026-01-01.jsonl", "turns-2026-01-01.jsonl"]


def test_a_format_that_a_source_does_not_come_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="converza does not come as csv; it comes as jsonl"):
        generate(WORLD, SOURCES["converza"], tmp_path, "csv")


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["generate", *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_the_command_writes_the_files_and_the_truth(tmp_path: Path) -> None:
    to, truth = tmp_path / "data", tmp_path / "truth"
    code, _ = run(
        "--to", str(to), "--truth", str(truth), "--days", "4", "--users", "100", "--source", "bakame",
        "--format", "csv.gz", "--experiment", "greeting:-0.5", "--srm", "0.2", "--mix-shift", "0.2",
        "--world", "curved", "--outage", "1:8-12:asr", "--frailty", "0.5",
    )  # fmt: skip
    assert code == 0
    assert len(list(to.glob("user_sessions-*.csv.gz"))) == 4
    switches = json.loads((truth / "world.json").read_text())
    assert switches["hazard"]["curve"] == 1.2
    assert switches["hazard"]["frailty"] == 0.5
    assert switches["experiments"][0]["variants"][1] == {
        "name": "treatment", "allocation": 0.5, "served": 0.4, "is_control": False,
        "effect": {"hazard": -0.5, "asr": 0.0, "llm_factor": 1.0, "token_factor": 1.0},
    }  # fmt: skip
    chances = pq.read_table(truth / "turns-2026-01-02.parquet").to_pandas()
    assert chances["hazard"].between(0, 1).all()
    assert set(pq.read_table(truth / "sessions-2026-01-02.parquet").column_names) >= {"outcome", "variant_greeting"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "sap"], "no source 'sap'"),
        (["--world", "flat"], "no world 'flat'"),
        (["--format", "xlsx"], "canonical does not come as xlsx"),
        (["--experiment", "greeting:much"], "NAME:EFFECT"),
        (["--outage", "1:12-9"], "DAY:FROM-TO:COMPONENT"),
        (["--first-day", "yesterday"], "is not a day"),
        (["--source", "irembo", "--bad-day", "2"], "only canonical"),
        (["--contradictions", "0.2"], "only irembo"),
        (["--source", "irembo", "--references", "0.2"], "only canonical"),
        (["--references", "2"], "shares lie between 0 and 1"),
        (["--source", "irembo", "--contradictions", "2"], "shares lie between 0 and 1"),
    ],
)
def test_what_makes_no_world_is_refused_with_words(arguments: list[str], words: str, tmp_path: Path) -> None:
    code, said = run("--to", str(tmp_path / "data"), *arguments)
    assert code != 0
    assert words in said.replace("│ ", "").replace(" │", "")
    assert not list(tmp_path.rglob("*.jsonl"))


def test_the_truth_must_not_lie_where_it_would_be_landed(tmp_path: Path) -> None:
    code, said = run("--to", str(tmp_path), "--truth", str(tmp_path / "truth"))
    assert code != 0
    assert "outside --to" in said.replace("│ ", "").replace(" │", "")


def test_a_bad_day_has_log_scores(tmp_path: Path) -> None:
    assert run("--to", str(tmp_path), "--days", "3", "--bad-day", "1", "--format", "csv")[0] == 0
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        with path.open(newline="") as lines:
            scores = [float(row["asr_confidence"]) for row in csv.DictReader(lines) if row["asr_confidence"]]
        assert all(score < 0 for score in scores) if number == 1 else all(0 < score < 1 for score in scores)
