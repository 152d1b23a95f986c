"""The account of a day: where every record of every file went, and the files of the lake that it speaks of.

Belongs here: what is counted, where it lies, whether it adds up. Does not belong here: the counting (``refine``), the
ledger that keeps accounts (``warehouse.ledger``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from voiceai_assets.lake.indexing import IndexedFile


class LostRecordsError(RuntimeError):
    """Records that were read are booked nowhere, or others than were counted; nothing of the day was written."""


@dataclass(frozen=True)
class FileAccount:
    """Where every record of one file went, for one day: ``rows_in`` = loaded + quarantined + duplicate."""

    file: str
    sha256: str
    size_bytes: int
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    rows_duplicate: int
    is_truncated: bool
    problem: str | None = None
    rows_erased: int = 0  # among the quarantined: records of somebody who was forgotten
    is_open_ended: bool = False  # CSV without its last line's end: whether the last cell is whole nobody can tell


@dataclass(frozen=True)
class DayLoad:
    """One day of one dataset in the lake."""

    dataset: str
    day: str
    load_id: str
    files: tuple[FileAccount, ...]
    key_id: str = ""  # under which its pseudonyms were made; the load id names the first key of the chain only

    @property
    def rows_in(self) -> int:
        """Records of the day in all its files."""
        return sum(f.rows_in for f in self.files)

    @property
    def rows_loaded(self) -> int:
        """Records that became rows."""
        return sum(f.rows_loaded for f in self.files)

    @property
    def rows_quarantined(self) -> int:
        """Records that could not become rows."""
        return sum(f.rows_quarantined for f in self.files)

    @property
    def rows_duplicate(self) -> int:
        """Records that repeat another one exactly."""
        return sum(f.rows_duplicate for f in self.files)

    @property
    def rows_erased(self) -> int:
        """Refused records of somebody who was forgotten."""
        return sum(f.rows_erased for f in self.files)


def with_erasures(load_id: str, erased: Mapping[str, int]) -> str:
    """The load id of rows from which records of the forgotten were left out; the same id where none was.

    The same files give other rows once somebody was forgotten, so the load before must not lend them its verdict. File
    -> number of records is enough to tell loads apart: tombstones are only ever added.
    """
    refused = sorted((file, count) for file, count in erased.items() if count)
    return hashlib.sha256(json.dumps([load_id, refused]).encode()).hexdigest()[:16] if refused else load_id


@dataclass(frozen=True)
class LakeDay:
    """Paths of one day in the lake."""

    root: Path
    dataset: str
    day: str

    @property
    def rows(self) -> Path:
        """The typed rows."""
        return self.root / self.dataset / f"date={self.day}" / "rows.parquet"

    @property
    def quarantine(self) -> Path:
        """The refused records, with file, line and reason."""
        return self.root / "quarantine" / self.dataset / f"date={self.day}" / "rows.parquet"

    @property
    def account(self) -> Path:
        """The account; the leading underscore hides it from readers of the Parquet folder."""
        return self.rows.with_name("_account.json")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file of the day, the account last: where it is, the others are."""
        return (self.rows, self.quarantine, self.account)

    def read_account(self) -> DayLoad:
        """The account as it was written.

        Raises:
            FileNotFoundError: when the day is not in the lake.
        """
        found = json.loads(self.account.read_text())
        found["files"] = tuple(FileAccount(**f) for f in found["files"])
        return DayLoad(**found)


def count_again(dataset: str, day: str, inputs: Sequence[IndexedFile], files: Sequence[FileAccount]) -> None:
    """Hold the account against the index, which was counted by another query when the file was first seen.

    Raises:
        LostRecordsError: when they differ.
    """
    for known, booked in zip(inputs, files, strict=True):
        counted = known.rows.get(dataset, {}).get(day, 0)
        if counted != booked.rows_in:
            raise LostRecordsError(
                f"{known.path}: {counted:,} records of {dataset} were counted for {day} and {booked.rows_in:,} were "
                "read; `touch` the file, so that it is counted again, and run the day again"
            )


def are_rows_of(load: DayLoad, rows: Path) -> bool:
    """Whether rows of the lake are those that an account speaks of."""
    footer = pq.read_metadata(rows)
    column = footer.schema.names.index("load_id")
    statistics = [footer.row_group(n).column(column).statistics for n in range(footer.num_row_groups)]
    load_ids = {load_id for found in statistics if found for load_id in (found.min, found.max)}
    return not load_ids - {load.load_id} and footer.num_rows == load.rows_loaded


def write_account(place: LakeDay, load: DayLoad) -> None:
    """Replace the account of a day of the lake."""
    draft = place.account.with_name(f".{place.account.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(load), indent=1, sort_keys=True) + "\n")
    draft.replace(place.account)
