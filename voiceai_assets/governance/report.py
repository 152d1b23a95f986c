"""What an auditor is handed: how far a period is certified, what failed, when it was mended, what was said anew.

Belongs here: reading the ledgers into one document, and writing it as HTML, JSON and CSV. Does not belong here: what
the page looks like (``templates/report.html``), GX Data Docs (``datadocs``), standing checks (``standing``).

No names of files and no offending values: the report is handed on. ``voiceai trace`` leads to those.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from voiceai_assets.governance.chain import chain_head
from voiceai_assets.governance.gaps import read_gaps
from voiceai_assets.governance.standing import Standing, standing
from voiceai_assets.governance.verify import certificates
from voiceai_assets.governance.withheld import read_withheld
from voiceai_assets.pages import templates
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.readers import is_there

Connection = psycopg.Connection[Any]
_HOURS_READ = 72  # nobody reads hours beyond
CERTIFIED = ("certified", "certified with warnings")
#: A spreadsheet takes a cell that starts with one of these for a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_DAY_COLUMNS = (
    "day", "status", "why", "what_next", "landed_records", "rows_loaded", "rows_quarantined", "rows_duplicate",
    "version", "certificate_id", "published_at",
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """A day that was blocked, until it was certified.

    Attributes:
        mended_at: when the gate next said yes; None while it has not.
        hours: between the two, or until now.
    """

    day: str
    failed_at: datetime
    mended_at: datetime | None
    hours: float
    why: str


@dataclass(frozen=True)
class Report:
    """Everything on one period; rows are plain so that the document can be written as JSON."""

    first: str
    last: str
    as_of: datetime
    code_revision: str
    chain: Mapping[str, Any]
    coverage: Mapping[str, Any]
    days: Sequence[Mapping[str, Any]]
    failures: Sequence[Failure]
    checks: Sequence[Mapping[str, Any]]
    warnings: Sequence[Mapping[str, Any]]
    contradictions: Sequence[Mapping[str, Any]]
    withheld: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]
    quarantine: Sequence[Mapping[str, Any]]
    restatements: Sequence[Mapping[str, Any]]
    erasures: Sequence[Mapping[str, Any]]
    freshness: Mapping[str, Any]
    standing: Sequence[Standing] = field(default=())

    @property
    def open_days(self) -> list[Mapping[str, Any]]:
        """Days that are not certified, oldest first."""
        return [day for day in self.days if day["status"] not in CERTIFIED]


def gather(connection: Connection, first: date, last: date, code_revision: str) -> Report:
    """Read one period out of the ledgers, in the connection's transaction."""
    span = {"first": first, "last": last}
    now = _one(connection, "select now()")
    days = [_day(row) for row in ledger.rows(connection, _DAYS, span)]
    issued = certificates(connection)
    withheld = read_withheld(connection)
    return Report(
        first=first.isoformat(),
        last=last.isoformat(),
        as_of=now,
        code_revision=code_revision,
        chain={"certificates": len(issued), "head": chain_head(issued)},
        coverage=coverage(days, first, last),
        days=days,
        failures=failures(ledger.rows(connection, _VERDICTS, span), now),
        checks=ledger.rows(connection, _CHECKS, span),
        warnings=_warnings(days),
        contradictions=_if_there(connection, "certified.contradictions", _CONTRADICTIONS),
        withheld=[asdict(found) for found in withheld],
        gaps=[found.row for found in read_gaps(connection, first, last, withheld)],
        quarantine=ledger.rows(connection, _QUARANTINE, span),
        restatements=_restatements(connection, span),
        erasures=ledger.rows(connection, _ERASURES, span),
        freshness=freshness(days, now),
        standing=standing(connection),
    )


# -- pure --------------------------------------------------------------------------------------------------------------


def coverage(days: Sequence[Mapping[str, Any]], first: date, last: date) -> dict[str, Any]:
    """Days by status; a calendar day of which nothing ever landed is counted too, as silence."""
    counts = Counter(day["status"] for day in days)
    known = {day["day"] for day in days}
    calendar = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    certified = sum(counts[status] for status in CERTIFIED)
    return {
        "calendar_days": len(calendar),
        "known_days": len(days),
        "silent_days": [day for day in calendar if day not in known],
        "certified_days": certified,
        "share_of_known": certified / len(days) if days else None,
        "by_status": dict(sorted(counts.items())),
    }


def failures(verdicts: Sequence[Mapping[str, Any]], now: datetime) -> list[Failure]:
    """Each time a day became blocked, and when it was next certified; verdicts in the order they were decided."""
    found: list[Failure] = []
    since: dict[str, Mapping[str, Any]] = {}
    for verdict in verdicts:
        day = verdict["day"]
        if verdict["status"] == "blocked":
            since.setdefault(day, verdict)
        elif verdict["status"] in CERTIFIED and day in since:
            found.append(_failure(since.pop(day), verdict["decided_at"], now))
    found += [_failure(verdict, None, now) for verdict in since.values()]
    return sorted(found, key=lambda failure: (failure.day, failure.failed_at))


def _failure(verdict: Mapping[str, Any], mended_at: datetime | None, now: datetime) -> Failure:
    reasons = verdict["reasons"]
    hours = ((mended_at or now) - verdict["decided_at"]).total_seconds() / 3600
    why = reasons[0]["text"] if reasons else "no reason recorded"
    return Failure(verdict["day"], verdict["decided_at"], mended_at, round(hours, 2), why)


def median_hours(found: Sequence[Failure]) -> float | None:
    """Time to mend of those that were mended; None where none was."""
    mended = [failure.hours for failure in found if failure.mended_at]
    return statistics.median(mended) if mended else None


def freshness(days: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """The newest certified day, how long ago it ended, and how long after its end a day was certified."""
    certified = [day for day in days if day["status"] in CERTIFIED]
    ends = {
        day["day"]: datetime.fromisoformat(day["day"]).replace(tzinfo=now.tzinfo) + timedelta(days=1) for day in days
    }
    delays = [(day["first_published_at"] - ends[day["day"]]).total_seconds() / 3600
              for day in certified if day["first_published_at"]]  # fmt: skip
    newest = max((day["day"] for day in certified), default=None)
    return {
        "newest_certified_day": newest,
        "hours_since_it_ended": round((now - ends[newest]).total_seconds() / 3600, 1) if newest else None,
        "median_hours_from_end_of_day_to_certificate": round(statistics.median(delays), 1) if delays else None,
    }


def _warnings(days: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Warnings that certified days carry, by check."""
    found: dict[str, dict[str, Any]] = {}
    for day in days:
        if day["status"] != "certified with warnings":
            continue
        for reason in day["reasons"]:
            entry = found.setdefault(reason["check"], {"check": reason["check"], "days": 0, "example": reason["text"]})
            entry["days"] += 1
    return sorted(found.values(), key=lambda entry: (-entry["days"], entry["check"]))


def _day(row: Mapping[str, Any]) -> dict[str, Any]:
    reasons = row["reasons"] or []
    status = row["status"] or "not judged"
    why, what_next = "", ""
    if status == "stale":
        why, what_next = row["stale_because"], f"voiceai materialize --from {row['day']}"
    elif status in {"not loaded", "not certified"}:
        why, what_next = "not run to the end yet", f"voiceai materialize --from {row['day']}"
    elif status != "certified" and reasons:
        why, what_next = reasons[0]["text"], reasons[0]["mend"]
    return {**row, "status": status, "why": why, "what_next": what_next}


# -- SQL ---------------------------------------------------------------------------------------------------------------

_DAYS = """
select d.day::text, d.status, d.stale_because, d.reasons, d.landed_records::bigint as landed_records, d.rows_loaded,
  d.rows_quarantined, d.rows_duplicate, d.version, d.certificate_id, d.published_at,
  (select min(published_at) from governance.publications p where p.day = d.day) as first_published_at
from governance.day_status d where d.day between %(first)s and %(last)s order by d.day
"""
_VERDICTS = """
select day::text, status, reasons, decided_at from governance.verdict_log
where day between %(first)s and %(last)s order by entry_id
"""
_CHECKS = """
select asset, check_name as check, severity, min(description) as demands, count(distinct day) as days,
  count(distinct day) filter (where status = 'error') as days_not_evaluated
from governance.quality_results where status <> 'passed' and day between %(first)s and %(last)s
group by 1, 2, 3 order by severity, days desc, 2
"""
_QUARANTINE = """
select dataset, reason, count(*) as records, count(distinct day) as days from governance.quarantine
where day between %(first)s and %(last)s group by 1, 2 order by records desc, 1, 2
"""
_RESTATEMENTS = """
select restatement_id, day::text, old_version, new_version, old_certificate_id, new_certificate_id, reasons, marts,
  views, exposures, restated_at
from governance.restatements where day between %(first)s and %(last)s order by restated_at, restatement_id
"""
_FIGURES = """
select new.metric, old.metric_version as old_metric_version, new.metric_version,
  old.numerator / nullif(old.denominator, 0) as old_value, new.numerator / nullif(new.denominator, 0) as new_value
from governance.restatements r
join governance.publications o on o.day = r.day and o.certificate_id = r.old_certificate_id
join governance.publications n on n.day = r.day and n.certificate_id = r.new_certificate_id and n.mart = o.mart
join governance.figures old on old.publication_id = o.publication_id
join governance.figures new on new.publication_id = n.publication_id and new.metric = old.metric
where r.restatement_id = %s and o.version <= r.old_version and n.version <= r.new_version
  and (old.numerator, old.denominator) is distinct from (new.numerator, new.denominator)
order by 1
"""
_ERASURES = """
select started_at, finished_at, cardinality(days) as days, removed, is_clean from governance.erasures
where started_at::date between %(first)s and %(last)s
  or exists (select from unnest(days) d where d between %(first)s and %(last)s) order by started_at
"""
_CONTRADICTIONS = "select source, contradiction, found_count, out_of from certified.contradictions order by 1, 3 desc"


def _restatements(connection: Connection, span: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = ledger.rows(connection, _RESTATEMENTS, span)
    return [{**row, "figures": ledger.rows(connection, _FIGURES, [row["restatement_id"]])} for row in found]


def _if_there(connection: Connection, view: str, query: str) -> list[dict[str, Any]]:
    """Rows of a view over published days, which is only there once every mart was built."""
    return ledger.rows(connection, query) if is_there(connection, view) else []


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


# -- writing -----------------------------------------------------------------------------------------------------------


def write(report: Report, folder: Path) -> dict[str, Path]:
    """Write the report in its three forms; returns where each lies."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"report.html": as_html(report), "report.json": as_json(report), "days.csv": as_csv(report)}
    for name, text in texts.items():
        draft = folder / f".{name}"
        draft.write_text(text)
        draft.replace(folder / name)
    return {name.split(".")[1]: folder / name for name in texts}


def as_json(report: Report) -> str:
    """The whole document."""
    document = {**asdict(report), "median_hours_to_mend": median_hours(report.failures)}
    return json.dumps(document, default=str, ensure_ascii=False, indent=1) + "\n"


def as_csv(report: Report) -> str:
    """One row per known day, for a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_DAY_COLUMNS)
    for day in report.days:
        writer.writerow([_harmless(day[name]) for name in _DAY_COLUMNS])
    return out.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA_STARTS) else cell


def as_html(report: Report) -> str:
    """One page without any other file, to be read, printed and kept."""
    environment = templates("voiceai_assets.governance")
    environment.filters["short"] = lambda text: str(text or "–")[:12]
    environment.filters["moment"] = lambda at: f"{at:%Y-%m-%d %H:%M}" if at else "–"
    environment.filters["figure"] = lambda value: "–" if value is None else f"{float(value):.4g}"
    environment.filters["ago"] = lambda hours: (
        f"{hours:,.0f} hours" if hours < _HOURS_READ else f"{hours / 24:,.0f} days"
    )
    environment.filters["thousands"] = lambda n: f"{n:,}"
    template = environment.get_template("report.html")
    return template.render(report=report, strip=_strip(report), median=median_hours(report.failures))


def _strip(report: Report) -> dict[str, Any]:
    """The calendar as an SVG strip: one square per day, 31 in a row, kind told by colour and by mark."""
    size, per_row = 22, 31
    known = {day["day"]: day["status"] for day in report.days}
    first = date.fromisoformat(report.first)
    cells = []
    for n in range(report.coverage["calendar_days"]):
        day = (first + timedelta(days=n)).isoformat()
        status = known.get(day, "silent")
        kind = _KINDS.get(status, "waiting")
        x, y = (n % per_row) * size, (n // per_row) * size
        cells.append({"x": x, "y": y, "kind": kind, "mark": _MARKS[kind], "title": f"{day}: {status}"})
    rows = -(-len(cells) // per_row)
    return {"cells": cells, "width": min(len(cells), per_row) * size, "height": rows * size, "size": size - 2}


_KINDS = {"certified": "certified", "certified with warnings": "warnings", "blocked": "blocked", "silent": "silent"}
_MARKS = {"certified": "✓", "warnings": "!", "blocked": "×", "waiting": "…", "silent": ""}
