"""What ``voiceai land`` and ``voiceai status`` say of files that take another's place, and of files that wait."""

from __future__ import annotations

import io
import json
import os
import time
from datetime import date
from pathlib import Path

from rich.console import Console

from tests.integration.world import Rows, World, session
from voiceai_assets.cli.days import materialize_days, show_status
from voiceai_assets.cli.landing import land_files
from voiceai_assets.pipeline import Pipeline


def _export(folder: Path, rows: Rows, name: str = "export.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _land(world: World, *paths: Path) -> tuple[int, str, str]:
    said, complained = io.StringIO(), io.StringIO()
    out, errors = Console(file=said, width=400), Console(file=complained, width=400)
    return land_files(world.pipeline, list(paths), "canonical", out, errors), said.getvalue(), complained.getvalue()


def test_a_file_that_takes_anothers_place_says_so_and_the_days_of_both_are_next(world: World, tmp_path: Path) -> None:
    first = _export(tmp_path / "x", session("a", "2026-08-07T10:00"))
    assert _land(world, first)[::2] == (0, "")
    assert _land(world, first)[::2] == (0, ""), "landed again, it replaces nothing"

    status, said, complained = _land(world, _export(tmp_path / "y", session("b", "2026-08-04T10:00")))
    assert status == 0
    assert complained == "replaced 1 file(s) that held 2026-08-07: export.jsonl\n"
    assert "landed 1 file(s), 3 records, 1 day(s)" in said
    assert "next: voiceai materialize --from 2026-08-04 --to 2026-08-07" in said


def test_a_file_that_takes_the_place_of_one_that_nobody_looked_into_says_so(world: World, tmp_path: Path) -> None:
    _export(world.landing, session("a", "2026-08-07T10:00"))
    status, said, complained = _land(world, _export(tmp_path / "y", session("b", "2026-08-04T10:00")))
    assert (status, complained) == (0, "replaced 1 file(s) that nobody had looked into: export.jsonl\n")
    assert "next: voiceai materialize --from 2026-08-04 --to 2026-08-04" in said


def test_what_is_replaced_is_named_without_what_is_somebodys(world: World, tmp_path: Path) -> None:
    _land(world, _export(tmp_path / "x", session("a", "2026-08-07T10:00"), "call-0788123456.jsonl"))
    complained = _land(world, _export(tmp_path / "y", session("b", "2026-08-07T10:00"), "call-0788123456.jsonl"))[2]
    assert complained.startswith("replaced 1 file(s) that held 2026-08-07: call-")
    assert "0788123456" not in complained


def test_a_file_with_the_longest_name_there_is_lands(world: World, tmp_path: Path) -> None:
    name = "n" * 249 + ".jsonl"
    assert _land(world, _export(tmp_path / "x", session("a", "2026-08-07T10:00"), name))[::2] == (0, "")
    assert [path.name for path in world.landing.iterdir()] == [name]


def test_a_file_whose_name_nobody_can_write_down_has_not_landed_before(world: World, tmp_path: Path) -> None:
    path = _export(tmp_path / "x", session("a", "2026-08-07T10:00"), os.fsdecode(b"caf\xe9.jsonl"))
    status, said, complained = _land(world, path)
    assert (status, said.strip()) == (1, "")
    assert "its name is not UTF-8; rename it" in complained


def _status(pipeline: Pipeline) -> tuple[int, str]:
    shown = io.StringIO()
    return show_status(pipeline, None, None, Console(file=shown, width=400)), shown.getvalue()


def _patient(world: World) -> Pipeline:
    return Pipeline(world.settings.model_copy(update={"quiet_seconds": 600}), world.pipeline.warehouse)


def test_status_names_the_files_that_are_not_read_yet_and_why(world: World) -> None:
    pipeline = _patient(world)
    world.land("read.jsonl", session("a", "2026-08-01T10:00"))
    assert "not read yet" not in _status(pipeline)[1]

    young = _export(world.landing, session("b", "2026-08-01T10:00"), "young.jsonl")
    quiet = _export(world.landing, session("c", "2026-08-01T10:00"), "quiet.jsonl")
    _export(world.landing, session("d", "2026-08-01T10:00"), "call-0788123456.jsonl")
    os.utime(quiet, (time.time() - 3600,) * 2)
    status, shown = _status(pipeline)
    assert status == 2
    assert (
        "not read yet: 1 file(s) younger than 600 s (VOICEAI_QUIET_SECONDS): canonical/young.jsonl; 1 file(s) that "
        "nobody has looked into as they are now: canonical/quiet.jsonl. The sensor and voiceai materialize look again\n"
    ) in shown
    assert "0788123456" not in shown

    pipeline.look_into_landing()
    assert "1 file(s) younger than 600 s (VOICEAI_QUIET_SECONDS): canonical/young.jsonl. The" in _status(pipeline)[1]
    os.utime(young, (time.time() - 3600,) * 2)
    pipeline.look_into_landing()
    assert "not read yet" not in _status(pipeline)[1]


def test_what_materialize_did_not_wait_for_stands_below_its_table(world: World) -> None:
    pipeline = _patient(world)
    world.land("read.jsonl", session("a", "2026-08-01T10:00"))
    _export(world.landing, session("b", "2026-08-01T11:00"), "young.jsonl")
    shown, day = io.StringIO(), date(2026, 8, 1)
    console = Console(file=shown, width=400)
    assert materialize_days(pipeline, day, day, console, console) == 0
    assert "1 certified" in shown.getvalue()
    assert "(VOICEAI_QUIET_SECONDS): canonical/young.jsonl. The" in shown.getvalue()
