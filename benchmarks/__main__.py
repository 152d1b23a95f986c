"""``make bench``: prints each figure with the commands it compares, and fails when a bar is missed.

Belongs here: timing of real commands. Does not belong here: correctness (``tests``).
Ratios are taken within one run on one machine, so they carry over where seconds do not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import generating
from benchmarks.floor import floor_seconds
from benchmarks.loading import FORMATS, move_as, rows_per_second
from benchmarks.marts import fill_published, insert_seconds, mart_statements, page_scans, page_seconds, seconds_by_hand
from benchmarks.memory import peak_megabytes, write_gigabytes
from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.automation.jobs import DAYS_PER_RUN
from voiceai_assets.automation.planning import DayRange, ranges
from voiceai_assets.build import build_defs
from voiceai_assets.checks.asset_checks import STEPS
from voiceai_assets.checks.expectations import Validator
from voiceai_assets.checks.suites import all_suites
from voiceai_assets.instance import instance_environment
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.runs import stored_instance
from voiceai_assets.settings import Settings
from voiceai_assets.synthetic.sample import write_sample
from voiceai_assets.warehouse.server import leave_embedded

BARS = {
    "overhead": 10.0,
    "ninety": 60.0,
    "floor": 4.0,
    "dbt": 2.0,
    "checks": 0.2,
    "history": 1.2,
    "year": 120.0,
    "pages": 0.3,
    "copy": 0.5,
    "dlt": 5.0,
    "pandas.to_sql": 20.0,
    "memory": 1536.0,
    "generate": 200_000,
    "generate-memory": 1.2,
}
AT_LEAST = ("copy", "dlt", "pandas.to_sql", "generate")
FIRST = date(2026, 1, 1)
_WORDS = (
    "pay bill status renew appeal transfer school land please my the which would want today can licence for".split()
)
_KINDS = list(
    itertools.product(
        ("voice", "sms"),
        ("first_time", "returning"),
        ("rural", "urban"),
        ("rw", "en", "fr"),
        ("completed", "abandoned"),
    )
)


class Bench:
    """A home of its own, and one line per figure."""

    def __init__(self, start: date = FIRST) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="voiceai-bench-"))
        self.settings = Settings(home=self.folder / "home", quiet_seconds=0, start_date=start)
        self.pipeline = Pipeline.open(self.settings)
        self._open = ExitStack()
        self._open.enter_context(instance_environment(self.pipeline))
        self.instance = self._open.enter_context(stored_instance())
        self.missed: list[str] = []

    def close(self) -> None:
        """Stop the server and remove everything."""
        self._open.close()
        leave_embedded(self.settings)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def landing(self) -> Path:
        """Where files land."""
        folder = self.settings.landing / "canonical"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, first: str, last: str | None = None) -> dict[str, float]:
        """Run days; seconds of the whole (``total``) and of each step."""
        tags = DayRange(first, last or first).tags
        resource = PipelineResource(self.settings)
        job = build_defs(settings=self.settings, pipeline=resource).resolve_job_def("daily_job")
        began = time.perf_counter()
        result = job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            partition_key=tags.get("dagster/partition"),
            tags={key: value for key, value in tags.items() if key != "dagster/partition"},
        )
        total = time.perf_counter() - began
        if not result.success:
            sys.exit(f"the run of {first} failed: {[e.step_key for e in result.get_step_failure_events()]}")
        steps = self.instance.get_run_step_stats(result.run_id)
        return {"total": total, **{s.step_key: (s.end_time or 0) - (s.start_time or 0) for s in steps}}

    def say(self, name: str, text: str, value: float) -> None:
        """Print a figure beside its bar, which is the most it may be, or the least for ratios of speed."""
        is_speed = name in AT_LEAST
        met = value >= BARS[name] if is_speed else value <= BARS[name]
        if not met:
            self.missed.append(name)
        print(
            f"{'ok    ' if met else 'MISSED'} {text} (bar: at {'least' if is_speed else 'most'} {BARS[name]:g})",
            flush=True,
        )


def overhead_of_a_small_day(bench: Bench) -> None:
    """One small day in a warm process, minus the same steps called as plain functions."""
    day = "2026-01-05"
    write_sample(bench.landing, date(2026, 1, 5), days=5)
    bench.pipeline.look_into_landing()
    bench.run(day)
    run = min((bench.run(day) for _ in range(3)), key=lambda seconds: seconds["total"])

    def work() -> None:
        list(bench.pipeline.refine([day]))
        bench.pipeline.load(day)
        bench.pipeline.publish(day, "bench")

    plain = min(_seconds(work) for _ in range(3))
    value = run["total"] - plain
    print(
        f"       daily_job for one small day, in process: {run['total']:.1f} s; refine + load + publish: {plain:.1f} s"
    )
    bench.say("overhead", f"overhead of a one-day run: {value:.1f} s", value)


def ninety_small_days(bench: Bench) -> None:
    """Ninety small days as one range run."""
    last = FIRST + timedelta(days=120)
    first = last - timedelta(days=89)
    shutil.rmtree(bench.landing)
    write_sample(bench.landing, last, days=90)
    _mend_sample(bench.landing)
    bench.pipeline.look_into_landing()
    seconds = bench.run(first.isoformat(), last.isoformat())["total"]
    bench.say("ninety", f"daily_job for 90 small days in one range run: {seconds:.1f} s", seconds)


def a_million_turns(bench: Bench, rows: int) -> None:
    """One large day from JSON lines to certified, beside the same marts by hand on the same rows and server."""
    day = "2026-06-01"
    path = bench.landing / "million.jsonl"
    _write_large_day(path, day, rows)
    index = _seconds(bench.pipeline.look_into_landing)
    ours = min((bench.run(day) for _ in range(2)), key=lambda seconds: seconds["total"])
    ours = {"index of landing": index, **ours, "total": ours["total"] + index}
    sessions_alone = floor_seconds(bench.pipeline.warehouse, bench.folder, day)
    statements = mart_statements(PipelineResource(bench.settings), day, bench.folder / "compiled")
    by_hand = min(seconds_by_hand(bench.pipeline, statements) for _ in range(2))
    floor = {
        "\\copy": sessions_alone["\\copy"],
        f"{len(statements)} marts": by_hand,
        "inserts": insert_seconds(bench.pipeline, statements),
    }
    for step, seconds in ours.items():
        print(f"       {step:<24} {seconds:6.1f} s")
    for step, seconds in floor.items():
        print(f"       floor: {step:<17} {seconds:6.1f} s")
    print(f"       floor with sessions and turns alone {sum(sessions_alone.values()):.1f} s")
    ratio = ours["total"] / sum(floor.values())
    bench.say("floor", f"{rows:,} turns, JSON lines to certified / the same marts by hand: {ratio:.2f}", ratio)
    bench.say(
        "dbt", f"dbt step / the same SQL by hand: {ours['dbt_models'] / by_hand:.2f}", ours["dbt_models"] / by_hand
    )
    checks = sum(ours[step] for step in STEPS) / ours["total"]
    bench.say("checks", f"{rows:,} turns, all checks / JSON lines to certified: {checks:.2f}", checks)


def pages_over_ten_million_sessions(bench: Bench, sessions: int) -> None:
    """What the overview asks the database, over a year of so many sessions."""
    last, days = date(2026, 6, 1), 365
    first = last - timedelta(days=days)
    day = last.isoformat()
    fresh = Bench(start=first)
    try:
        _write_large_day(fresh.landing / "day.jsonl", day, 10_000)
        fresh.pipeline.look_into_landing()
        fresh.run(day)
        fill_published(fresh.pipeline, day, first, days, sessions)
        slowest = 0.0
        for name, seconds in page_seconds(fresh.pipeline, first, last - timedelta(days=1)):
            print(f"       the overview of {name}: {1000 * seconds:.0f} ms")
            slowest = max(slowest, seconds)
        for days_shown in (1, days):
            for query, scans in page_scans(fresh.pipeline, last - timedelta(days=days_shown), last - timedelta(days=1)):
                print(f"       explain, {days_shown} day(s), {query}: {scans}")
    finally:
        fresh.close()
    bench.say("pages", f"{sessions:,} sessions in {days} days, slowest page's queries: {slowest:.3f} s", slowest)


def loading_beside_what_people_would_use(bench: Bench, rows: int) -> None:
    """Landing to raw per format, as ratios of rows per second."""
    day = "2026-06-01"
    source = bench.folder / "load.jsonl"
    _write_large_day(source, day, rows)
    fresh = Bench()
    try:
        speed, of_copy = rows_per_second(fresh.pipeline, fresh.folder, source, day, rows)
    finally:
        fresh.close()
    for name, value in speed.items():
        print(f"       {name:<24} {value:12,.0f} rows/s")
    each = ", ".join(f"{name} {ratio:.2f}" for name, ratio in of_copy.items())
    bench.say("copy", f"landing to raw / psql \\copy in the same minute: {each}", min(of_copy.values()))
    slowest = min(value for name, value in speed.items() if name.startswith("ours"))
    for name in ("dlt", "pandas.to_sql"):
        ratio = slowest / speed[name]
        bench.say(name, f"landing to raw, slowest format / {name}: {ratio:.2f}", ratio)


def memory_of_a_large_day(bench: Bench, gigabytes: float, name: str) -> None:
    """A day of so many gigabytes of JSON lines to raw, in a format, beside one of a quarter of that."""
    day, peaks = "2026-06-01", {}
    for size in (gigabytes / 4, gigabytes):
        path = bench.landing / f"large.{name}"
        lines = bench.folder / "large.jsonl"
        rows = write_gigabytes(lines, size, lambda some: _write_large_day(some, day, 200_000))
        move_as(lines, path)
        began = time.perf_counter()
        peaks[size] = peak_megabytes(bench.settings, day, rows)
        print(
            f"       {path.stat().st_size / 1e9:.2f} GB, {rows:,} turns: {peaks[size]:,.0f} MB at most, "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
        path.unlink()
    text = f"memory of a day of {gigabytes:g} GB of JSON lines, read as {name}: {peaks[gigabytes]:,.0f} MB"
    bench.say("memory", f"{text}, {peaks[gigabytes] / peaks[gigabytes / 4]:.2f} x that of a quarter", peaks[gigabytes])


def the_last_day_costs_what_the_first_did(bench: Bench, days: int) -> None:
    """The first day while nothing else is there, and the last one after all the days between were loaded."""
    first = date(2025, 1, 1)
    last = first + timedelta(days=days - 1)
    year = Bench(start=first)
    try:
        write_sample(year.landing, last, days=days)
        _mend_sample(year.landing)
        year.pipeline.look_into_landing()
        year.run(first.isoformat())
        early = statistics.median(year.run(first.isoformat())["total"] for _ in range(5))
        for chunk in ranges([(first + timedelta(days=n)).isoformat() for n in range(days)], DAYS_PER_RUN):
            year.run(chunk.first, chunk.last)
        late = statistics.median(year.run(last.isoformat())["total"] for _ in range(5))
        sizes = [_records(year.landing, day) for day in (first, last)]
        judged = _seconds(lambda: _judge_all(year, first, days))
    finally:
        year.close()
    print(f"       day 1: {early:.2f} s ({sizes[0]:,} turns), day {days}: {late:.2f} s ({sizes[1]:,} turns)")
    bench.say("history", f"day {days} / day 1: {late / early:.2f}", late / early)
    bench.say(
        "year", f"all {len(all_suites())} suites on {days} days in one range, nothing loaded: {judged:.1f} s", judged
    )


def _judge_all(bench: Bench, first: date, days: int) -> None:
    """Every suite on every day, as one range: nothing is read, loaded or built again."""
    names = [(first + timedelta(days=n)).isoformat() for n in range(days)]
    bench.pipeline.judge(all_suites(), names, Validator(bench.pipeline.warehouse.owner), "bench")


def the_world_is_quick_and_does_not_grow(bench: Bench) -> None:
    """Turns per second of one core, and peak memory with six times as many days."""
    speed = generating.speeds()["numbers -"]
    bench.say("generate", f"synthetic turns per second of one core, without files: {speed:,.0f}", speed)
    few, many = generating.memory()
    bench.say("generate-memory", f"peak memory of 24 days / 4 days: {many:,.0f} / {few:,.0f} MB", many / few)


def _records(landing: Path, day: date) -> int:
    with (landing / f"turns-{day}.jsonl").open() as lines:
        return sum(1 for _ in lines)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _mend_sample(landing: Path) -> None:
    """The sample's one bad day would stop a run that is here to be timed."""
    for path in landing.glob("turns-*.jsonl"):
        text = path.read_text()
        if '"asr_confidence": -' in text or '"asr_confidence":-' in text:
            rows = [json.loads(line) for line in text.splitlines()]
            for row in rows:
                if row.get("asr_confidence") is not None:
                    row["asr_confidence"] = 0.5
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_large_day(path: Path, day: str, rows: int) -> None:
    """Ten turns a session, the fields that a voice system usually sends, none of them the same everywhere; seeded."""
    draw = random.Random(1)
    said = [" ".join(draw.choices(_WORDS, k=draw.randrange(2, 12))) for _ in range(20_000)]
    with path.open("w") as out:
        for number in range(rows):
            session, turn = divmod(number, 10)
            minute = session % (23 * 60)
            kind, topic = _KINDS[session % len(_KINDS)], _WORDS[draw.randrange(8)]
            out.write(
                f'{{"session_id":"s{session:07}","turn_number":{turn + 1},'
                f'"timestamp":"{day}T{minute // 60:02}:{minute % 60:02}:{turn * 5:02}.{draw.randrange(1000):03}",'
                f'"user_id":"u{session % 30000}","channel":"{kind[0]}","user_type":"{kind[1]}","region":"{kind[2]}",'
                f'"language":"{kind[3]}","module":"{topic}","user_text":"{draw.choice(said)}",'
                f'"agent_text":"{draw.choice(said)}?","asr_confidence":{draw.random():.4f},'
                f'"intent":"{topic}","intent_confidence":{draw.random():.4f},"asr_ms":{draw.randrange(50, 900)},'
                f'"llm_ms":{draw.randrange(50, 900)},"tts_ms":{draw.randrange(50, 900)},'
                f'"total_ms":{draw.randrange(50, 2900)},"session_outcome":"{kind[4]}"}}\n'
            )


def main() -> None:
    """Run the chosen figures."""
    figures: dict[str, Callable[[Bench], None]] = {
        "overhead": overhead_of_a_small_day,
        "ninety": ninety_small_days,
        "floor": lambda bench: a_million_turns(bench, arguments.rows),
        "loading": lambda bench: loading_beside_what_people_would_use(bench, arguments.rows),
        "pages": lambda bench: pages_over_ten_million_sessions(bench, arguments.sessions),
        "generate": the_world_is_quick_and_does_not_grow,
        "memory": lambda bench: memory_of_a_large_day(bench, arguments.gigabytes, arguments.format),
        "history": lambda bench: the_last_day_costs_what_the_first_did(bench, arguments.days),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*figures, []], help="which figures; all by default")
    parser.add_argument("--rows", type=int, default=1_000_000, help="turns of the large day")
    parser.add_argument("--sessions", type=int, default=10_000_000, help="sessions behind the pages")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the day whose memory is measured")
    parser.add_argument("--format", choices=FORMATS, default="jsonl", help="of that day")
    parser.add_argument("--days", type=int, default=365, help="days of history")
    arguments = parser.parse_args()
    bench = Bench()
    try:
        with psycopg.connect(bench.pipeline.warehouse.owner.libpq()) as connection:
            print(f"PostgreSQL {connection.info.parameter_status('server_version')}, embedded", flush=True)
        for name in arguments.figures or figures:
            figures[name](bench)
    finally:
        bench.close()
    sys.exit(f"missed: {', '.join(bench.missed)}" if bench.missed else 0)


if __name__ == "__main__":
    main()
