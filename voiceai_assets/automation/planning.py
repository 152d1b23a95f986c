"""Which days to run. Pure: states in, days out; nothing here knows Dagster, files or SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class DayRange:
    """Consecutive days, both ends included."""

    first: str
    last: str

    @property
    def days(self) -> list[str]:
        """Every day of the range."""
        start, end = date.fromisoformat(self.first), date.fromisoformat(self.last)
        return [(start + timedelta(days=n)).isoformat() for n in range((end - start).days + 1)]

    def widened(self, days: int) -> DayRange:
        """The range with some more days on both sides."""
        start, end = date.fromisoformat(self.first), date.fromisoformat(self.last)
        return DayRange((start - timedelta(days=days)).isoformat(), (end + timedelta(days=days)).isoformat())

    @property
    def tags(self) -> dict[str, str]:
        """Run tags by which Dagster knows the range."""
        if self.first == self.last:
            return {"dagster/partition": self.first}
        return {"dagster/asset_partition_range_start": self.first, "dagster/asset_partition_range_end": self.last}


@dataclass(frozen=True)
class DayState:
    """What the ledgers know of a day.

    Attributes:
        expected_load: load id its present files would give; None where no file touches the day and none ever did.
        loaded: load id of ``raw.turns``.
        expected_mart: id the marts would be built under now, given what is loaded and the code.
        built_mart: id of the marts that hold the day, or None.
        tried_mart: id under which they were last built, also where dbt's tests then refused them.
        is_blocked_by_marts: what blocks it is something about its marts, so other marts may pass.
        judged_suites: suite versions that its recorded results were made with on the present loads.
        status: verdict of the gate, or None.
        has_error: some rule could not be evaluated.
        demanded_suites: suite versions that are asked of the day, given the datasets it has.
        waivers_changed: a waiver that its verdict rests on has ended, or one was given for what blocks it.
    """

    day: str
    expected_load: str | None
    loaded: str | None
    expected_mart: str | None
    built_mart: str | None
    judged_suites: frozenset[str]
    status: str | None
    has_error: bool
    published_load: str | None
    demanded_suites: frozenset[str]
    waivers_changed: bool = False
    tried_mart: str | None = None
    is_blocked_by_marts: bool = False


def ranges(days: Iterable[str], longest: int) -> list[DayRange]:
    """Days as few ranges as possible, none longer than ``longest``."""
    found: list[DayRange] = []
    for day in sorted(set(days)):
        previous = found[-1] if found else None
        follows = previous and date.fromisoformat(day) - date.fromisoformat(previous.last) == timedelta(days=1)
        if previous and follows and len(previous.days) < longest:
            found[-1] = DayRange(previous.first, day)
        else:
            found.append(DayRange(day, day))
    return found


def why_to_repair(state: DayState) -> str | None:
    """Why a day must be run again, or None.

    A day that is blocked is not run again as it is: the same files, code and suites would give the same verdict. It
    comes back as soon as one of them changes (the code, where it is its marts that are blocked).
    """
    if state.expected_load is None:
        return None
    suites = state.demanded_suites
    is_blocked = state.status == "blocked"
    mart = state.tried_mart if is_blocked else state.built_mart
    mart_differs = mart != state.expected_mart and (not is_blocked or state.is_blocked_by_marts)
    other_suites = not state.judged_suites <= suites if is_blocked else state.judged_suites != suites
    causes = {
        "missing: landed, not loaded": state.loaded is None,
        "stale: its files changed": state.loaded != state.expected_load,
        "failed: marts not built": mart_differs and mart is None,
        "stale: a neighbouring day or the dbt code changed": mart_differs,
        "failed: a check could not be evaluated": state.has_error,
        "failed: it was never judged": state.status in {None, "not judged"},
        "stale: its checks changed": other_suites,
        "stale: a waiver was given or has ended": state.waivers_changed,
        "failed: judged and not published": not is_blocked and state.published_load != state.built_mart,
    }
    return next((why for why, applies in causes.items() if applies), None)


def days_to_repair(states: Iterable[DayState], within: Sequence[str]) -> dict[str, str]:
    """Days among ``within`` that must be run again, with the reason."""
    allowed = set(within)
    found = {s.day: why_to_repair(s) for s in states if s.day in allowed}
    return {day: why for day, why in sorted(found.items()) if why}


def changed_days(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Days whose input fingerprint is new, different or gone."""
    return sorted(day for day in before.keys() | now.keys() if before.get(day) != now.get(day))


def name_of_change(last: str, changes: Mapping[str, tuple[str | None, str | None]]) -> str:
    """Name of a change of some days' fingerprints, from which to which, after the change of the name ``last``.

    What came before it is in it: a file that goes and comes back as it was makes the same changes over and over, and
    none of them may bear the name of an earlier one, because Dagster starts no second run of one name.
    """
    text = json.dumps([last, sorted(changes.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_by_range(days: Iterable[str], first: str, last: str) -> tuple[list[str], list[str]]:
    """Days inside the partitions, and those outside (which are reported and kept)."""
    ordered = sorted(days)
    return [d for d in ordered if first <= d <= last], [d for d in ordered if not first <= d <= last]
