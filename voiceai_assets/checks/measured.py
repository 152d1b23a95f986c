"""Rules that are measured here and not by Great Expectations: they look at the catalogue or at other days.

Belongs here: a rule and days in, one finding per day out. Does not belong here: mathematics (``stats.usual``), what
follows from a finding (``gate``).

A rule about what is usual speaks of the past as it was known when the day was judged, and says which past that was. The
judged day is never part of its own baseline, nor are days of ``expectations/incidents.yaml``. Where there is too little
past the rule passes and says so: no history is no fault of the day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import psycopg

from voiceai_assets.checks.expectations import result
from voiceai_assets.checks.reviewed import Incident, incidents
from voiceai_assets.checks.suites import Rule, Suite
from voiceai_assets.stats.usual import count_limits, population_stability
from voiceai_assets.warehouse.ledger import CheckResult

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Finding:
    """What was found of a day."""

    passed: bool
    message: str


@dataclass(frozen=True)
class Past:
    """Which days a day is compared with."""

    excluded: frozenset[date]

    @classmethod
    def without(cls, found: Sequence[Incident]) -> Past:
        """All days but those of incidents."""
        spans = [(i.first, (i.last - i.first).days + 1) for i in found]
        return cls(frozenset(first + timedelta(days=n) for first, length in spans for n in range(length)))

    def same_weekdays(self, day: date, weeks: int) -> list[date]:
        """The same weekday of the weeks before."""
        return self._kept(day - timedelta(weeks=n) for n in range(1, weeks + 1))

    def days_before(self, day: date, days: int) -> list[date]:
        """The days before."""
        return self._kept(day - timedelta(days=n) for n in range(1, days + 1))

    def _kept(self, days: Any) -> list[date]:
        return [day for day in days if day not in self.excluded]


def measure(
    connection: Connection, suite: Suite, days: Sequence[str], past: Past | None = None
) -> dict[str, list[CheckResult]]:
    """Day -> results of the suite's measured rules. A query that fails makes its rule an error on every day."""
    rules = [rule for rule in suite.rules if rule.is_measured]
    found: dict[str, list[CheckResult]] = {day: [] for day in days}
    past = past or Past.without(incidents())
    for rule in rules:
        try:
            with connection.transaction():
                findings = _MEASURES[rule.type](connection, suite, rule, [date.fromisoformat(d) for d in days], past)
        except psycopg.Error as error:
            for day in days:
                found[day].append(result(suite, rule, "error", {"message": str(error).strip()[:500]}))
            continue
        for day in days:
            finding = findings[date.fromisoformat(day)]
            status = "passed" if finding.passed else "failed"
            found[day].append(result(suite, rule, status, {"message": finding.message}))
    return found


# -- schema ------------------------------------------------------------------------------------------------------------


def _schema(connection: Connection, suite: Suite, rule: Rule, days: Sequence[date], _: Past) -> dict[date, Finding]:
    have = dict(
        connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            [suite.table],
        ).fetchall()
    )
    finding = schema_finding(rule.kwargs["columns"], have)
    return dict.fromkeys(days, finding)


def schema_finding(agreed: Mapping[str, str], have: Mapping[str, str]) -> Finding:
    """Whether every agreed column is there with its type; columns that are there besides do no harm."""
    wrong = [
        f"{name} is {have.get(name, 'missing')}, agreed is {kind}"
        for name, kind in sorted(agreed.items())
        if _plain(have.get(name, "")) != _plain(kind)
    ]
    return Finding(not wrong, "; ".join(wrong) or f"{len(agreed)} columns as agreed")


def _plain(kind: str) -> str:
    """One spelling of a type."""
    return kind.replace(", ", ",").replace("timestamp with time zone", "timestamptz").strip().lower()


# -- volume ------------------------------------------------------------------------------------------------------------


def _volume(connection: Connection, suite: Suite, rule: Rule, days: Sequence[date], past: Past) -> dict[date, Finding]:
    weeks = int(rule.kwargs["weeks"])
    counts: dict[str, dict[date, int]] = defaultdict(dict)
    for source, day, records in connection.execute(
        "select source, day, records from governance.landed_records where dataset = %s and day between %s and %s",
        [suite.dataset, min(days) - timedelta(weeks=weeks), max(days)],
    ).fetchall():
        counts[source][day] = records
    return {
        day: volume_finding(
            {
                source: (found.get(day, 0), [found[d] for d in past.same_weekdays(day, weeks) if d in found])
                for source, found in sorted(counts.items())
            },
            f"{day:%A}s",
            rule.kwargs["at_least"],
            rule.kwargs["alpha"],
        )
        for day in days
    }


def volume_finding(
    counts: Mapping[str, tuple[int, Sequence[int]]], weekday: str, at_least: int, alpha: float
) -> Finding:
    """Hold each source's count against its own past."""
    said, passed = [], True
    for source, (now, past) in counts.items():
        if len(past) < at_least:
            continue
        least, most = count_limits(past, alpha)
        passed &= least <= now <= most
        said.append(f"{source}: {now:,} records, usual are {least:,} to {most:,} (from {len(past)} earlier {weekday})")
    return Finding(passed, "; ".join(said) or f"too little history: fewer than {at_least} comparable days before it")


# -- distribution ------------------------------------------------------------------------------------------------------


def _distribution(
    connection: Connection, suite: Suite, rule: Rule, days: Sequence[date], past: Past
) -> dict[date, Finding]:
    window = int(rule.kwargs["days"])
    category, weight = rule.kwargs["category"], rule.kwargs["weight"]
    by_day: dict[date, dict[str, float]] = defaultdict(dict)
    query = (
        f"select day, category, sum(weight) from (select {suite.day_column} as day, ({category})::text as category, "
        f"({weight})::double precision as weight from {suite.table} where {suite.day_column} between %s and %s) as r "
        "where category is not null group by day, category having sum(weight) > 0"
    )
    between = [min(days) - timedelta(days=window), max(days)]
    for day, name, total in connection.execute(query, between).fetchall():
        by_day[day][name] = total
    return {
        day: distribution_finding(
            by_day.get(day, {}),
            [by_day[d] for d in past.days_before(day, window) if d in by_day],
            rule.kwargs["at_least"],
            rule.kwargs["most"],
        )
        for day in days
    }


def distribution_finding(
    now: Mapping[str, float], past: Sequence[Mapping[str, float]], at_least: int, most: float
) -> Finding:
    """Hold a day's distribution against that of the days before it together."""
    if len(past) < at_least:
        return Finding(True, f"too little history: fewer than {at_least} of the days before it")
    before: dict[str, float] = defaultdict(float)
    for day in past:
        for name, weight in day.items():
            before[name] += weight
    index = population_stability(now, before)
    if index is None:
        return Finding(True, "too few observations to compare (1,000 on each side)")
    return Finding(index < most, f"PSI {index:.3f}, accepted below {most} (against {len(past)} days before it)")


# -- freshness ---------------------------------------------------------------------------------------------------------


def _day_end(connection: Connection, suite: Suite, rule: Rule, days: Sequence[date], past: Past) -> dict[date, Finding]:
    weeks = int(rule.kwargs["weeks"])
    ends = dict(
        connection.execute(
            "select day, extract(epoch from last_turn_at - day::timestamp at time zone 'UTC')::double precision / 3600 "
            "from governance.loads where dataset = %s and is_live and last_turn_at is not null "
            "and day between %s and %s",
            [suite.dataset, min(days) - timedelta(weeks=weeks), max(days)],
        ).fetchall()
    )
    return {
        day: day_end_finding(
            ends.get(day),
            [ends[d] for d in past.same_weekdays(day, weeks) if d in ends],
            rule.kwargs["at_least"],
            rule.kwargs["hours"],
        )
        for day in days
    }


#: In UTC a day of any zone ends within these hours after its date begins; time stamps of sources that file a turn under
#: another day than its own lie outside.
_WITHIN = (-14.0, 38.0)


def day_end_finding(now: float | None, past: Sequence[float], at_least: int, hours: float) -> Finding:
    """Whether the last event comes about as late as it does on such days; a file cut off at noon ends at noon."""
    inside = [end for end in past if _WITHIN[0] <= end <= _WITHIN[1]]
    if now is None or not _WITHIN[0] <= now <= _WITHIN[1]:
        return Finding(True, "time stamps are not of the day")
    if len(inside) < at_least:
        return Finding(True, f"too little history: fewer than {at_least} comparable days before it")
    early = min(inside) - now
    return Finding(
        early <= hours, f"last event {max(early, 0):.1f} hours before the earliest of {len(inside)} such days"
    )


_MEASURES: Mapping[str, Callable[[Connection, Suite, Rule, Sequence[date], Past], dict[date, Finding]]] = {
    "schema_is_as_agreed": _schema,
    "volume_is_usual": _volume,
    "distribution_is_usual": _distribution,
    "day_ends_as_usual": _day_end,
}


# -- rows --------------------------------------------------------------------------------------------------------------


def days_with_rows(connection: Connection, suites: Collection[Suite], days: Sequence[str]) -> dict[str, set[str]]:
    """Suite -> days on which its table holds anything, in one round trip: nothing need be asked of the others."""
    if not suites or not days:
        return {suite.suite: set() for suite in suites}
    parts = [
        f"select '{suite.suite}', d.day::text from unnest(%(days)s::date[]) as d (day) "
        f"where exists (select from {suite.table} t where t.{suite.day_column} = d.day "
        # a large table has a partition for each day of its history: without limits all of them are planned for
        f"and t.{suite.day_column} between %(first)s::date and %(last)s::date)"
        for suite in suites
    ]
    found: dict[str, set[str]] = {suite.suite: set() for suite in suites}
    asked = {"days": list(days), "first": min(days), "last": max(days)}
    for name, day in connection.execute(" union all ".join(parts), asked).fetchall():
        found[name].add(day)
    return found
