"""What has been kept long enough. Pure: what is known of files and days in, decisions out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def limit(now: datetime, timezone: str, keep_days: int | None) -> str | None:
    """First day that is kept, today and the days before it counted; None where everything is kept."""
    if keep_days is None:
        return None
    return (now.astimezone(ZoneInfo(timezone)).date() - timedelta(days=keep_days - 1)).isoformat()


@dataclass(frozen=True)
class LandedFile:
    """A file in landing, as retention sees it.

    Attributes:
        days: every day that it feeds; empty where nobody reads it.
        arrived: day of its time stamp, which counts where it has no days.
        is_loaded: what the tables hold of all its days was made from this very content.
        companions: files that say which day its rows belong to.
        is_list: its day is that of the files beside it.
    """

    path: str
    days: frozenset[str]
    arrived: str
    is_loaded: bool
    companions: frozenset[str] = field(default=frozenset())
    is_list: bool = False

    @property
    def is_dated_by_others(self) -> bool:
        """Whether it would be filed under another day without the files beside it."""
        return self.is_list or bool(self.companions)


@dataclass(frozen=True)
class Retirement:
    """Files that go, and old ones that stay, with the reason.

    Whoever deletes them may be interrupted, so they are in order: what would be filed under another day without the
    files beside it goes before those.
    """

    gone: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


def to_retire(files: Iterable[LandedFile], first_kept: str) -> Retirement:
    """Which files may be deleted without any day ever noticing.

    A day that lost one of its files could not be made again when another of them changes. So files go together: all
    that feed a day, or none of them. A file that says which day others' rows belong to stays as long as those do.
    Nothing goes that was not loaded.

    Args:
        files: everything that lies in landing.
        first_kept: a file that feeds no day from here on is old.
    """
    known = {file.path: file for file in files}
    old = [file for file in known.values() if max(file.days, default=file.arrived) < first_kept]
    kept = {file.path: "not loaded as it lies there" for file in old if file.days and not file.is_loaded}
    going = {file.path for file in old} - kept.keys()
    while True:
        staying = [known[path] for path in sorted(known.keys() - going)]
        holders = {day: file.path for file in staying for day in file.days}
        askers = {path: file.path for file in staying for path in file.companions}
        held = {path: why for path in sorted(going) if (why := _why_held(known[path], holders, askers))}
        if not held:
            gone = sorted(going, key=lambda path: (not known[path].is_dated_by_others, path))
            return Retirement(tuple(gone), dict(sorted(kept.items())))
        kept |= held
        going -= held.keys()


def _why_held(file: LandedFile, holders: Mapping[str, str], askers: Mapping[str, str]) -> str | None:
    if day := next((day for day in sorted(file.days) if day in holders), None):
        return f"{holders[day]} holds {day} too, and stays"
    if file.path in askers:
        return f"{askers[file.path]} takes its days from it, and stays"
    return None
