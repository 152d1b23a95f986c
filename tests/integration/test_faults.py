"""Faults in the middle of a day: whatever breaks, readers keep a whole day, and running it again gives the same rows."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.faults import (
    DAY,
    SETTINGS,
    TURNS_PER_SESSION,
    Run,
    Watcher,
    assert_chain_holds,
    copy_home,
    land_day,
    opened,
    postmaster,
    reopen,
    start_run,
    state_of,
    stop_server,
)
from tests.integration.world import World, session
from voiceai_assets.lake import refine as refinery
from voiceai_assets.lake.reading import read_blocks
from voiceai_assets.runs import run_days

#: A version of the day: turns, and the seed of their numbers.
OLD, NEW = (20_000, 1), (60_000, 2)
EMBEDDED = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="breaks the server, so it brings its own")


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
        yield Prepared(folder / "old", old, new, [b - a for a, b in zip(moments, moments[1:], strict=False)])
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
    with Watcher(world) as watcher:
        fell = kill_at_random_moments(world, prepared, kills, random.Random(seed))
        land_day(world, *NEW)
        again = run(world)
        assert again.outcome.success, again.outcome.failures
        time.sleep(0.3)
    assert watcher.torn == []
    assert watcher.seen == {whole(OLD), whole(NEW)}
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
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_in_every_step_leave_no_trace(world_with_old_day: World, prepared: Prepared) -> None:
    fell = assert_killed_runs_leave_no_trace(world_with_old_day, prepared, kills=20, seed=20260801)
    assert len(fell) >= len(prepared.seconds) - 1, f"the kills missed some steps: {fell}"
