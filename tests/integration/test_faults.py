"""Faults in the middle of a day: whatever breaks, readers keep a whole day, and a second run gives the same rows."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import psycopg
import pytest

from tests.integration.faults import (
    DAY,
    PATIENCE,
    TURNS_PER_SESSION,
    Disk,
    RawWatcher,
    Run,
    Watcher,
    assert_chain_holds,
    copy_home,
    land_day,
    opened,
    reopen,
    start_run,
    state_of,
    stop_server,
)
from tests.integration.world import World, session
from voiceai_assets.lake import inbox, parsed
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.inbox import Refresh
from voiceai_assets.lake.indexing import FileStat, readable_blocks
from voiceai_assets.lake.reading import Block
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse.copy import HalfWrittenError
from voiceai_assets.warehouse.server import leave_embedded

#: A version of the day: turns, and the seed of their numbers.
OLD, NEW = (20_000, 1), (60_000, 2)
EMBEDDED = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="breaks the server, so it brings its own")

#: Kills and restarts take minutes, on a machine that others use many: `make test-slow`. What must not hang has limits
#: of its own (`faults.PATIENCE`).
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class Prepared:
    """A home in which the old day is certified, and what an undisturbed run of each version leaves behind."""

    home: Path
    old: dict[str, Any]
    new: dict[str, Any]
    seconds: list[float]


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    try:
        with opened(folder / "old") as world:
            land_day(world, *OLD)
            assert run(world).outcome.success
            old = state_of(world)
        with opened(copy_home(folder / "old", folder / "new")) as world:
            land_day(world, *NEW)
            undisturbed = run(world)
            assert undisturbed.outcome.success
            new = state_of(world)
        shutil.rmtree(folder / "new")
        moments = [0.0, *(at for _, at in undisturbed.steps)]
        yield Prepared(folder / "old", old, new, [b - a for a, b in itertools.pairwise(moments)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world_with_old_day(prepared: Prepared, home: Path) -> Iterator[World]:
    with opened(copy_home(prepared.home, home / "home")) as world:
        yield world


def run(world: World) -> Run:
    """A run to its end."""
    started = start_run(world)
    started.finish()
    return started


def kill_at_random_moments(world: World, prepared: Prepared, kills: int, draw: random.Random) -> Counter[str]:
    """Start and kill runs, the landed file being another one each time; in which step each kill fell."""
    fell: Counter[str] = Counter()
    steps = list(range(len(prepared.seconds)))
    moments = [step for _ in range(kills // len(steps)) for step in steps]
    moments += draw.sample(steps, kills - len(moments))
    draw.shuffle(moments)
    for number, step in enumerate(moments):
        land_day(world, *(NEW if number % 2 == 0 else OLD))
        started = start_run(world)
        started.listen(until=step)
        time.sleep(draw.random() * prepared.seconds[step])
        started.kill()
        fell[f"{len(started.steps)} done" if started.outcome is None else "over"] += 1
    return fell


def assert_killed_runs_leave_no_trace(world: World, prepared: Prepared, kills: int, seed: int) -> Counter[str]:
    with Watcher(world) as watcher, RawWatcher(world) as raw:
        fell = kill_at_random_moments(world, prepared, kills, random.Random(seed))
        land_day(world, *NEW)
        again = run(world)
        assert again.outcome.success, again.outcome.failures
        time.sleep(0.3)
    assert watcher.torn == raw.torn == []
    assert watcher.seen == raw.seen == {whole(OLD), whole(NEW)}
    assert state_of(world) == prepared.new
    assert_chain_holds(world)
    assert leftovers(world) == []
    return fell


def whole(version: tuple[int, int]) -> tuple[int, int]:
    """Sessions and turns that a reader must see of a version."""
    return version[0] // TURNS_PER_SESSION, version[0]


def leftovers(world: World) -> list[str]:
    """Drafts and spill files that nobody will finish."""
    return [path.name for path in world.settings.lake.rglob(".*") if path.is_file()]


@EMBEDDED
def test_a_run_killed_twice_leaves_no_trace(world_with_old_day: World, prepared: Prepared) -> None:
    assert_killed_runs_leave_no_trace(world_with_old_day, prepared, kills=2, seed=1)


@EMBEDDED
def test_a_run_killed_while_it_writes_the_lake_leaves_no_draft(world_with_old_day: World, prepared: Prepared) -> None:
    world = world_with_old_day
    land_day(world, *NEW)
    folder = LakeDay(world.settings.lake, "turns", DAY).rows.parent
    started = start_run(world)
    while not list(folder.glob(".rows*")):
        assert started.process.is_alive(), "the run was over before a draft was seen"
    started.kill()
    assert run(world).outcome.success
    assert leftovers(world) == []
    assert state_of(world) == prepared.new


@EMBEDDED
def test_twenty_kills_in_every_step_leave_no_trace(world_with_old_day: World, prepared: Prepared) -> None:
    fell = assert_killed_runs_leave_no_trace(world_with_old_day, prepared, kills=20, seed=20260801)
    assert len(fell) >= len(prepared.seconds) - 1, f"the kills missed some steps: {fell}"


# -- the server goes away ----------------------------------------------------------------------------------------------


def await_copy(world: World, started: Run) -> None:
    """Return while rows of the day are being copied, with the run held in that very moment."""
    process = psutil.Process(started.process.pid)
    with psycopg.connect(world.pipeline.warehouse.admin.libpq(), autocommit=True) as connection:
        while process.is_running():
            copying = (
                "select 1 from pg_stat_progress_copy where relid::regclass::text like 'raw.turns\\_%' "
                "and tuples_processed > 0"
            )
            if connection.execute(copying).fetchone():
                process.suspend()
                assert connection.execute(copying).fetchone(), "the COPY was over before the run could be held"
                return
            time.sleep(0.002)
    pytest.fail("the run ended without a COPY")


def lose_the_server_during_copy(world: World, prepared: Prepared) -> str:
    """Stop the server at once while rows are copied, start it again, and give what the run said."""
    started = start_run(world)
    started.listen(until=1)
    await_copy(world, started)
    stop_server(world, signal.SIGQUIT)
    reopen(world)
    psutil.Process(started.process.pid).resume()
    assert not started.finish().success
    return said(started)


@EMBEDDED
def test_a_server_that_restarts_during_copy_costs_one_run(world_with_old_day: World, prepared: Prepared) -> None:
    world = world_with_old_day
    before = table_hashes(state_of(world))
    land_day(world, *NEW)
    said = lose_the_server_during_copy(world, prepared)
    assert "server closed the connection" in said or "terminating connection" in said, said
    assert table_hashes(state_of(world)) == before, "a day that was not committed must be the old one"
    assert run(world).outcome.success
    assert state_of(world) == prepared.new


@EMBEDDED
def test_a_server_that_restarts_at_any_moment_costs_one_run(world_with_old_day: World, prepared: Prepared) -> None:
    world = world_with_old_day
    draw = random.Random(20260802)
    for number, seconds in enumerate(prepared.seconds):
        land_day(world, *(NEW if number % 2 == 0 else OLD))
        started = start_run(world)
        started.listen(until=number)
        time.sleep(draw.random() * seconds)
        stop_server(world, signal.SIGQUIT)
        reopen(world)
        started.listen()
        started.process.join(PATIENCE)
        assert started.process.exitcode is not None, f"the run hangs after {started.steps}"
    land_day(world, *NEW)
    assert run(world).outcome.success
    assert state_of(world) == prepared.new
    assert_chain_holds(world)


def table_hashes(state: dict[str, Any]) -> dict[str, Any]:
    """The part of a state that readers of tables see."""
    return {name: value for name, value in state.items() if "." in name}


# -- two at once -------------------------------------------------------------------------------------------------------


def assert_two_runs_at_once_give_what_one_gives(world: World, prepared: Prepared, pauses: list[float]) -> None:
    with Watcher(world) as watcher, RawWatcher(world) as raw:
        for number, pause in enumerate(pauses):
            land_day(world, *(NEW if number % 2 == 0 else OLD))
            first = start_run(world)
            time.sleep(pause)
            both = [first, start_run(world)]
            for started in both:
                started.finish()
            assert [failure for started in both for failure in started.outcome.failures] == []
            assert state_of(world) == (prepared.new if number % 2 == 0 else prepared.old)
    assert watcher.torn == raw.torn == []
    assert watcher.seen == raw.seen == {whole(OLD), whole(NEW)}
    assert_chain_holds(world)
    assert "deadlock" not in (world.settings.home / "postgres" / "log").read_text()


@EMBEDDED
def test_two_runs_of_one_day_at_once_give_what_one_gives(world_with_old_day: World, prepared: Prepared) -> None:
    assert_two_runs_at_once_give_what_one_gives(world_with_old_day, prepared, [0])


@EMBEDDED
def test_two_runs_of_one_day_a_moment_apart_give_what_one_gives(world_with_old_day: World, prepared: Prepared) -> None:
    draw = random.Random(20260803)
    pauses = [draw.random() * sum(prepared.seconds[1:]) for _ in range(12)]
    assert_two_runs_at_once_give_what_one_gives(world_with_old_day, prepared, [0, 0, *pauses])


# -- no space left -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(home: Path) -> Iterator[Disk]:
    try:
        mounted = Disk(home / "disk", megabytes=700)
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"no file system of our own: {error}; the tests that limit the size of a file still run")
    yield mounted
    mounted.unmount()


@EMBEDDED
@pytest.mark.parametrize(
    "free_megabytes",
    [pytest.param(0.2, id="while the lake is written"), pytest.param(8, id="while rows are copied")],
)
def test_a_full_disk_costs_one_run(disk: Disk, prepared: Prepared, free_megabytes: float) -> None:
    with opened(copy_home(prepared.home, disk.folder / "home")) as world:
        before = table_hashes(state_of(world))
        land_day(world, *NEW)
        disk.fill(free_megabytes)
        started = start_run(world)
        started.listen()
        started.process.join(PATIENCE)
        disk.free()
        assert "No space left on device" in said(started)
        reopen(world)  # where the log itself did not fit, the server has stopped
        assert table_hashes(state_of(world)) == before
        again = run(world)
        assert again.outcome.success, again.outcome.failures
        assert state_of(world) == prepared.new
        assert leftovers(world) == []


@EMBEDDED
def test_a_lake_that_cannot_be_written_costs_one_run(world_with_old_day: World, prepared: Prepared) -> None:
    world = world_with_old_day
    before = table_hashes(state_of(world))
    land_day(world, *NEW)
    started = start_run(world, largest_file=200_000)
    assert not started.finish().success
    assert "File too large" in said(started)
    assert table_hashes(state_of(world)) == before
    assert run(world).outcome.success
    assert state_of(world) == prepared.new
    assert leftovers(world) == []


@EMBEDDED
def test_a_table_that_cannot_grow_costs_one_run(world_with_old_day: World, prepared: Prepared) -> None:
    world = world_with_old_day
    before = table_hashes(state_of(world))
    land_day(world, *NEW)
    with limited_files(17 * 2**20):  # more than a segment of the log, less than the day
        stop_server(world)
        reopen(world)
    started = start_run(world)
    assert not started.finish().success
    assert "File too large" in said(started)
    assert table_hashes(state_of(world)) == before
    stop_server(world)
    reopen(world)
    assert run(world).outcome.success
    assert state_of(world) == prepared.new


@contextlib.contextmanager
def limited_files(largest: int) -> Iterator[None]:
    """Whatever is started here may write so many bytes into a file and no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def said(started: Run) -> str:
    """What a run that failed told its caller."""
    return started.error or " ".join(started.outcome.failures if started.outcome else ())


# -- files that will not stand still -----------------------------------------------------------------------------------


def certify_two_files(world: World) -> None:
    world.land("first.jsonl", session("first", f"{DAY}T10:00"))
    world.land("second.jsonl", session("second", f"{DAY}T11:00"))
    assert world.run(DAY).success
    assert world.certified() == {DAY: 2}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(
        f"{event.step_failure_data.user_failure_data} {event.step_failure_data.error_display_string}"
        for event in result.get_step_failure_events()
    )


def test_a_file_that_grows_while_it_is_read_costs_one_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certify_two_files(world)
    growing = world.land("second.jsonl", session("second", f"{DAY}T11:00", turns=5))

    def grows(*arguments: Any) -> Iterator[tuple[str, Block]]:
        yield from list(readable_blocks(*arguments))
        with growing.open("a") as out:
            out.write(json.dumps(session("third", f"{DAY}T12:00")[0]) + "\n")

    with monkeypatch.context() as patched:
        patched.setattr(parsed, "readable_blocks", grows)
        result = world.run(DAY)
    assert not result.success
    assert "canonical/second.jsonl changed while it was being read; run the day again" in failure_of(result)
    assert world.certified() == {DAY: 2}, "readers keep the day that was certified"
    assert world.status(DAY) != "certified"
    assert world.run(DAY).success
    assert world.certified() == {DAY: 3}


def test_a_file_deleted_between_index_and_read_costs_one_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certify_two_files(world)
    look = Pipeline.look_into_landing

    def looks_and_then_it_goes(pipeline: Pipeline, **options: Any) -> Refresh:
        found = look(pipeline, **options)
        (world.landing / "second.jsonl").unlink(missing_ok=True)
        return found

    world.land("second.jsonl", session("second", f"{DAY}T11:00", turns=5))
    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "look_into_landing", looks_and_then_it_goes)
        result = world.run(DAY)
    assert not result.success
    assert "second.jsonl" in failure_of(result)
    assert world.certified() == {DAY: 2}
    assert world.run(DAY).success
    assert world.certified() == {DAY: 1}


def test_a_file_deleted_while_landing_is_listed_is_no_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certify_two_files(world)
    listed = inbox.scan

    def sees_a_ghost(landing: Path, *lists: list[str]) -> Iterator[FileStat]:
        yield from listed(landing, *lists)
        yield FileStat("canonical/ghost.jsonl", 1000, 1)

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "scan", sees_a_ghost)
        assert world.run(DAY).success
    assert world.certified() == {DAY: 2}


def test_a_day_of_which_the_lake_holds_half_is_not_loaded(world: World) -> None:
    """A run was killed after it wrote the rows and before it wrote the account; somebody runs only the load."""
    certify_two_files(world)
    account = LakeDay(world.settings.lake, "turns", DAY).account
    old = account.read_text()
    world.land("second.jsonl", session("second", f"{DAY}T11:00", turns=5))
    assert [problem for _, _, problem in world.pipeline.refine([DAY])] == [None]
    account.write_text(old)
    with pytest.raises(HalfWrittenError, match=f"run {DAY} again"):
        world.pipeline.load(DAY)
    assert world.query("select count(*) from raw.turns")[0]["count"] == 6
    assert world.run(DAY).success
    assert world.query("select count(*) from raw.turns")[0]["count"] == 8


@pytest.mark.slow
def test_a_file_that_is_appended_to_during_runs_is_read_whole_in_the_end(world: World) -> None:
    certify_two_files(world)
    path, turns = world.landing / "second.jsonl", itertools.count(4)
    done = threading.Event()

    def append() -> None:
        while not done.wait(0.002):
            row = session("second", f"{DAY}T11:00", turns=1)[0] | {"turn_number": next(turns)}
            with path.open("a") as out:
                out.write(json.dumps(row) + "\n")

    writer = threading.Thread(target=append)
    writer.start()
    failures = []
    try:
        for _ in range(6):
            result = world.run(DAY)
            failures += [] if result.success else [failure_of(result)]
    finally:
        done.set()
        writer.join()
    assert all("changed while it was being read" in failure for failure in failures), failures
    assert failures, "no run met the writer"
    assert world.run(DAY).success
    loaded = world.query("select count(*), max(turn_number) from raw.turns where session_id = 'second'")
    assert loaded == [{"count": next(turns) - 1, "max": next(turns) - 2}]


# -- a server that is not what it seems --------------------------------------------------------------------------------


@EMBEDDED
def test_a_server_whose_number_went_to_another_process_is_started_again(home: Path) -> None:
    """After a power cut, or in a container that was started again, an old number soon belongs to somebody else."""
    with opened(home / "home") as world:
        note = (world.settings.home / "postgres" / "postmaster.pid").read_text().splitlines()
        stop_server(world, signal.SIGKILL)
        bystander = subprocess.Popen(["sleep", "600"])
        try:
            rest = "\n".join([str(bystander.pid), *note[1:]])
            (world.settings.home / "postgres" / "postmaster.pid").write_text(rest + "\n")
            reopen(world)
            assert world.query("select 1 as one") == [{"one": 1}]
            assert bystander.poll() is None, "somebody else's process was stopped"
        finally:
            bystander.kill()
            bystander.wait()


@EMBEDDED
def test_the_server_stops_with_its_last_user_even_if_another_was_killed(home: Path) -> None:
    with opened(home / "home") as world:
        world.land(f"turns-{DAY}.jsonl", session("a", f"{DAY}T10:00"))
        started = start_run(world)
        started.listen(until=1)
        started.kill()
        note = world.settings.home / "postgres" / "postmaster.pid"
        assert note.exists()
        leave_embedded(world.settings)
        assert not note.exists()
