"""``voiceai quarantine`` from end to end: out as the records arrived, corrected, back in their place, and loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.test_command_line import voiceai
from tests.integration.world import World, session
from voiceai_assets.lake.indexing import sha256_of

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the commands use the home's own server")
DAY = "2026-08-01"
LINES, TABLE = f"canonical/turns-{DAY}.jsonl", f"canonical/more-{DAY}.csv.gz"


def _landed(world: World) -> None:
    import pandas as pd

    good = session("a", f"{DAY}T10:00", turns=3)
    bad = {**good[1], "turn_number": "two", "user_text": "call +250788123456"}
    world.land(Path(LINES).name, [good[0], bad, good[2], {**good[2], "session_id": None}])
    table = pd.DataFrame(session("b", f"{DAY}T11:00", turns=3)).astype(object)
    table.loc[1, "timestamp"] = "01/08/2026 11:01"
    table.to_csv(world.landing / Path(TABLE).name, index=False)
    world.look()


def _account(world: World) -> dict[str, tuple[int, int, int]]:
    rows = world.query("select file, rows_in, rows_loaded, rows_quarantined from governance.load_files order by file")
    return {row["file"]: (row["rows_in"], row["rows_loaded"], row["rows_quarantined"]) for row in rows}


def _exported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_refused_records_are_taken_out_corrected_put_back_and_loaded(world: World, tmp_path: Path) -> None:
    home, out = world.settings.home, tmp_path / "refused.jsonl"
    _landed(world)
    world.run(DAY)
    assert world.status(DAY) == "blocked"
    assert _account(world) == {TABLE: (3, 2, 1), LINES: (4, 2, 2)}

    shown = voiceai(home, "quarantine").stdout
    assert "3 refused: 2 wrong_type, 1 missing_field" in shown
    assert "788123456" not in shown

    assert voiceai(home, "quarantine", "--export", str(out)).returncode == 0
    assert out.stat().st_mode & 0o777 == 0o600
    records = {(r["file"], r["line"]): r for r in _exported(out)}
    assert set(records) == {(TABLE, 3), (LINES, 2), (LINES, 4)}
    assert "+250788123456" in records[LINES, 2]["record"]

    records[LINES, 2]["record"] = records[LINES, 2]["record"].replace('"two"', "2")
    records[LINES, 4]["record"] = ""
    records[TABLE, 3]["record"] = records[TABLE, 3]["record"].replace("01/08/2026 11:01", f"{DAY}T11:01:00")
    out.write_text("".join(json.dumps(record) + "\n" for record in records.values()))
    put = voiceai(home, "quarantine", "--mend", str(out))
    assert put.returncode == 0, put.stderr
    assert f"voiceai materialize --from {DAY} --to {DAY}" in put.stdout

    done = voiceai(home, "materialize", "--from", DAY, "--to", DAY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.status(DAY) == "certified"
    assert _account(world) == {TABLE: (3, 3, 0), LINES: (3, 3, 0)}
    assert world.query("select 1 from governance.quarantine") == []
    turns = world.query("select session_id, turn_number, source_file, source_line from raw.turns order by 1, 2")
    assert [tuple(row.values()) for row in turns] == [
        *(("a", n, LINES, n) for n in (1, 2, 3)),
        *(("b", n, TABLE, n + 1) for n in (1, 2, 3)),
    ]
    assert len(list((home / "replaced").iterdir())) == 2, "the files as they were"


def test_what_cannot_be_mended_record_by_record_is_said_and_changes_nothing(world: World, tmp_path: Path) -> None:
    home, out = world.settings.home, tmp_path / "refused.jsonl"
    path = world.settings.landing / "converza" / f"calls-{DAY}.json"
    path.parent.mkdir(parents=True)
    path.write_text('[{"call_id": "c", "transcript_text": "Agent: Hi"}]')
    turn = {"session_id": "a", "turn_number": "one", "timestamp": f"{DAY}T10:00:00"}
    pq.write_table(pa.Table.from_pylist([turn]), world.landing / "calls.parquet")
    world.look()
    for day in sorted({day for file in world.pipeline.files() for day in file.days}):
        world.run(day)
    before = path.read_bytes()
    exported = voiceai(home, "quarantine", "--export", str(out))
    assert exported.returncode == 0
    assert "not exported: 1 record(s) of canonical/calls.parquet" in " ".join(exported.stdout.split())
    assert [record["record"] for record in _exported(out)] == ['{"call_id": "c", "transcript_text": "Agent: Hi"}'], (
        "once, though it is refused as a call and as a turn: of two copies one correction would undo the other"
    )
    with out.open("a") as more:
        more.write(json.dumps({"file": "../pseudonym.key", "line": 1, "record": "x", "file_sha256": "0"}) + "\n")
    put = voiceai(home, "quarantine", "--mend", str(out))
    assert put.returncode == 1
    said = " ".join(put.stderr.split())
    assert "records of .json files are not replaced singly; land the file again" in said
    assert "../pseudonym.key is not in landing" in said
    assert path.read_bytes() == before


def _with_three_bad_lines(world: World, tmp_path: Path) -> tuple[Path, Path]:
    """A loaded file of 63 records whose lines 11, 21 and 31 were refused, and their export."""
    out = tmp_path / "refused.jsonl"
    rows = [row for name in range(21) for row in session(f"s{name}", f"{DAY}T10:00", turns=3)]
    bad = {10, 20, 30}
    world.land(Path(LINES).name, [{**row, "session_id": None} if n in bad else row for n, row in enumerate(rows)])
    world.look()
    world.run(DAY)
    assert voiceai(world.settings.home, "quarantine", "--export", str(out)).returncode == 0
    assert [record["line"] for record in _exported(out)] == [11, 21, 31]
    return world.settings.landing / LINES, out


def test_the_same_mend_a_second_time_changes_nothing_and_says_so(world: World, tmp_path: Path) -> None:
    home = world.settings.home
    path, out = _with_three_bad_lines(world, tmp_path)
    first, *others = _exported(out)
    mended = [{**first, "record": ""}, *({**r, "record": r["record"].replace("null", '"new"')} for r in others)]
    out.write_text("".join(json.dumps(record) + "\n" for record in mended))
    before = path.read_text().splitlines()

    once = voiceai(home, "quarantine", "--mend", str(out))
    assert (once.returncode, "mended 3 record(s)" in once.stdout) == (0, True), once.stderr
    right = [*before[:10], *before[11:20], mended[1]["record"], *before[21:30], mended[2]["record"], *before[31:]]
    assert path.read_text().splitlines() == right

    twice = voiceai(home, "quarantine", "--mend", str(out))
    assert (twice.returncode, "mended" in twice.stdout) == (1, False), twice.stdout
    assert f"turns-{DAY}.jsonl is no longer the file that was exported" in " ".join(twice.stderr.split())
    assert path.read_text().splitlines() == right

    # the refused lines are those of the file as it was loaded; on them other records lie now
    again = voiceai(home, "quarantine", "--export", str(out))
    assert (again.returncode, _exported(out)) == (0, [])
    said = " ".join(again.stdout.split())
    assert f"not exported: 3 record(s) of {LINES}" in said
    assert "run its days" in said


def test_a_file_that_was_landed_again_is_not_mended_from_an_old_export(world: World, tmp_path: Path) -> None:
    home = world.settings.home
    path, out = _with_three_bad_lines(world, tmp_path)
    landed = "".join(json.dumps(row) + "\n" for row in session("z", f"{DAY}T12:00", turns=40))
    path.write_text(landed)
    put = voiceai(home, "quarantine", "--mend", str(out))
    assert put.returncode == 1
    assert "is no longer the file that was exported" in " ".join(put.stderr.split())

    other = json.dumps({**_exported(out)[0], "file_sha256": sha256_of(path)}) + "\n"
    for records in (other + out.read_text(), out.read_text() + other):
        out.with_name("both.jsonl").write_text(records)
        both = voiceai(home, "quarantine", "--mend", str(out.with_name("both.jsonl")))
        assert both.returncode == 1
        assert f"is of another export of {LINES}" in " ".join(both.stderr.split())

    out.write_text(
        "".join(json.dumps({k: v for k, v in r.items() if "sha256" not in k}) + "\n" for r in _exported(out))
    )
    old = voiceai(home, "quarantine", "--mend", str(out))
    assert old.returncode == 1
    assert "line 1 does not say what its file was" in " ".join(old.stderr.split())
    assert "export again" in " ".join(old.stderr.split())
    assert path.read_text() == landed
