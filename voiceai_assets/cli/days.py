"""``voiceai materialize`` and ``voiceai status``: days in, a table out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from voiceai_assets.automation.planning import DayRange, ranges
from voiceai_assets.cli.landing import some_of
from voiceai_assets.cli.privacy import print_late_files
from voiceai_assets.governance.standing import Standing, standing
from voiceai_assets.lake.inbox import listed, unread
from voiceai_assets.lake.indexing import FileStat
from voiceai_assets.lake.naming import without_persons
from voiceai_assets.partitions import first_day, remember_first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse import ledger

_DAYS_NAMED = 3
_FILES_NAMED = 5
_COLOURS = {
    "certified": "green",
    "certified with warnings": "green",
    "blocked": "red",
    "stale": "yellow",
    "not certified": "yellow",
    "not loaded": "dim",
}


def materialize_days(pipeline: Pipeline, first: date, last: date, console: Console, errors: Console) -> int:
    """Run the days and show what became of them; returns the exit status."""
    if first > last:
        errors.print(f"[red]error:[/] --from {first} lies after --to {last}")
        return 1
    if first < first_day(pipeline.settings):  # something else may have put older files into landing
        with console.status("looking into landing"):
            found = pipeline.look_into_landing()
        remember_first_day(pipeline.settings, found.home_days)
    start, end = first_day(pipeline.settings), today(pipeline.settings)
    if first < start or last > end:
        errors.print(
            f"[red]error:[/] days run from {start} to {end} (today); {first} to {last} is not all inside. "
            "Landing older files, or VOICEAI_START_DATE, moves the start."
        )
        return 1
    days = DayRange(first.isoformat(), last.isoformat()).days
    success, failures = run_with_bar(pipeline, days, console)
    blocked = show_status(pipeline, first, last, console)
    if success:
        return blocked
    log = pipeline.settings.home / "logs" / "runs.log"
    for failure in failures:
        errors.print(f"[red]failed:[/] {escape(failure)}\nThe whole log: {log}")
    return blocked if blocked and not failures else 1


def run_with_bar(pipeline: Pipeline, days: list[str], console: Console) -> tuple[bool, tuple[str, ...]]:
    """Run days under a progress bar."""
    # Dagster, dbt, Great Expectations: seconds of import that a table of days does not need
    from voiceai_assets.checks.asset_checks import STEPS
    from voiceai_assets.runs import run_days

    steps = 5 + len(STEPS)  # read, load, calls, dbt, publish, and the checks of both stages
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=steps * len(days))
        outcome = run_days(
            pipeline, days, lambda step, day: progress.update(task, advance=1, description=f"{step} {day}")
        )
    return outcome.success, outcome.failures


def show_status(pipeline: Pipeline, first: date | None, last: date | None, console: Console) -> int:
    """Print the table; 2 when some day is not certified, else 0."""
    with pipeline.warehouse.connect() as connection:
        found = ledger.rows(
            connection,
            "select * from governance.day_status where (%s::date is null or day >= %s) "
            "and (%s::date is null or day <= %s) order by day",
            [first, first, last, last],
        )
        checks = _checks(connection)
        health = standing(connection)
        unreadable = ledger.rows(
            connection, "select path, problem from governance.landing_files where problem is not null order by path"
        )
    if not found:
        console.print("no day is known yet; `voiceai land FOLDER` brings files, `voiceai up` starts with a sample")
    else:
        console.print(_table(found, checks))
        inside, outside = _by_partitions(found, pipeline)
        for days in _of_one_kind(inside):
            if why := _why(days):
                console.print(f"{_span(days)} [{_colour(days[0])}]{days[0]['status']}[/]: {escape(why)}")
        if outside:
            span = f"{first_day(pipeline.settings)} to {today(pipeline.settings)}"
            console.print(
                f"[yellow]outside the partitions ({span}):[/] {_span(outside)}; kept in landing, not run. "
                "VOICEAI_START_DATE moves the start."
            )
        _print_totals(found, console)
        _print_health(health, console)
    print_late_files(pipeline, console)
    for file in unreadable:
        console.print(f"[yellow]not read:[/] {escape(file['path'])}: {escape(file['problem'])}")
    present, aside = listed(pipeline.settings.landing)
    for problem in aside.said:
        console.print(f"[yellow]not read:[/] {escape(problem)}")
    _print_unread(pipeline, unread(present, {file.path: file for file in pipeline.files()}), console)
    return 0 if all(str(row["status"]).startswith("certified") for row in found) else 2


def _print_unread(pipeline: Pipeline, files: Iterable[FileStat], console: Console) -> None:
    """Name, in one line, the files that the next look into landing is about; a day may be certified without them."""
    settings, now = pipeline.settings, time.time()
    young = f"younger than {settings.quiet_seconds:g} s (VOICEAI_QUIET_SECONDS)"
    others = "that nobody has looked into as they are now"
    kinds: dict[str, list[str]] = {young: [], others: []}
    for stat in files:
        why = others if stat.is_quiet(now, settings.quiet_seconds) else young
        kinds[why].append(without_persons(stat.path))
    said = [f"{len(names)} file(s) {why}: {some_of(names, _FILES_NAMED)}" for why, names in kinds.items() if names]
    if said:
        what = escape("; ".join(said))
        console.print(f"[yellow]not read yet:[/] {what}. The sensor and voiceai materialize look again")


def _by_partitions(found: list[dict[str, Any]], pipeline: Pipeline) -> tuple[list[dict[str, Any]], ...]:
    """Days that a run can be about, and days that wait for other partitions; what was run once is told as ever."""
    start, end = first_day(pipeline.settings), today(pipeline.settings)
    waits = [row["status"] == "not loaded" and not start <= row["day"] <= end for row in found]
    return tuple([row for row, is_outside in zip(found, waits, strict=True) if is_outside is s] for s in (False, True))


def _table(found: list[dict[str, Any]], checks: dict[date, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("day", no_wrap=True)
    for name in ("landed", "loaded", "refused", "repeats", "checks"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("certificate", no_wrap=True)
    for row in found:
        counts = (row["landed_records"], row["rows_loaded"], row["rows_quarantined"], row["rows_duplicate"])
        table.add_row(
            str(row["day"]),
            *(f"{count:,}" for count in counts),
            checks.get(row["day"], ""),
            f"[{_colour(row)}]{row['status']}[/]",
            f"v{row['version']} {row['certificate_id'][:12]}" if row["certificate_id"] else "",
        )
    return table


def _colour(row: dict[str, Any]) -> str:
    return _COLOURS.get(str(row["status"]), "yellow")


def _of_one_kind(found: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Days with the same status and first reason, together; what blocks comes last, where the eye is."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found:
        reason = row["stale_because"] if row["status"] == "stale" else (row["reasons"] or [{"check": ""}])[0]["check"]
        kinds.setdefault((str(row["status"]), str(reason)), []).append(row)
    parts = [(status, days) for (status, _), of_kind in kinds.items() for days in _runnable(status, of_kind)]
    return [days for _, days in sorted(parts, key=lambda part: part[0] == "blocked")]


def _runnable(status: str, rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Days that wait to be run are named as the ranges that a command can run."""
    if status not in {"stale", "not loaded"}:
        return [rows]
    by_day = {str(row["day"]): row for row in rows}
    return [[by_day[day] for day in found.days] for found in ranges(by_day, longest=len(by_day))]


def _span(days: list[dict[str, Any]]) -> str:
    if len(days) <= _DAYS_NAMED:
        return ", ".join(str(row["day"]) for row in days)
    return f"{len(days)} days from {days[0]['day']} to {days[-1]['day']}"


def _why(days: list[dict[str, Any]]) -> str:
    """What days of one kind wait for; what was observed is that of the first."""
    row, status = days[0], str(days[0]["status"])
    run = f"voiceai materialize --from {row['day']}" + (f" --to {days[-1]['day']}" if len(days) > 1 else "")
    if status == "stale":
        return f"{row['stale_because']}; {run}"
    if status == "not loaded":
        return run
    reasons = row["reasons"]
    if status == "certified" or not reasons:
        return ""
    more = f" (+{len(reasons) - 1} more)" if len(reasons) > 1 else ""
    first = f"on {row['day']}, " if len(days) > 1 else ""
    return f"{first}{reasons[0]['text']} [{reasons[0]['check']}]. What next: {reasons[0]['mend']}{more}"


def _checks(connection: ledger.Connection) -> dict[date, str]:
    counted = ledger.rows(
        connection,
        "select r.day, count(*) filter (where r.status = 'passed') as passed, count(*) as total "
        "from governance.quality_results r join governance.loads l "
        "on l.day = r.day and l.load_id = r.load_id and l.is_live group by r.day",
    )
    return {row["day"]: f"{row['passed']}/{row['total']}" for row in counted}


def _print_health(health: Sequence[Standing], console: Console) -> None:
    """What must hold of the whole installation, in one line; what does not, in one more each."""
    held = sum(found.holds for found in health)
    console.print(f"health: {held} of {len(health)} standing checks hold")
    for found in health:
        if not found.holds:
            console.print(f"  [yellow]{found.name.replace('_', ' ')}[/]: {escape(found.summary)}. {escape(found.mend)}")


def _print_totals(found: list[dict[str, Any]], console: Console) -> None:
    counts: dict[str, int] = {}
    for row in found:
        counts[str(row["status"])] = counts.get(str(row["status"]), 0) + 1
    console.print(", ".join(f"{n} {status}" for status, n in sorted(counts.items())))
