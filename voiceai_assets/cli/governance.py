"""``voiceai verify``, ``trace`` and ``report``: evidence as a person reads it, or as JSON.

Belongs here: words, trees, tables, bars, exit status. Does not belong here: the evidence (``governance``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.tree import Tree

from voiceai_assets.governance.findings import Finding
from voiceai_assets.governance.reporting import make_report, period
from voiceai_assets.governance.trace import UntraceableError, trace_file, trace_number, trace_session
from voiceai_assets.governance.verify import head_of_chain, known_days, verify
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.runs import terminal_output_to

_DIFFERS = 2
_SHA_SHOWN = 16


def verify_days(
    pipeline: Pipeline,
    days: Sequence[date],
    console: Console,
    *,
    is_quick: bool,
    head: str | None,
    as_json: bool,
) -> int:
    """Compute again what was certified and print what differs; returns the exit status."""
    known = known_days(pipeline)
    wanted = [day.isoformat() for day in days] or known
    if unknown := sorted(set(wanted) - set(known)):
        console.print(f"nothing is loaded or published of {', '.join(unknown)}")
        return 1
    found = _with_bar(pipeline, wanted, console, is_quick=is_quick, head=head)
    with pipeline.warehouse.connect() as connection:
        end = head_of_chain(connection)
    differences = [f for f in found if f.is_difference]
    if as_json:
        document = {"days": wanted, "is_quick": is_quick, "chain_head": end, "findings": [f.as_dict() for f in found]}
        console.print_json(json.dumps(document))
        return _DIFFERS if differences else 0
    _print(found, console)
    span = wanted[0] if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}" if wanted else "no day"
    what = "checksums and ledgers" if is_quick else "files, lake, raw, marts, published rows, ledgers and certificates"
    if differences:
        days_hit = sorted({f.day for f in differences if f.day})
        console.print(f"[red]{len(differences)} difference(s)[/] on {', '.join(days_hit) or 'no single day'}")
        console.print("next: restore what was changed, or run the days again: voiceai materialize --from DAY")
    else:
        console.print(f"[green]all is as certified[/]: {what} of {len(wanted)} day(s), {span}")
    if end:
        console.print(f"end of the chain: {end} (note it elsewhere; --head checks it later)")
    return _DIFFERS if differences else 0


def _with_bar(
    pipeline: Pipeline, days: list[str], console: Console, *, is_quick: bool, head: str | None
) -> list[Finding]:
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("chain", total=1 + len(days) * (1 if is_quick else 2) + (0 if is_quick else 1))

        def on_step(what: str, day: str) -> None:
            progress.update(task, advance=1, description=f"{what} {day}")

        with terminal_output_to(pipeline.settings.home / "logs" / "verify.log"):  # dbt's own lines
            return verify(pipeline, days, on_step, is_quick=is_quick, head=head)


def _print(found: Sequence[Finding], console: Console) -> None:
    for finding in sorted(found, key=lambda f: (not f.is_difference, f.day or "", f.place)):
        mark = "[red]differs[/]" if finding.is_difference else "[dim]remark [/]"
        console.print(f"{mark} {finding.day or 'all days':<10} {escape(finding.place)}: {escape(finding.text)}")


# -- trace -------------------------------------------------------------------------------------------------------------


def trace_a_number(
    pipeline: Pipeline, mart: str, day: date, metric: str | None, console: Console, errors: Console, *, as_json: bool
) -> int:
    """Follow a number to its files; returns the exit status."""
    return _trace(
        pipeline, lambda c: trace_number(c, mart, day.isoformat(), metric), _number_tree, console, errors, as_json
    )


def trace_a_file(pipeline: Pipeline, path: str, console: Console, errors: Console, *, as_json: bool) -> int:
    """Say everything that a file touches; returns the exit status."""
    landing = pipeline.settings.landing
    return _trace(pipeline, lambda c: trace_file(c, path, landing), _file_tree, console, errors, as_json)


def trace_a_session(pipeline: Pipeline, session_id: str, console: Console, errors: Console, *, as_json: bool) -> int:
    """File and line of each turn of a session; returns the exit status."""
    return _trace(pipeline, lambda c: trace_session(c, session_id), _session_lines, console, errors, as_json)


def _trace(
    pipeline: Pipeline,
    find: Callable[[psycopg.Connection[Any]], Any],
    draw: Callable[[Any], RenderableType],
    console: Console,
    errors: Console,
    as_json: bool,
) -> int:
    try:
        with pipeline.warehouse.connect() as connection:
            found = find(connection)
    except UntraceableError as error:
        errors.print(f"[red]error:[/] {escape(str(error))}")
        return 1
    if as_json:
        console.print_json(json.dumps(found, default=str))
    else:
        console.print(draw(found))
    return 0


def _session_lines(found: Sequence[dict[str, Any]]) -> str:
    return "\n".join(
        f"{row['day']} turn {row['turn_number']}: {escape(row['file'])} line {row['line']}" for row in found
    )


def _number_tree(found: dict[str, Any]) -> Tree:
    version, certificate, checks = found["version"], found["certificate"], found["checks"]
    live = "live" if version["is_live"] else "withdrawn, no longer visible"
    tree = Tree(f"[bold]certified.{found['mart']}[/] of {found['day']}, version {version['version']} ({live})")
    tree.add(f"{version['row_count']:,} row(s), content {version['content_sha256'][:_SHA_SHOWN]}, "
             f"published {version['published_at']:%Y-%m-%d %H:%M} UTC, {found['versions']} version(s)")  # fmt: skip
    if found["figures"]:
        numbers = tree.add("figures")
        for f in found["figures"]:
            value = "no value" if f["value"] is None else f"{f['value']:.6g}"
            fraction = f"{_plain(f['numerator'])} / {_plain(f['denominator'])}"
            number = numbers.add(
                f"{f['metric']} v{f['metric_version']} = [bold]{value}[/] ({fraction}). {f['definition']}"
            )
            for why in f["withheld"]:
                number.add(
                    f"[yellow]withheld on pages[/]: over all days, {why['ways']} ways of computing {why['kpi']} of "
                    f"{escape(why['source'])} give {why['lowest']:.6g} to {why['highest']:.6g}"
                )
    code = certificate["code"] or {}
    branch = tree.add(f"certificate {certificate['certificate_id'][:_SHA_SHOWN]}: {certificate['status']}")
    branch.add(f"chain {certificate['chain_sha256'][:_SHA_SHOWN]}, code {str(code.get('revision'))[:_SHA_SHOWN]}, "
               f"packages {str(code.get('lock'))[:_SHA_SHOWN]}")  # fmt: skip
    results = branch.add(f"{checks['passed']} of {checks['total']} check(s) passed: {', '.join(checks['suites'])}")
    for warning in certificate["warnings"] or []:
        results.add(f"[yellow]{escape(warning['text'])}[/] [{escape(warning['check'])}]")
    for load in found["loads"]:
        _add_load(branch, load)
    if found["neighbours"]:
        tree.add(f"shares sessions with {', '.join(found['neighbours'])}: trace those days, too")
    return tree


def _plain(number: Any) -> str:
    return f"{number:,f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:,}"


def _add_load(branch: Tree, load: dict[str, Any]) -> None:
    account = (f"{load['rows_in']:,} in = {load['rows_loaded']:,} loaded + {load['rows_quarantined']:,} quarantined "
               f"+ {load['rows_duplicate']:,} repeated")  # fmt: skip
    node = branch.add(f"load {load['load_id']} of {load['dataset']}: {account}")
    for file in load["files"]:
        leaf = node.add(f"landing/{escape(file['file'])}  sha256 {file['sha256']}, "
                        f"{file.get('rows_in', 0):,} record(s)")  # fmt: skip
        if refused := file["refused"]:
            lines = ", ".join(map(str, refused["lines"]))
            more = refused["records"] - len(refused["lines"])
            leaf.add(f"refused: line {lines}{f' and {more:,} more' if more > 0 else ''} "
                     f"({', '.join(refused['reasons'])})")  # fmt: skip


def _file_tree(found: dict[str, Any]) -> Tree:
    tree = Tree(f"[bold]landing/{escape(', '.join(found['files']))}[/]")
    by_day: dict[str, list[dict[str, Any]]] = {}
    for row in found["published"]:
        by_day.setdefault(row["day"], []).append(row)
    for load in found["loads"]:
        now = "loaded now" if load["is_live"] else "loaded before"
        rows = "" if load["rows_in"] is None else f", {load['rows_in']:,} record(s), {load['rows_loaded']:,} loaded"
        tree.add(
            f"{load['day']} {load['dataset']} load {load['load_id']} ({now}), "
            f"sha256 {load['sha256'][:_SHA_SHOWN]}{rows}"
        )
    for day, published in by_day.items():
        node = tree.add(f"{day}: {len({row['mart'] for row in published})} mart(s)")
        for row in published:
            live = "live" if row["is_live"] else "replaced or withdrawn"
            node.add(f"certified.{row['mart']} version {row['version']} ({live}), "
                     f"certificate {row['certificate_id'][:_SHA_SHOWN]}")  # fmt: skip
    if not by_day:
        tree.add("nothing of it was ever published")
    for name in ("views", "exposures", "metrics", "neighbours"):
        if found[name]:
            tree.add(f"{name}: {', '.join(found[name])}")
    return tree


# -- report ------------------------------------------------------------------------------------------------------------


def write_report(
    pipeline: Pipeline, first: date | None, last: date | None, out: Path | None, console: Console, *, with_docs: bool
) -> int:
    """Write the report of some days; returns the exit status."""
    span = period(pipeline, first, last)
    if span is None:
        console.print("no day is known yet; `voiceai land FOLDER` brings files")
        return 1
    with console.status(f"reading {span[0]} to {span[1]}"):
        report, paths = make_report(pipeline, *span, out, with_docs=with_docs)
    covered = report.coverage
    console.print(
        f"{covered['certified_days']} of {covered['known_days']} known day(s) certified, {span[0]} to {span[1]}"
    )
    for day in report.open_days:
        console.print(f"[red]{day['day']} {day['status']}[/]: {escape(day['why'])}. To do: {escape(day['what_next'])}")
    for name, path in paths.items():
        console.print(f"{name}: {path}")
    return 0
