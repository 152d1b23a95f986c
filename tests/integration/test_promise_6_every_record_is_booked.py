"""Promise 6: rows in = rows loaded + rows quarantined + exact duplicates, per file and day; nothing goes in silence."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.world import World, session
from voiceai_assets.partitions import first_day

DAY = "2026-08-01"


def _account(world: World, day: str) -> dict[str, tuple[int, int, int, int, bool]]:
    return {
        row["file"]: (
            row["rows_in"], row["rows_loaded"], row["rows_quarantined"], row["rows_duplicate"], row["is_truncated"],
        )
        for row in world.query("select * from governance.load_files where day = %s order by file", day)
    }  # fmt: skip


def test_a_truncated_file_blocks_its_day_and_keeps_the_broken_record(world: World, dstc2: Path) -> None:
    whole = (dstc2 / "2013-03-22.jsonl").read_bytes()
    (world.landing / "2013-03-22.jsonl").write_bytes(whole[:-200])
    world.look()
    assert not world.run("2013-03-22").success
    assert world.reasons("2013-03-22")[0]["check"] == "intake_is_complete.no_file_breaks_off"
    assert _account(world, "2013-03-22") == {"canonical/2013-03-22.jsonl": (162, 161, 1, 0, True)}
    refused = world.query("select file, line, reason from governance.quarantine")
    assert refused == [{"file": "canonical/2013-03-22.jsonl", "line": 162, "reason": "unreadable"}]


def test_a_truncated_archive_blocks_its_day(world: World) -> None:
    rows = "".join(json.dumps(row) + "\n" for n in range(2000) for row in session(f"s{n}", f"{DAY}T10:00"))
    (world.landing / f"{DAY}.jsonl.gz").write_bytes(gzip.compress(rows.encode())[:-5000])
    world.look()
    assert not world.run(DAY).success
    checks = {reason["check"] for reason in world.reasons(DAY)}
    assert "intake_is_complete.no_file_breaks_off" in checks


def _csv(turns: int) -> str:
    rows = session("a", f"{DAY}T10:00", turns=turns)
    names = list(rows[0])
    return "".join(
        ",".join(f'"{row[name]}"' for name in names) + "\n" for row in [dict(zip(names, names, strict=True)), *rows]
    )


def test_a_csv_that_breaks_off_in_a_quoted_cell_blocks_its_day(world: World) -> None:
    (world.landing / f"{DAY}.csv").write_text(_csv(300)[:-5])
    world.look()
    assert not world.run(DAY).success
    assert world.reasons(DAY)[0]["check"] == "intake_is_complete.no_file_breaks_off"
    assert _account(world, DAY) == {f"canonical/{DAY}.csv": (300, 299, 1, 0, True)}


def test_a_csv_whose_last_line_has_no_end_is_named_because_its_last_cell_may_be_cut(world: World) -> None:
    (world.landing / f"{DAY}.csv").write_text(_csv(300).replace('"', "")[:-1])
    world.look()
    assert world.run(DAY).success
    assert world.status(DAY) == "certified with warnings"
    assert "intake_is_complete.every_csv_ends_with_a_line" in {reason["check"] for reason in world.reasons(DAY)}


def test_a_quote_that_is_never_closed_costs_one_row_and_not_those_behind_it(world: World) -> None:
    lines = _csv(300).splitlines()
    lines[21] = lines[21][:-1]
    (world.landing / f"{DAY}.csv").write_text("\n".join(lines) + "\n")
    world.look()
    assert world.run(DAY).success
    assert _account(world, DAY) == {f"canonical/{DAY}.csv": (300, 299, 1, 0, False)}
    assert world.query("select line, reason from governance.quarantine") == [{"line": 22, "reason": "wrong_shape"}]


def test_a_day_delivered_twice_counts_once(world: World, dstc2: Path) -> None:
    original = dstc2 / "2013-03-22.jsonl"
    world.land_copies(original)
    (world.landing / "again.jsonl").write_bytes(original.read_bytes())
    world.look()
    assert world.run("2013-03-22").success
    assert _account(world, "2013-03-22") == {
        "canonical/2013-03-22.jsonl": (162, 162, 0, 0, False),
        "canonical/again.jsonl": (162, 0, 0, 162, False),
    }
    assert world.certified() == {"2013-03-22": 25}


def test_two_different_records_under_one_identity_keep_the_first(world: World) -> None:
    rows = session("a", f"{DAY}T10:00", turns=200)
    other = {**rows[0], "intent": "something else"}
    world.land("turns.jsonl", [*rows, other])
    assert world.run(DAY).success
    refused = world.query("select line, reason, raw_text from governance.quarantine")
    assert [(row["line"], row["reason"]) for row in refused] == [(201, "identity_conflict")]
    assert "something else" in refused[0]["raw_text"]
    assert "user of a" not in refused[0]["raw_text"], "a refused record must not carry a user id into the warehouse"


def test_one_broken_record_does_not_cost_the_day(world: World) -> None:
    rows = session("a", f"{DAY}T10:00", turns=300)
    lines = [json.dumps(row) for row in rows]
    lines.insert(100, '{"session_id": "b", "turn_number": "two", "timestamp": "2026-08-01T11:00:00"}')
    (world.landing / f"{DAY}.jsonl").write_text("\n".join(lines) + "\n")
    world.look()
    assert world.run(DAY).success
    assert world.status(DAY) == "certified with warnings"
    assert world.query("select line, reason, message from governance.quarantine") == [
        {"line": 101, "reason": "wrong_type", "message": "turn_number is not of type integer: two"}
    ]


def test_a_value_that_only_jsonb_refuses_costs_no_record(world: World) -> None:
    values = {
        "nan": "NaN",
        "infinity": "[1, -Infinity]",
        "huge": "1e400000",
        "long": "9" * 200_000,
        "deep": '{"a":' * 20_000 + "1" + "}" * 20_000,
        "comma": '{"a": [1, 2,], }',
        "fine": "0.25",
    }
    rows = session("a", f"{DAY}T10:00", turns=100)
    lines = [json.dumps(row)[:-1] + f', "other": {value}}}' for row, value in zip(rows, values.values(), strict=False)]
    lines += [json.dumps(row) for row in rows[len(values) :]]
    (world.landing / f"{DAY}.jsonl").write_text("\n".join(lines) + "\n")
    world.look()
    assert world.run(DAY).success
    assert _account(world, DAY) == {f"canonical/{DAY}.jsonl": (100, 100, 0, 0, False)}
    found = world.query("select extra from raw.turns where extra is not null order by turn_number")
    extras = dict(zip(values, (row["extra"] for row in found), strict=True))
    assert extras.pop("deep")["_unreadable"].startswith('{"other":')
    assert extras.pop("long") == {"other": "[NUMBER]"}
    assert extras == {
        "nan": {"other": "NaN"},
        "infinity": {"other": [1, "-Infinity"]},
        "huge": {"other": "1e400000"},
        "comma": {"other": {"a": [1, 2]}},
        "fine": {"other": 0.25},
    }


def test_a_file_of_a_broken_clock_moves_nothing_and_stops_nothing(world: World) -> None:
    world.land("good.jsonl", session("a", f"{DAY}T10:00"))
    before = first_day(world.settings)
    for name, stamp in (
        ("none.jsonl", "0001-01-01T00:00:00"), ("zero.jsonl", "0000-01-01T00:00:00"),
        ("last.jsonl", "9999-12-31T23:59:59-12:00"), ("unix.jsonl", "1970-01-01T00:00:00"),
    ):  # fmt: skip
        world.land(name, [{**session(name, f"{DAY}T11:00")[0], "timestamp": stamp}])
    assert first_day(world.settings) == before
    assert world.run(DAY).success
    problems = {file.path: set(file.days) for file in world.pipeline.files() if "good" not in file.path}
    assert problems.pop("canonical/unix.jsonl") == {"1970-01-01"}
    today = datetime.now(UTC).date().isoformat()
    assert set().union(*problems.values()) == {today}, "without a day of its own it is booked on the day it arrived"


def test_hostile_bytes_are_booked_not_fatal(world: World) -> None:
    rows = session("a", f"{DAY}T10:00", turns=500)
    rows[3] |= {"user_text": "a NUL \x00 in a text", "note": "and \x00 in extra"}
    good = [json.dumps(row).encode() for row in rows]
    hostile = [
        b'{"session_id": "\xff\xfe"}',
        b"\x00\x00\x00",
        b"[" * 5000,
        b'{"session_id": NaN',
        b"null",
        b"=cmd|' /C calc'!A0",
    ]
    (world.landing / f"{DAY}.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([*good, *hostile, b""]) + b"\n\n")
    world.look()
    world.run(DAY)
    booked = _account(world, DAY)[f"canonical/{DAY}.jsonl"]
    assert booked[:4] == (506, 500, 6, 0)


def test_a_file_nobody_can_read_is_reported(world: World) -> None:
    (world.landing / "call.mp3").write_bytes(b"ID3")
    world.look()
    found = world.query("select path, problem from governance.landing_files")
    assert found[0]["path"] == "canonical/call.mp3"
    assert "adapter canonical reads" in found[0]["problem"]


def test_a_deleted_file_takes_its_rows_with_it(world: World) -> None:
    world.land("one.jsonl", session("a", f"{DAY}T10:00"))
    world.land("two.jsonl", session("b", f"{DAY}T11:00"))
    assert world.run(DAY).success
    assert world.certified() == {DAY: 2}
    (world.landing / "two.jsonl").unlink()
    world.look()
    assert world.pipeline.days_to_repair([DAY]) == {DAY: "stale: its files changed"}
    assert world.run(DAY).success
    assert world.certified() == {DAY: 1}
