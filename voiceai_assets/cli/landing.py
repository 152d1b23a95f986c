"""``voiceai land``: copy files into landing so that a reader never sees half of one."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.lake.inbox import is_left_out
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.naming import draft_name, landing_name
from voiceai_assets.partitions import first_day, remember_first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.pseudonyms import Pseudonymiser


def land_files(pipeline: Pipeline, paths: list[Path], adapter: str, console: Console, errors: Console) -> int:
    """Copy, index, and say which days are touched; returns the exit status."""
    if adapter not in ADAPTERS:
        errors.print(f"[red]error:[/] no adapter {adapter!r}; there is {', '.join(sorted(ADAPTERS))}")
        return 1
    if missing := [path for path in paths if not (path.is_file() or path.is_dir())]:
        errors.print(f"[red]error:[/] {', '.join(map(str, missing))} does not exist, or is no file and no folder")
        return 1
    folder = pipeline.settings.landing / adapter
    with pipeline.held_key() as pseudonymise:
        plan = list(_plan(paths, folder, pseudonymise))
    if unfinished := [source for source, goal in plan if any(map(is_left_out, goal.relative_to(folder).parts))]:
        names = ", ".join(map(str, unfinished[:5]))
        errors.print(f"[red]error:[/] {names}: hidden and half-written files are never read; give other names")
        return 1
    clashes = _clashes(plan)
    if clashes:
        errors.print(f"[red]error:[/] several files would land under one name: {', '.join(sorted(clashes)[:5])}")
        return 1
    if store := pipeline.landing_store:
        store.pull()  # what others uploaded meanwhile would be replaced unseen
    before = {file.path: file.days for file in pipeline.files()}
    replaced = [(goal, goal.relative_to(pipeline.settings.landing).as_posix()) for goal in _copy(plan, console)]
    _print_replaced({goal.relative_to(folder).as_posix(): before.get(path, ()) for goal, path in replaced}, errors)
    if store:
        store.push(goal for _, goal in plan)
    found = pipeline.look_into_landing(quiet_seconds=0)
    remember_first_day(pipeline.settings, found.home_days)
    for problem in found.problems():
        errors.print(f"[yellow]not read:[/] {escape(problem)}")
    days = sorted({day for file in found.fresh for day in file.days})
    records = sum(file.records for file in found.fresh)
    if not found.fresh:
        left_aside = {goal.relative_to(pipeline.settings.landing).as_posix() for _, goal in plan} - before.keys()
        if not left_aside:
            console.print(
                f"nothing new: all {len(plan)} file(s) had landed before" if plan else "there is no file in it"
            )
        return 1 if left_aside else 0
    console.print(f"landed {len(found.fresh)} file(s), {records:,} records, {len(days)} day(s)")
    former = {day for file in found.fresh for day in before.get(file.path, ())}
    _print_days(pipeline, days, former, console, errors)
    return 1 if found.problems() else 0


def _print_days(
    pipeline: Pipeline, days: Collection[str], former: Collection[str], console: Console, errors: Console
) -> None:
    """What to run next, for days that files hold now or held before, and which cannot be run."""
    start, end = first_day(pipeline.settings).isoformat(), today(pipeline.settings).isoformat()
    if outside := [day for day in days if not start <= day <= end]:
        errors.print(
            f"[yellow]outside the partitions ({start} to {end}):[/] {', '.join(outside[:10])}; "
            "kept in landing, not run. VOICEAI_START_DATE moves the start."
        )
    if inside := sorted(day for day in {*days, *former} if start <= day <= end):
        console.print(f"next: voiceai materialize --from {inside[0]} --to {inside[-1]}")


def _print_replaced(replaced: Mapping[str, Collection[str]], errors: Console) -> None:
    """Name the files, by their names now, that others took the place of, and the days that they held."""
    if not replaced:
        return
    held = {day for days in replaced.values() for day in days}
    what = f"that held {some_of(held, 10)}" if held else "that nobody had looked into"
    errors.print(f"[yellow]replaced {len(replaced)} file(s) {what}:[/] {escape(some_of(replaced, 5))}")


def some_of(names: Collection[str], most: int) -> str:
    """The first names in their order, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more


def _plan(paths: Iterable[Path], target: Path, pseudonymise: Pseudonymiser) -> Iterator[tuple[Path, Path]]:
    """Each file and where it goes; what is somebody's in a name does not go with it."""
    for path in paths:
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(path))):
                yield file, target / landing_name(file.relative_to(path).as_posix(), pseudonymise)
        else:
            yield path, target / landing_name(path.name, pseudonymise)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _clashes(plan: list[tuple[Path, Path]]) -> set[str]:
    seen: dict[Path, Path] = {}
    return {str(goal.name) for source, goal in plan if seen.setdefault(goal, source) != source}


def _copy(plan: list[tuple[Path, Path]], console: Console) -> list[Path]:
    """Copy under a hidden name, then rename: a sensor that looks meanwhile sees the whole file or none.

    Returns the goals where another file lay.
    """
    replaced = []
    total = sum(source.stat().st_size for source, _ in plan)
    columns = (TextColumn("landing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("landing", total=total)
        for source, goal in plan:
            size = source.stat().st_size
            if not _is_same(source, goal):
                replaced += [goal] * goal.exists()
                goal.parent.mkdir(parents=True, exist_ok=True)
                draft = goal.with_name(draft_name(goal.name, "landing"))
                try:
                    shutil.copy2(source, draft)
                    draft.replace(goal)
                finally:
                    draft.unlink(missing_ok=True)
            progress.advance(task, size)
    return replaced


def _is_same(source: Path, goal: Path) -> bool:
    if not goal.exists() or goal.stat().st_size != source.stat().st_size:
        return False
    return source.samefile(goal) or sha256_of(source) == sha256_of(goal)
