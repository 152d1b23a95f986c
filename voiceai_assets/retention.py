"""Keeping to the limits: landed files and free text that are older than what the settings allow.

Belongs here: carrying it out. Does not belong here: which files and days (``automation.retention``), words (``cli``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from voiceai_assets.automation.retention import LandedFile, Retirement, limit, to_retire
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.erasure import connected, lake_days
from voiceai_assets.lake.inbox import is_list, left_aside
from voiceai_assets.lake.indexing import IndexedFile, stat_of
from voiceai_assets.lake.texts import drop_texts
from voiceai_assets.pipeline import Pipeline, is_booked
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.rotation import assert_key_of
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.calls import forget_texts, wipe_texts
from voiceai_assets.warehouse.copy import load_day

_CHANGED = "it has changed since it was looked at, and stays"


@dataclass(frozen=True)
class Plan:
    """What is older than the limits.

    Attributes:
        landing_from, texts_from: first day that is kept; None where there is no limit.
        files: landed files, and old ones that must stay.
        copies: safety copies in HOME/replaced.
        texts: days of the lake whose texts have not been taken out yet.
        unread: what to say of each file that waits for another name or for leave to read it: of which days it is nobody
            knows, so it stays, however old it is.
    """

    landing_from: str | None
    texts_from: str | None
    files: Retirement = field(default_factory=Retirement)
    copies: tuple[str, ...] = ()
    texts: tuple[LakeDay, ...] = ()
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files.gone) + len(self.copies) + len(self.texts)


def plan(pipeline: Pipeline) -> Plan:
    """Look at landing, lake and ledgers, and change nothing in them."""
    settings = pipeline.settings
    now = datetime.now(UTC)
    landing_from = limit(now, settings.source_timezone, settings.keep_landing_days)
    texts_from = limit(now, settings.source_timezone, settings.keep_text_days)
    found = Plan(landing_from, texts_from)
    if landing_from is not None:
        pipeline.look_into_landing()
        files = to_retire(_landed(pipeline), landing_from)
        unread = tuple(left_aside(settings.landing))
        found = replace(found, files=files, copies=tuple(_old_copies(pipeline, landing_from)), unread=unread)
    if texts_from is not None:
        found = replace(found, texts=tuple(_with_texts(pipeline, texts_from)))
    return found


def carry_out(pipeline: Pipeline, chosen: Plan, on_step: Callable[[str], None]) -> dict[str, str]:
    """Delete the files and take out the texts; what could not be done, with the reason. May be interrupted."""
    settings = pipeline.settings
    failed = _delete_landed(pipeline, chosen, on_step)
    for name in chosen.copies:
        on_step(name)
        (settings.home / "replaced" / name).unlink(missing_ok=True)
    with pipeline.held_key() as pseudonymise:
        for place in chosen.texts:
            on_step(f"{place.dataset} {place.day}")
            if why := _forget_texts(pipeline, place, pseudonymise):
                failed[f"{place.dataset} {place.day}"] = why
    if any(place.dataset == "calls" for place in chosen.texts):
        with pipeline.warehouse.connect(autocommit=True) as connection:
            wipe_texts(connection)
    return failed


def _delete_landed(pipeline: Pipeline, chosen: Plan, on_step: Callable[[str], None]) -> dict[str, str]:
    """Delete the files that still are what was looked at; why not, for the others and for those that feed their days.

    A file may have been landed again since, and nothing of the new one was loaded: it is held against the index here,
    as it was for the plan, and once more before it goes.
    """
    if not chosen.files.gone or chosen.landing_from is None:
        return {}
    landing, store = pipeline.settings.landing, pipeline.landing_store
    if store:
        store.pull()
    indexed = {file.path: file for file in pipeline.files()}
    found = to_retire(_landed(pipeline), chosen.landing_from)
    here = {path for path in chosen.files.gone if (landing / path).exists()}
    failed = {path: found.kept.get(path, _CHANGED) for path in sorted(here.difference(found.gone))}
    gone = [path for path in chosen.files.gone if path not in failed]
    with pipeline.warehouse.connect() as connection:
        ledger.retire_files(connection, gone)
    for path in gone:
        on_step(path)
        try:
            if path in indexed and not _is_as_indexed(landing, indexed[path]):
                failed[path] = _CHANGED
                continue
            (landing / path).unlink(missing_ok=True)
            if store:
                store.push([landing / path])
        except OSError as error:
            failed[path] = str(error)
    return failed


def _is_as_indexed(landing: Path, file: IndexedFile) -> bool:
    """Whether the file is the one that was looked into, or is no more."""
    try:
        return stat_of(landing, file.path) == file.stat
    except FileNotFoundError:
        return True


def _forget_texts(pipeline: Pipeline, place: LakeDay, pseudonymise: Pseudonymiser) -> str | None:
    """Rewrite the day in the lake and load it from there; why not, where it could not be done.

    Loading replaces the table's file, in which a row that was only updated would leave its text. The load id stays: it
    names what the rows were made from, no check and no published mart reads text, and what was read out of calls stays.
    """
    if store := pipeline.lake_store:
        store.fetch(place.paths)
    if place.account.exists():
        with connected(pipeline.settings.lake / ".spill") as db:
            drop_texts(place, db)
        if store := pipeline.lake_store:
            store.push(place.paths)
    with pipeline.warehouse.connect() as connection:
        if place.dataset == "calls":
            forget_texts(connection, place.day)
        live = ledger.live_load_id(connection, place.dataset, place.day)
        account = place.read_account() if place.account.exists() else None
        if live is not None and (account is None or account.load_id != live):
            return f"the lake does not hold it as it is loaded; voiceai materialize --from {place.day}"
        if live is not None and account is not None:
            assert_key_of(account, pseudonymise)
            load_day(connection, pipeline.settings.lake, account)
            ledger.mark_without_texts(connection, place.dataset, place.day)
    return None


def _with_texts(pipeline: Pipeline, first_kept: str) -> list[LakeDay]:
    """Old days of the lake, but for those that were loaded without their texts."""
    with pipeline.warehouse.connect() as connection:
        loaded = ledger.old_loads(connection, first_kept)
    lake = pipeline.settings.lake
    unfinished = {LakeDay(lake, dataset, day) for dataset, day, is_done in loaded if not is_done}
    finished = {LakeDay(lake, dataset, day) for dataset, day, is_done in loaded if is_done}
    found = unfinished | {place for place in lake_days(lake) if place.day < first_kept and place not in finished}
    return sorted(found, key=lambda place: (place.day, place.dataset))


def _landed(pipeline: Pipeline) -> list[LandedFile]:
    with pipeline.warehouse.connect() as connection:
        booked = ledger.booked_files(connection)
    expected, loaded = pipeline.input_fingerprints(), pipeline.loaded_fingerprints()
    return [
        LandedFile(
            path=f.path,
            days=f.days,
            arrived=_day_of(f.mtime_ns / 1e9),
            is_loaded=_is_as_indexed(pipeline.settings.landing, f)
            and all(expected[day] == loaded.get(day) and is_booked(f, day, booked) for day in f.days),
            companions=frozenset(f.companions),
            is_list=is_list(f.path),
        )
        for f in pipeline.files()
        if _is_there(pipeline, f)
    ]


def _is_there(pipeline: Pipeline, file: IndexedFile) -> bool:
    return (pipeline.settings.landing / file.path).exists()


def _old_copies(pipeline: Pipeline, first_kept: str) -> list[str]:
    """Safety copies of mended files; they keep the time stamp of the file they were."""
    folder = pipeline.settings.home / "replaced"
    return sorted(
        path.name for path in folder.glob("*") if path.is_file() and _day_of(path.stat().st_mtime) < first_kept
    )


def _day_of(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).date().isoformat()
