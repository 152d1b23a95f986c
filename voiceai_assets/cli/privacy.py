"""``voiceai erase``, ``retain`` and ``rotate-key``: what will go, what went, and what was found afterwards.

Belongs here: words, tables, bars. Does not belong here: the work (``erasing``, ``retention``, ``rotation``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from voiceai_assets import erasing, retention, rotation
from voiceai_assets.lake.naming import without_persons
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.pseudonyms import LATER_KEYS_FILE
from voiceai_assets.privacy.tombstones import is_telling

_SHOWN = 10


def erase(
    pipeline: Pipeline, identifier: str, console: Console, errors: Console, may_go_on: Callable[[str], bool]
) -> int:
    """Forget a person; returns the exit status: 0 nothing is left, 1 something is, or it was not confirmed."""
    identifier = identifier.strip()
    if not identifier:
        errors.print("[red]error:[/] --user is empty; name the ID as the source writes it")
        return 1
    try:
        with _bar(console) as listen:
            chosen = erasing.plan(pipeline, identifier, listen)
    except OSError as error:  # whoever must see everything stops at what is closed to us
        errors.print(f"[red]error:[/] landing cannot be searched whole: {_shown(error.strerror or str(error))}")
        return 1
    _describe(chosen, console)
    report = erasing.Report()
    if not chosen.is_empty:
        if not may_go_on("This cannot be undone. Go on?"):
            console.print("nothing was changed")
            return 1
        with _bar(console) as listen:
            report = erasing.carry_out(pipeline, chosen, listen)
    with _bar(console) as listen:
        erasing.look_for_residue(pipeline, chosen, report, listen)
    _print_report(chosen, report, console, errors)
    return 0 if report.is_clean else 1


def _describe(chosen: erasing.Plan, console: Console) -> None:
    if chosen.is_empty:
        console.print("nothing is left of this person; looking again, to be sure")
        return
    if not chosen.records and not any(chosen.stored):
        console.print("[yellow]no record names this ID[/]; check the spelling. It will be refused if it ever comes.")
    table = Table("dataset", "records", box=None, pad_edge=False, header_style="bold")
    for dataset, count in chosen.records.items():
        table.add_row(dataset, f"{count:,}")
    if chosen.records:
        console.print(table)
    console.print(
        f"{len(chosen.landing):,} landed file(s), {len(chosen.sessions):,} session(s); "
        f"{len(chosen.days):,} day(s) will be run again"
    )
    if chosen.shared:
        console.print(
            f"[yellow]{len(chosen.shared):,} session(s) are shared with somebody else:[/] they stay, without the "
            "records that name this person"
        )


def _print_report(chosen: erasing.Plan, report: erasing.Report, console: Console, errors: Console) -> None:
    for path, why in report.failed.items():
        errors.print(f"[red]not removed from[/] {_shown(path)}: {_shown(why)}")
    for day, why in report.uncertified.items():
        console.print(f"[yellow]not certified now:[/] {day} {escape(why)}")
    table = Table("searched", "found", box=None, pad_edge=False, header_style="bold")
    for place, found in report.residue.items():
        table.add_row(place, f"[red]{len(found):,}[/]" if found else "[green]nothing[/]")
    console.print(table)
    for place, found in report.residue.items():
        for what, how in list(found.items())[:_SHOWN]:
            errors.print(f"[red]left in {place}:[/] {_shown(what)}: {escape(how)}")
        if len(found) > _SHOWN:
            errors.print(f"... and {len(found) - _SHOWN:,} more in {place}")
    if not is_telling(chosen.identifier):
        console.print("the ID is too short to be told from other words in texts: it was looked for by field only")
    if chosen.mentioned:
        console.print(
            f"{len(chosen.mentioned):,} session id(s) stand in records that name somebody else; those records stay"
        )
    if report.is_clean:
        console.print("[green]forgotten[/]; models learn of it when they are trained again: voiceai train")
    else:
        errors.print("[red]not everything could be removed;[/] see above, then run the same command again")


def retain(pipeline: Pipeline, console: Console, errors: Console, *, is_rehearsal: bool) -> int:
    """Keep to the limits; returns the exit status: 1 when something could not be done."""
    with console.status("looking at landing and lake"):
        chosen = retention.plan(pipeline)
    if chosen.landing_from is None and chosen.texts_from is None:
        console.print("no limit is set; VOICEAI_KEEP_LANDING_DAYS and VOICEAI_KEEP_TEXT_DAYS are")
        return 0
    _print_plan(chosen, console)
    print_late_files(pipeline, console)
    if is_rehearsal or not len(chosen):
        console.print("nothing was changed")
        return 0
    with _counted(console, len(chosen)) as on_step:
        failed = retention.carry_out(pipeline, chosen, on_step)
    for what, why in failed.items():
        errors.print(f"[red]not done:[/] {escape(what)}: {escape(why)}")
    console.print(f"done: {len(chosen) - len(failed):,} of {len(chosen):,}")
    return 1 if failed else 0


def rotate_key(pipeline: Pipeline, console: Console) -> int:
    """Re-key everything; returns the exit status, which is 0 unless it raises."""
    with _bar(console) as listen:
        report = rotation.rotate(pipeline.settings, pipeline.warehouse, listen)
    if report.figures is None:
        console.print(
            f"[green]completed[/] the rotation that was interrupted: key {report.new_key_id} holds everywhere"
        )
        return 0
    table = Table("table", "rows renamed", box=None, pad_edge=False, header_style="bold")
    for name, count in report.figures.changed.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    console.print(
        f"{report.figures.people:,} pseudonym(s), {report.lake_days:,} day(s) of the lake, "
        f"{len(report.figures.certificates):,} certificate(s) issued anew"
    )
    console.print(
        f"[green]rotated[/]: {report.old_key_id} to {report.new_key_id}; exports made before cannot be joined to "
        f"what is made from now on. Keep a copy of {pipeline.settings.home / LATER_KEYS_FILE}"
    )
    return 0


def _print_plan(chosen: retention.Plan, console: Console) -> None:
    table = Table("what", "kept from", "goes", "first", box=None, pad_edge=False, header_style="bold")
    texts = [f"{place.dataset} {place.day}" for place in chosen.texts]
    rows = (
        ("landed files", chosen.landing_from, chosen.files.gone),
        ("safety copies", chosen.landing_from, chosen.copies),
        ("texts of a day", chosen.texts_from, texts),
    )
    for what, first, gone in rows:
        if first is not None:
            table.add_row(what, first, f"{len(gone):,}", escape(gone[0]) if gone else "")
    console.print(table)
    for path, why in list(chosen.files.kept.items())[:_SHOWN]:
        console.print(f"[yellow]old, and stays:[/] {escape(path)}: {escape(why)}")
    if len(chosen.files.kept) > _SHOWN:
        console.print(f"... and {len(chosen.files.kept) - _SHOWN:,} more old files that stay")
    for problem in chosen.unread:
        console.print(f"[yellow]never read, and stays:[/] {escape(problem)}")


def print_late_files(pipeline: Pipeline, console: Console) -> None:
    """Name the files that came too late for some of their days."""
    for path, days in pipeline.late_files().items():
        console.print(
            f"[yellow]not read for {', '.join(days[:_SHOWN])}:[/] {escape(path)} came after retention deleted the "
            "other files of the day; land all of them again, or delete it"
        )


def _shown(path: str) -> str:
    """A file below landing may have somebody's number in its name, and waits there for another name."""
    return escape(without_persons(path))


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, str], None]]:
    """How far a phase is; how many things it has is not always known, so the bar may only move."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda phase, what: progress.update(task, advance=1, description=f"{phase}: {_shown(what)[-60:]}")


@contextmanager
def _counted(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=total)
        yield lambda what: progress.update(task, advance=1, description=escape(what)[-60:])
