"""Changes that an object store has before its local copy has them.

Belongs here: the order of the two. Does not belong here: the store (``remote``), what is changed.

In the other order a push that fails, or a kill before it, leaves a local file that looks done beside an object that is
not: the object has not changed, so no pull brings it again, and whoever looks at the local copy finds nothing to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

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
