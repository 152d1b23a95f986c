"""Another pseudonym key: everybody gets a new name at once, and nothing else changes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.integration.everything import everything_of
from tests.integration.faults import PATIENCE, PROCESSES, stop_server
from tests.integration.world import World, session
from voiceai_assets import erasing, rotation
from voiceai_assets.cli import privacy
from voiceai_assets.governance.verify import verify
from voiceai_assets.lake.rekeying import rekeyed_lake
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.pseudonyms import LATER_KEYS_FILE, PENDING_KEY_FILE, load_pseudonymiser, pending_key
from voiceai_assets.rotation import WrongKeyError
from voiceai_assets.runs import run_days
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.server import leave_embedded

DAYS = ["2026-08-01", "2026-08-02"]
RETIRED, ORDINARY = DAYS
FORGOTTEN = "caller-forgotten"
CALLERS = ["caller-1", "caller-2", "caller-3"]
#: Two days with an erasure, and a dozen rotations: `make test-slow`.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
EMBEDDED = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="kills processes, so it brings its own server")


def nothing(*_: str) -> None:
    """Hears of a step and does nothing."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two days; one whose files are gone, one on which a session names two callers; one person forgotten; samples."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    made = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    land(made)
    run_days(made.pipeline, DAYS, nothing)
    chosen = erasing.plan(made.pipeline, FORGOTTEN, nothing)
    erasing.carry_out(made.pipeline, chosen, nothing)
    erasing.look_for_residue(made.pipeline, chosen, erasing.Report(), nothing)
    name = load_pseudonymiser(made.settings)(CALLERS[0])
    made.query(
        "update governance.quality_results set sample = %s::jsonb where day = %s returning 1",
        json.dumps([{"user_id": name, "note": f"rows of {name}"}]),
        ORDINARY,
    )
    with made.pipeline.warehouse.connect() as connection:
        ledger.retire_files(connection, [f"canonical/{RETIRED}.jsonl"])
    (made.landing / f"{RETIRED}.jsonl").unlink()
    yield made
    stop_server(made)
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def land(world: World) -> None:
    for day in DAYS:
        rows = [
            row
            for n, who in enumerate([*CALLERS, FORGOTTEN])
            for row in session(f"s-{day}-{n}", f"{day}T1{n}:00", user_id=who, user_text="hello")
        ]
        # the caller of the first turn is the session's, whatever the pseudonyms happen to be
        both = [
            turn
            for n in range(12)
            for turn in session(f"both-{day}-{n}", f"{day}T16:{n:02}", turns=2, user_id=CALLERS[n % 2])
        ]
        for turn in both:
            if turn["turn_number"] == 2:
                turn["user_id"] = CALLERS[2]
        world.land(f"{day}.jsonl", [*rows, *both])
    events = world.settings.landing / "events"
    events.mkdir(parents=True, exist_ok=True)
    assigned = [
        {"experiment_id": "x", "variant_id": "v", "unit_id": who, "assigned_at": f"{ORDINARY}T08:00:00Z"}
        for who in CALLERS
    ]
    (events / "assignments.jsonl").write_text("".join(json.dumps(row) + "\n" for row in assigned))
    world.look()


def names(world: World) -> dict[str, str]:
    """Present pseudonym -> caller."""
    pseudonymise = load_pseudonymiser(world.settings)
    return {pseudonymise(caller): caller for caller in CALLERS}


def rows_of(world: World) -> dict[str, list[str]]:
    """Every row of tables, lake and views that names somebody, people by their own names; the order does not matter."""
    called = names(world)
    tables = world.query(
        "select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "join pg_attribute a on a.attrelid = c.oid and a.attname in ('user_id', 'unit_id') "
        "where c.relkind in ('r', 'p', 'v') and not c.relispartition order by 1"
    )
    query = "select to_jsonb(t) - 'certificate_id' j from {} t"
    found = {t["name"]: [json.dumps(r["j"]) for r in world.query(query.format(t["name"]))] for t in tables}
    for path in sorted(world.settings.lake.rglob("rows.parquet")):
        rows = pq.read_table(path, partitioning=None).to_pylist()
        found[path.relative_to(world.settings.lake).as_posix()] = [json.dumps(row, default=str) for row in rows]
    pattern = re.compile("|".join(called))
    return {name: sorted(pattern.sub(lambda m: called[m[0]], r) for r in rows) for name, rows in found.items()}


def ledger_of(world: World) -> dict[str, Any]:
    return {
        "loads": world.query(
            "select dataset, day, load_id, rows_loaded from governance.loads where is_live order by 1, 2"
        ),
        "status": world.query("select day, status, version from governance.day_status order by 1"),
        "results": world.query(
            "select asset, check_name, day, load_id, status from governance.quality_results order by 1, 2, 3, 4"
        ),
        "rows": world.query("select mart, day, version, row_count from governance.publications order by 1, 2, 3"),
    }


def live(world: World) -> list[dict[str, Any]]:
    return world.query(
        "select mart, day, version, content_sha256, certificate_id from governance.publications "
        "where is_live order by 1, 2"
    )


def rotate(world: World) -> str:
    """The command; what it said."""
    words = io.StringIO()
    assert privacy.rotate_key(world.pipeline, Console(file=words, width=200)) == 0
    return words.getvalue()


def places_of(world: World, needles: set[str]) -> set[str]:
    """Where any of the texts stands, in every database, file and page; the server's own files keep dead rows."""
    patterns = [needle.encode() for needle in needles]
    return {
        place
        for place, content in everything_of(world)
        if not place.startswith("postgres/") and any(needle in content for needle in patterns)
    }


def test_everybody_gets_a_new_name_and_nothing_else_changes(world: World) -> None:
    old, rows, books = set(names(world)), rows_of(world), ledger_of(world)
    certificates = {p["certificate_id"] for p in live(world)}
    assert len(places_of(world, old)) > 10, "the search finds the names while they are there"
    words = rotate(world)
    assert "3 pseudonym(s)" in words
    assert not old & set(names(world))
    assert places_of(world, old) == set()
    assert rows_of(world) == rows
    assert ledger_of(world) == books
    assert not certificates & {p["certificate_id"] for p in live(world)}
    assert [f for f in verify(world.pipeline, DAYS, nothing, is_quick=True) if f.is_difference] == []
    successors = world.query("select certificates from governance.key_rotations")[0]["certificates"]
    assert set(successors) >= certificates
    assert set(successors.values()) >= {p["certificate_id"] for p in live(world)}


def test_the_key_id_is_stored_with_loads_and_accounts(world: World) -> None:
    rotate(world)
    present = load_pseudonymiser(world.settings).key_id
    stored = world.query("select distinct key_id from governance.loads where is_live and dataset <> 'marts'")
    assert stored == [{"key_id": present}]
    accounts = [json.loads(p.read_text()) for p in world.settings.lake.rglob("_account.json")]
    assert {a["key_id"] for a in accounts if a["dataset"] in {"turns", "assignments"}} == {present}
    for name in ("pseudonym.key", LATER_KEYS_FILE):
        assert stat.S_IMODE((world.settings.home / name).stat().st_mode) == 0o600
    assert not (world.settings.home / PENDING_KEY_FILE).exists()


def made(world: World) -> dict[str, list[str]]:
    """Rows that a run makes, without published ones: a new version of them has another number."""
    return {name: rows for name, rows in rows_of(world).items() if not name.startswith(("published.", "certified."))}


def contents(world: World) -> dict[tuple[str, str], str]:
    """Checksum of the live version of each mart of people."""
    people = {"fact_voice_ai_sessions", "fact_voice_ai_turns", "user_sessions", "fact_assignments"}
    return {(p["mart"], str(p["day"])): p["content_sha256"] for p in live(world) if p["mart"] in people}


def test_running_the_days_again_gives_what_the_rotation_gave(world: World) -> None:
    rotate(world)
    rows, checksums = made(world), contents(world)
    assert not world.pipeline.days_to_repair(DAYS)
    assert run_days(world.pipeline, DAYS, nothing).success
    assert made(world) == rows
    assert contents(world) == checksums


def test_who_was_forgotten_stays_forgotten(world: World) -> None:
    rotate(world)
    late = world.land("late.jsonl", session("late", f"{ORDINARY}T20:00", user_id=FORGOTTEN))
    run_days(world.pipeline, [ORDINARY], nothing)
    assert world.query("select rows_erased from governance.load_files where file = 'canonical/late.jsonl'") == [
        {"rows_erased": 3}
    ]
    late.unlink()
    world.look()
    run_days(world.pipeline, [ORDINARY], nothing)


def test_a_lake_from_before_is_refused(world: World) -> None:
    account = next((world.settings.lake / "turns").glob(f"date={ORDINARY}")) / "_account.json"
    before = account.read_text()
    rotate(world)
    after = account.read_text()
    account.write_text(before)
    with pytest.raises(WrongKeyError, match="which was rotated"):
        world.pipeline.load(ORDINARY)
    account.write_text(after)
    world.pipeline.load(ORDINARY)


def test_lost_key_files_stop_every_run(world: World) -> None:
    rotate(world)
    path = world.settings.home / LATER_KEYS_FILE
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(WrongKeyError, match="bring back"):
        next(world.pipeline.refine([ORDINARY]))
    path.write_bytes(kept)


def test_a_rotation_waits_for_a_run(world: World) -> None:
    heard: list[str] = []

    class WaitedError(Exception):
        pass

    def listen(phase: str, _what: str) -> None:
        heard.append(phase)
        raise WaitedError

    with world.pipeline.held_key(), pytest.raises(WaitedError):
        rotation.rotate(world.settings, world.pipeline.warehouse, listen)
    assert heard == ["waiting"]


# -- killed ------------------------------------------------------------------------------------------------------------


def _rotate_and_die(home: str, at: int) -> None:
    settings = Settings(home=Path(home), quiet_seconds=0)
    steps = 0

    def listen(_phase: str, _what: str) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        pipeline = Pipeline.open(settings)
        rotation.rotate(pipeline.settings, pipeline.warehouse, listen)
    finally:
        leave_embedded(settings)


def seen_by_readers(world: World) -> set[str]:
    with world.as_reader() as reader:
        return {
            row[0]
            for row in reader.execute(
                "select user_id from certified.fact_voice_ai_sessions union select user_id from "
                "certified.fact_voice_ai_turns"
            ).fetchall()
        }


def in_lake(world: World) -> set[str]:
    found = (pq.read_table(p, partitioning=None) for p in world.settings.lake.glob("turns/*/rows.parquet"))
    return {name for table in found for name in table["user_id"].to_pylist()}


@EMBEDDED
def test_a_rotation_killed_at_any_step_leaves_one_key_and_is_completed(world: World) -> None:
    rows, steps = rows_of(world), []
    rotation.rotate(world.settings, world.pipeline.warehouse, lambda *step: steps.append(step))
    assert rows_of(world) == rows
    ends = {"committed": 0, "not committed": 0}
    first_of_lake = next(n for n, (phase, _) in enumerate(steps, 1) if phase == "lake")
    interesting = [first_of_lake] + [
        n for n, (phase, what) in enumerate(steps, 1) if phase == "finish" or what in {"commit", "raw.turns"}
    ]
    for at in interesting:
        before = set(names(world))
        child = PROCESSES.Process(target=_rotate_and_die, args=(str(world.settings.home), at))
        child.start()
        child.join(PATIENCE)
        assert child.exitcode == -signal.SIGKILL, f"step {at} {steps[at - 1]}"
        visible, lake = seen_by_readers(world), in_lake(world)
        assert len(visible) == len(lake) == len(CALLERS), f"a mix after {steps[at - 1]}"
        is_committed = visible != before
        ends["committed" if is_committed else "not committed"] += 1
        if is_committed:
            with world.pipeline.held_key() as pseudonymise:  # what every run does first
                assert visible == {pseudonymise(caller) for caller in CALLERS}
            assert pending_key(world.settings) is None
        else:
            assert visible == lake == before
            assert "rotated" in rotate(world)
        assert seen_by_readers(world) == in_lake(world) == set(names(world))
        assert rows_of(world) == rows, f"after {steps[at - 1]}"
        assert not rekeyed_lake(world.settings.lake).exists()
    assert min(ends.values()) >= 3, ends


@EMBEDDED
def test_the_same_command_completes_what_was_killed_after_its_commit(world: World) -> None:
    steps: list[str] = []
    rotation.rotate(world.settings, world.pipeline.warehouse, lambda _, what: steps.append(what))
    child = PROCESSES.Process(target=_rotate_and_die, args=(str(world.settings.home), steps.index("key file") + 1))
    child.start()
    child.join(PATIENCE)
    new = seen_by_readers(world)
    assert "completed" in rotate(world)
    assert set(names(world)) == new == in_lake(world), "and does not rotate once more"
