"""The synthetic world: turns per second of one core for the numbers and for written files, and memory as days go by.

Seconds are those of the processor (all threads together), so that a busy machine does not slow the figure; the wall
clock is printed beside them. Each figure is measured in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys

FILES = (
    ("canonical", "jsonl"),
    ("canonical", "csv"),
    ("canonical", "parquet"),
    ("canonical", "jsonl.zst"),
    ("irembo", "csv"),
    ("bakame", "csv"),
    ("converza", "jsonl"),
    ("events", "jsonl"),
)
USERS, SESSIONS_PER_DAY = 400_000, 60_000  # about 220,000 turns a day in seven blocks of callers

_SCRIPT = """
import json, sys, tempfile, time
from pathlib import Path
from benchmarks.memory import peak_kilobytes
from voiceai_assets.synthetic.config import WorldConfig
from voiceai_assets.synthetic.generate import generate
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.world import World

source, ending, days, users, sessions = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
world = World(WorldConfig(users=users, sessions_per_day=sessions, days=days))
next(World(WorldConfig(days=1)).blocks(0))
with tempfile.TemporaryDirectory() as folder:
    wall, cpu, turns = time.perf_counter(), time.process_time(), 0
    if source == "numbers":
        for number in range(days):
            turns += sum(len(block.turns.k) for block in world.blocks(number))
    else:
        for written in generate(world, SOURCES[source], Path(folder), ending):
            turns += written.turns
            for path in written.paths:
                path.unlink()
    print(json.dumps({
        "turns": turns, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
        "rss_mb": peak_kilobytes() / 1024,
    }))
"""


def measured(source: str, ending: str, days: int) -> dict[str, float]:
    """Turns, seconds (wall and processor) and peak memory of a world of that many days."""
    arguments = [source, ending, str(days), str(USERS), str(SESSIONS_PER_DAY)]
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def speeds(days: int = 4) -> dict[str, float]:
    """Turns per processor second: of the numbers, and of each kind of file."""
    found = {}
    for source, ending in (("numbers", "-"), *FILES):
        run = measured(source, ending, days)
        found[f"{source} {ending}"] = run["turns"] / run["cpu"]
        print(
            f"       {source:<10} {ending:<10} {run['turns'] / run['cpu']:10,.0f} turns/s of processor "
            f"{run['turns'] / run['wall']:10,.0f} by the clock {run['rss_mb']:6,.0f} MB",
            flush=True,
        )
    return found


def memory(few: int = 4, many: int = 24) -> tuple[float, float]:
    """Peak memory in MB with few days and with many, of the files that need most."""
    return measured("canonical", "parquet", few)["rss_mb"], measured("canonical", "parquet", many)["rss_mb"]
