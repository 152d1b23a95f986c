"""Changes that an object store has before its local copy has them, and that are whole or can be completed.

Belongs here: the order of things. Does not belong here: the store (``remote``), what is changed.

In the other order a push that fails, or a kill before it, leaves a local file that looks done beside an object that is
not: the object has not changed, so no pull brings it again, and whoever looks at the local copy finds nothing to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.account import LakeDay, are_rows_of
from voiceai_assets.lake.remote import Remote

#: Folder in the local copy where files lie until the store has them; hidden, so nobody reads or pushes it.
_STAGE = ".changing"


def change_file(folder: Path, name: str, store: Remote | None, change: Callable[[Path], object]) -> None:
    """Change one file of a folder, or delete it, and its object with it; a failure leaves the file as it was.

    Args:
        folder: landing or the lake.
        name: of the file, below the folder.
        store: that the folder is a copy of; None where it is none, and the file itself is changed.
        change: gets the path at which it changes or deletes the file.

    Raises:
        StoreError: when the store refuses. It may have the new object none the less; the next pull brings it.
    """
    if store is None:
        change(folder / name)
        return
    stage = folder / _STAGE
    shutil.rmtree(stage, ignore_errors=True)  # of somebody who was killed
    draft = stage / name
    draft.parent.mkdir(parents=True)
    try:
        shutil.copy2(folder / name, draft)
        change(draft)
        Remote(store.url, stage).push([draft])
        if draft.exists():
            draft.replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def changed_day(place: LakeDay, store: Remote | None) -> Iterator[LakeDay]:
    """A place to write a whole day of the lake to, which takes the place of the old one at the end of the block.

    Whoever is killed between its files leaves half a day, and the rest of it for :func:`complete_days`.

    Raises:
        StoreError: when the store refuses; the day is here as it was then. The store may have some of its new files,
            and gets all of them when the day is changed again.
    """
    stage = replace(place, root=place.root / _STAGE)
    _discard(stage)
    for folder in _folders(stage):
        folder.mkdir(parents=True)
    try:
        yield stage
        if store:
            Remote(store.url, stage.root).push(stage.paths)
    except BaseException:
        _discard(stage)
        raise
    _move(stage, place)


def half_days(lake: Path) -> list[LakeDay]:
    """Days of which the rows are new and the rest is not: whoever changed them was killed between their files.

    A day whose rows are of another load was made again since, and owes nobody anything.
    """
    begun = [stage for stage in _staged(lake) if not stage.rows.exists()]
    pairs = [(stage, replace(stage, root=lake)) for stage in begun]
    return [place for stage, place in pairs if place.rows.exists() and are_rows_of(stage.read_account(), place.rows)]


def complete_days(lake: Path) -> None:
    """Bring the other files of half days after their rows; what others made, who were killed earlier, goes.

    Nothing else could: of new rows nobody can tell which records went, and the old ones are no more.
    """
    for place in half_days(lake):
        _move(replace(place, root=lake / _STAGE), place)
    shutil.rmtree(lake / _STAGE, ignore_errors=True)


def _staged(lake: Path) -> Iterator[LakeDay]:
    root = lake / _STAGE
    for dataset in DATASETS:
        for folder in sorted((root / dataset).glob("date=*")):
            stage = LakeDay(root, dataset, folder.name.removeprefix("date="))
            if stage.account.exists():
                yield stage


def _move(stage: LakeDay, place: LakeDay) -> None:
    for new, old in zip(stage.paths, place.paths, strict=True):  # the rows first, the account last
        if new.exists():
            new.replace(old)
    _discard(stage)


def _discard(stage: LakeDay) -> None:
    for folder in _folders(stage):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(place: LakeDay) -> tuple[Path, Path]:
    return place.rows.parent, place.quarantine.parent
